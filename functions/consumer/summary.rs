//! What an invocation did: returned, logged, and printed as metrics.

use serde::Serialize;

use super::{RunError, meter::Measured};
use crate::{
    effects::How,
    telemetry::{
        line::Line,
        metrics::{
            BROKER_UNREACHABLE, DEFERRED, DONE, DUPLICATES, EVENTS_DROPPED, FAILED_RUNS, HELD, IN_DOUBT,
            OLDEST_DUE_AGE, PARKED_IN_DOUBT, RECEIVED, RECEIVED_TO_DONE, RELAYED, RUNS,
        },
    },
};

/// How an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Nothing more came.
    #[default]
    Drained,
    /// Time was up; the rest is for the next one.
    Deadline,
    /// Another consumer has the stream.
    Busy,
    /// The broker or the table could not be used.
    Failed,
}

impl End {
    fn as_str(self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::Deadline => "deadline",
            Self::Busy => "busy",
            Self::Failed => "failed",
        }
    }
}

/// What an invocation did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How it ended.
    pub outcome: End,
    /// Due commands published.
    pub relayed: u64,
    /// How long the oldest of them had been due, in seconds; none if the agenda was not read.
    pub oldest_due_s: Option<u64>,
    /// Messages received, redeliveries included.
    pub received: u64,
    /// Effects done.
    pub done: u64,
    /// Messages whose effect was already on record.
    pub duplicates: u64,
    /// Effects put off.
    pub deferred: u64,
    /// Effects and messages that need a person.
    pub parked: u64,
    /// Those of them that may have been applied.
    pub parked_in_doubt: u64,
    /// Attempts of which nobody knows whether they were applied.
    pub in_doubt: u64,
    /// Messages whose effect another attempt has.
    pub held: u64,
    /// Messages that were received and will come back.
    pub unacked: u64,
    /// Events that nobody will hear of.
    pub events_dropped: u64,
    /// How long it took.
    pub ms: u64,
}

impl Summary {
    pub(super) fn count(&mut self, how: How) {
        let counter = match how {
            How::Done => &mut self.done,
            How::Duplicate => &mut self.duplicates,
            How::Deferred => &mut self.deferred,
            How::Held => &mut self.held,
            How::Parked => &mut self.parked,
        };
        *counter += 1;
    }

    /// One line a run.
    pub(super) fn log(&self, error: Option<&RunError>) {
        let Self { outcome, relayed, oldest_due_s, received, done, duplicates, deferred, .. } = *self;
        let Self { parked, parked_in_doubt, in_doubt, held, unacked, events_dropped, ms, .. } = *self;
        let outcome = outcome.as_str();
        macro_rules! log {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    outcome,
                    error = error.map(tracing::field::display),
                    relayed,
                    oldest_due_s,
                    received,
                    done,
                    duplicates,
                    deferred,
                    held,
                    in_doubt,
                    parked,
                    parked_in_doubt,
                    unacked,
                    events_dropped,
                    duration_ms = ms,
                    $message
                )
            };
        }
        match error {
            None => log!(info, "a run has ended"),
            Some(_) => log!(error, "a run has failed"),
        }
    }

    /// A line for the run, and one for each step that something happened to. A failed run is no `Runs` of zero: an
    /// alarm waits for there being none.
    pub(super) fn print(&self, measured: Measured, error: Option<&RunError>) {
        let unreachable = matches!(error, Some(RunError::Broker(_)));
        let line = Line::default()
            .property("Function", "consumer")
            .count_if_any(&RUNS, u64::from(error.is_none()))
            .count(&FAILED_RUNS, u64::from(error.is_some()))
            .count(&BROKER_UNREACHABLE, u64::from(unreachable))
            .count(&RECEIVED, self.received)
            .count(&DONE, self.done)
            .count(&DUPLICATES, self.duplicates)
            .count(&DEFERRED, self.deferred)
            .count(&HELD, self.held)
            .count(&IN_DOUBT, self.in_doubt)
            .count(&PARKED_IN_DOUBT, self.parked_in_doubt)
            .count(&RELAYED, self.relayed)
            .count(&EVENTS_DROPPED, self.events_dropped);
        let line = match self.oldest_due_s {
            Some(age) => line.count(&OLDEST_DUE_AGE, age),
            None => line,
        };
        measured.print_steps();
        line.all(&RECEIVED_TO_DONE, measured.received_to_done).print();
    }
}
