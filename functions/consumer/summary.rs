//! The summary of an invocation: returned, logged, and counted.

use serde::Serialize;

use super::RunError;
pub use crate::effects::runs::{Counts, End};
use crate::telemetry::{
    line::Line,
    metrics::{BROKER_UNREACHABLE, EVENTS_DROPPED, FAILED_RUNS, PAUSED, RUNS},
};

/// The summary of an invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How it ended.
    pub outcome: End,
    /// What it did.
    #[serde(flatten)]
    pub counts: Counts,
    /// Events that could not be published to the events topic.
    pub events_dropped: u64,
    /// How long it took.
    pub ms: u64,
}

impl Summary {
    /// Logs one line and prints the metrics of the run.
    pub(super) fn tell(&self, error: Option<&RunError>) {
        let Counts { received, from_agenda, done, duplicates, deferred, enqueued, .. } = self.counts;
        let Counts { parked, parked_in_doubt, in_doubt, held, unacked, oldest_due_s, .. } = self.counts;
        macro_rules! log {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    outcome = self.outcome.as_str(),
                    error = error.map(tracing::field::display),
                    received,
                    from_agenda,
                    oldest_due_s,
                    done,
                    duplicates,
                    deferred,
                    enqueued,
                    held,
                    in_doubt,
                    parked,
                    parked_in_doubt,
                    unacked,
                    events_dropped = self.events_dropped,
                    duration_ms = self.ms,
                    $message
                )
            };
        }
        match error {
            None => log!(info, "a run has ended"),
            Some(_) => log!(error, "a run has failed"),
        }
        self.print(error);
    }

    /// A failed run does not print `Runs` as zero: an alarm detects that the metric is missing.
    fn print(&self, error: Option<&RunError>) {
        let unreachable = matches!(error, Some(RunError::Broker(_)));
        Line::default()
            .property("Function", "consumer")
            .count_if_any(&RUNS, u64::from(error.is_none()))
            .count_if_any(&PAUSED, u64::from(self.outcome == End::Paused))
            .count(&FAILED_RUNS, u64::from(error.is_some()))
            .count(&BROKER_UNREACHABLE, u64::from(unreachable))
            .count(&EVENTS_DROPPED, self.events_dropped)
            .print();
    }
}
