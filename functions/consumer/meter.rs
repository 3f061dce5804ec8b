//! Counts for the run's summary, and metrics, which are printed once a minute and at the end. 500 calls make only a few lines.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use super::{destinations::Destinations, report::Conclusion};
use crate::{
    effects::runs::{Counts, Latency},
    telemetry::{
        distribution::Distribution,
        line::Line,
        metrics::{
            BREAKER_OPENED, CALL_LATENCY, DEFERRED, DONE, DUPLICATES, ENQUEUED, FROM_AGENDA, HELD, IN_DOUBT,
            PARKED, PARKED_IN_DOUBT, RECEIVED, RECEIVED_TO_CALL, RECEIVED_TO_DONE,
        },
    },
};

/// The counts and metrics of one run.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<Measured>);

#[derive(Debug, Default)]
struct Measured {
    total: Counts,
    /// For the whole run.
    received_to_call: Distribution,
    unprinted: Unprinted,
}

/// Metrics since they were last printed.
#[derive(Debug, Default)]
struct Unprinted {
    counts: Counts,
    received_to_call: Distribution,
    received_to_done: Distribution,
    steps: BTreeMap<String, OfStep>,
}

#[derive(Debug, Default)]
struct OfStep {
    parked: u64,
    calls: Distribution,
}

impl Meter {
    /// Counts a received message.
    pub(super) fn received(&self) {
        self.add(|counts| counts.received += 1);
    }

    /// Counts a due record.
    pub(super) fn taken_from_agenda(&self) {
        self.add(|counts| counts.from_agenda += 1);
    }

    /// Counts messages that will be redelivered.
    pub(super) fn unacked(&self, messages: u64) {
        self.add(|counts| counts.unacked += messages);
    }

    /// Counts an attempt whose outcome is unknown.
    pub(super) fn in_doubt(&self) {
        self.add(|counts| counts.in_doubt += 1);
    }

    /// Records the earliest due time of a lane, at the first poll.
    pub(super) fn oldest_due(&self, due_at: Option<Timestamp>, now: Timestamp) {
        let age = due_at.map(|due_at| Duration::try_from(now.duration_since(due_at)).unwrap_or_default());
        let age = Some(age.unwrap_or_default().as_secs());
        self.add(|counts| counts.oldest_due_s = counts.oldest_due_s.max(age));
    }

    /// Records a call. `waited`: since its command was received, if this is its first call.
    pub(super) fn called(&self, step: &str, took: Duration, waited: Option<Duration>) {
        let mut measured = self.lock();
        measured.unprinted.step(step).calls.add_time(took);
        if let Some(waited) = waited {
            measured.unprinted.received_to_call.add_time(waited);
            measured.received_to_call.add_time(waited);
        }
    }

    /// Counts a parked effect or message.
    pub(super) fn parked(&self, step: &str, in_doubt: bool) {
        self.add(|counts| {
            counts.parked += 1;
            counts.parked_in_doubt += u64::from(in_doubt);
        });
        self.lock().unprinted.step(step).parked += 1;
    }

    /// Counts a command's conclusion.
    pub(super) fn count(&self, step: &str, conclusion: &Conclusion<'_>, received_at: Timestamp) {
        match conclusion {
            Conclusion::Done { at, .. } => {
                self.add(|counts| counts.done += 1);
                let age = Duration::try_from(at.duration_since(received_at)).unwrap_or_default();
                self.lock().unprinted.received_to_done.add_time(age);
            }
            Conclusion::Deferred { .. } => self.add(|counts| counts.deferred += 1),
            Conclusion::Enqueued { .. } => self.add(|counts| counts.enqueued += 1),
            Conclusion::Duplicate { .. } => self.add(|counts| counts.duplicates += 1),
            Conclusion::Held => self.add(|counts| counts.held += 1),
            Conclusion::Skipped { .. } => self.add(|counts| counts.skipped += 1),
            Conclusion::Parked { in_doubt, .. } => self.parked(step, *in_doubt),
        }
    }

    /// The counts so far.
    pub(super) fn counts(&self) -> Counts {
        self.lock().total
    }

    /// How long webhooks have waited for their first call so far; none if there was no call.
    pub(super) fn received_to_call(&self) -> Option<Latency> {
        let measured = self.lock();
        let waited = &measured.received_to_call;
        let (p50_ms, p99_ms) = (waited.percentile(50)?, waited.percentile(99)?);
        Some(Latency { calls: waited.count(), p50_ms, p99_ms })
    }

    /// Prints the metrics since the last time.
    pub(super) fn print(&self, destinations: &Destinations) {
        let unprinted = std::mem::take(&mut self.lock().unprinted);
        unprinted.print();
        for (host, openings) in destinations.take_openings() {
            Line::default().property("Destination", host).count(&BREAKER_OPENED, openings).print();
        }
    }

    fn add(&self, change: impl Fn(&mut Counts)) {
        let mut measured = self.lock();
        change(&mut measured.total);
        change(&mut measured.unprinted.counts);
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unprinted {
    fn step(&mut self, step: &str) -> &mut OfStep {
        self.steps.entry(step.to_owned()).or_default()
    }

    /// Prints a line for the totals, and one for each step with any counts.
    fn print(self) {
        let Counts { received, from_agenda, done, duplicates, deferred, enqueued, held, .. } = self.counts;
        Line::default()
            .property("Function", "consumer")
            .count(&RECEIVED, received)
            .count(&FROM_AGENDA, from_agenda)
            .count(&DONE, done)
            .count(&DUPLICATES, duplicates)
            .count(&DEFERRED, deferred)
            .count(&ENQUEUED, enqueued)
            .count(&HELD, held)
            .count(&IN_DOUBT, self.counts.in_doubt)
            .count(&PARKED_IN_DOUBT, self.counts.parked_in_doubt)
            .all(&RECEIVED_TO_CALL, self.received_to_call)
            .all(&RECEIVED_TO_DONE, self.received_to_done)
            .print();
        for (step, OfStep { parked, calls }) in self.steps {
            let line = Line::default().property("Step", &step);
            line.count_if_any(&PARKED, parked).all(&CALL_LATENCY, calls).print();
        }
    }
}
