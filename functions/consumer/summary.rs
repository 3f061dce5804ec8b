//! What an invocation did: returned, and logged.

use serde::Serialize;

use crate::effects::How;

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

/// What an invocation did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How it ended.
    pub outcome: End,
    /// Due commands published.
    pub relayed: u64,
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

    pub(super) fn log(&self) {
        let Self { outcome, relayed, received, done, duplicates, deferred, parked, held, unacked, .. } = self;
        let Self { events_dropped, ms, .. } = self;
        tracing::info!(
            ?outcome,
            relayed,
            received,
            done,
            duplicates,
            deferred,
            parked,
            held,
            unacked,
            events_dropped,
            ms,
            "a run has ended"
        );
    }
}
