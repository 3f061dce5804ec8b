//! Faults by the hundred: a crash at every boundary, and random schedules of everything that goes wrong. Apart from the
//! stories, which would otherwise be told on a busy machine.

#![allow(clippy::unwrap_used, reason = "a story that can't go on has failed")]
#![allow(dead_code, reason = "setup has helpers for the stories as well")]

mod crash_matrix;
mod fault_schedules;
#[path = "../stories/setup.rs"]
mod setup;

use std::{
    env,
    fmt::Display,
    io::{self, Write},
};

/// Prints past libtest, which keeps to itself what a passing test prints: figures belong into every log.
fn publish(figures: &impl Display) {
    // Whoever has closed our output does not want them.
    let _ = writeln!(io::stdout(), "{figures}");
}

/// Whether to skip what strikes on the wire to the table.
fn table_has_no_wire() -> bool {
    let external = env::var_os("EFFECTS_TABLE").is_some_and(|name| !name.is_empty());
    if external {
        println!("skipped: there is no wire to the DynamoDB that EFFECTS_TABLE names");
    }
    external
}
