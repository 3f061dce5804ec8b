//! Faults by the hundred: a crash at every boundary, and random schedules of everything that goes wrong. Apart from the
//! stories, which would otherwise be told on a busy machine.

#![allow(clippy::unwrap_used, reason = "a story that can't go on has failed")]
#![allow(dead_code, reason = "the house is furnished for the stories as well")]

mod crash_matrix;
mod fault_schedules;
mod house;
