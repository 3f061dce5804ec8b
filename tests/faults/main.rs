//! Hundreds of faults: a crash at every boundary, and random schedules of all faults. A separate test target, since the stories would otherwise run
//! on a busy machine.

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

/// Prints without libtest's capture, which hides the output of passing tests: the figures must be in every log.
fn publish(figures: &impl Display) {
    // Err: our output is closed.
    let _ = writeln!(io::stdout(), "{figures}");
}

/// Whether to skip faults at the table's fault proxy.
fn table_has_no_proxy() -> bool {
    let external = env::var_os("EFFECTS_TABLE").is_some_and(|name| !name.is_empty());
    if external {
        println!("skipped: there is no fault proxy in front of the DynamoDB that EFFECTS_TABLE names");
    }
    external
}
