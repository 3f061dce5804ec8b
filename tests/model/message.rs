//! A message: where the broker thinks it is, and how far a consumer is with it.

use super::effect::Which;

/// Which consumer.
pub(super) type Who = usize;

/// Where the broker thinks a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Queued,
    /// In flight on a consumer's stream, and not arrived yet.
    OnTheWay(Who),
    /// In flight on a consumer's stream.
    With(Who),
    /// In flight on a stream that is closed.
    Orphan,
    /// In flight on a stream that only seems open.
    Nowhere,
}

/// An unacked message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Message {
    pub(super) offset: u8,
    pub(super) effect: Which,
    /// What its command counts.
    pub(super) attempt: u8,
    pub(super) place: Place,
    /// Below the high-water mark: a restart of the broker loses it.
    pub(super) passed: bool,
}

/// How far a consumer is with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Received,
    /// The lease on record is over; the effect is to be taken over.
    TakingOver,
    /// In doubt and ours; the third party is to be asked.
    Asking,
    /// Ours; the third party is to be called.
    Calling,
    Committing,
    Deferring {
        doubt: bool,
    },
    Parking,
    /// Held by another attempt; the record is to go on the agenda.
    Watching,
    Settled,
    Unsettled,
    /// Settled, and its ack refused.
    Refused,
}

impl Phase {
    pub(super) fn is_between(self) -> bool {
        !matches!(self, Self::Received | Self::Settled | Self::Unsettled | Self::Refused)
    }
}

/// A message that a consumer has received.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Job {
    pub(super) offset: u8,
    pub(super) effect: Which,
    pub(super) attempt: u8,
    pub(super) phase: Phase,
    /// What the attempt that it claimed has counted.
    pub(super) count: u8,
    /// The `attempt_id` of the attempt that it claimed, or that it found at work.
    pub(super) claimed: u8,
    /// Its next step is held up: time passes meanwhile.
    pub(super) held_up: bool,
    /// Received on a stream before this one.
    pub(super) old: bool,
}

impl Job {
    pub(super) fn received(offset: u8, effect: Which, attempt: u8) -> Self {
        Self {
            offset,
            effect,
            attempt,
            phase: Phase::Received,
            count: 0,
            claimed: 0,
            held_up: false,
            old: false,
        }
    }
}
