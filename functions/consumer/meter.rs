//! What is measured while messages are worked on, for the metrics that a run prints at its end: 500 calls are a handful
//! of lines.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::telemetry::{
    distribution::Distribution,
    line::Line,
    metrics::{CALL_LATENCY, PARKED},
};

/// The step of a message that asks for none of `webhooks.toml`.
pub(super) const NO_STEP: &str = "?";

/// What all messages of a run write to.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<Measured>);

/// What has been measured.
#[derive(Debug, Clone, Default)]
pub(super) struct Measured {
    pub(super) in_doubt: u64,
    pub(super) parked_in_doubt: u64,
    pub(super) received_to_done: Distribution,
    steps: BTreeMap<String, OfStep>,
}

#[derive(Debug, Clone, Default)]
struct OfStep {
    parked: u64,
    calls: Distribution,
}

impl Meter {
    /// A call has been made, and has come to something.
    pub(super) fn called(&self, step: &str, took: Duration) {
        self.measured().step(step).calls.add_time(took);
    }

    /// An attempt has ended, and nobody knows whether it was applied.
    pub(super) fn in_doubt(&self) {
        self.measured().in_doubt += 1;
    }

    /// An effect is done, this long after its command was received.
    pub(super) fn done(&self, since_received: Duration) {
        self.measured().received_to_done.add_time(since_received);
    }

    /// A person has to look.
    pub(super) fn parked(&self, step: &str, in_doubt: bool) {
        let mut measured = self.measured();
        measured.step(step).parked += 1;
        measured.parked_in_doubt += u64::from(in_doubt);
    }

    /// All of it.
    pub(super) fn read(&self) -> Measured {
        self.measured().clone()
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Measured {
    fn step(&mut self, step: &str) -> &mut OfStep {
        self.steps.entry(step.to_owned()).or_default()
    }

    /// Prints a line for each step that something happened to.
    pub(super) fn print_steps(&self) {
        for (step, OfStep { parked, calls }) in &self.steps {
            let line = Line::default().property("Step", step);
            line.count_if_any(&PARKED, *parked).all(&CALL_LATENCY, calls.clone()).print();
        }
    }
}
