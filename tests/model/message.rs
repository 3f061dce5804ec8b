//! A message, as the broker sees it, and a job: how far a consumer is with a message or a due record.

use super::effect::Which;

/// A consumer's index.
pub(super) type Who = usize;

/// The offset of a job that comes from the agenda.
pub(super) const AGENDA: u8 = 0;

/// Where the broker believes a message to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Queued,
    /// In flight on a consumer's stream, and not received yet.
    OnTheWay {
        to: Who,
        again: bool,
    },
    /// In flight on a consumer's stream.
    With(Who),
    /// In flight on a stream that is closed.
    Orphan,
    /// In flight on a stream whose consumer is dead, which the broker has not noticed.
    Nowhere,
    /// Acked by a cumulative ack while it was on its way: not in flight any more, and not received yet.
    Forgotten(Who),
}

impl Place {
    /// Whether it is in flight with a consumer, for the broker.
    pub(super) fn is_with(self, who: Who) -> bool {
        match self {
            Self::With(with) => with == who,
            Self::OnTheWay { to, .. } => to == who,
            _ => false,
        }
    }

    pub(super) fn is_in_flight(self) -> bool {
        !matches!(self, Self::Queued | Self::Forgotten(_))
    }
}

/// A message that is not acked, or may still be received.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Message {
    pub(super) offset: u8,
    pub(super) effect: Which,
    pub(super) place: Place,
}

/// How far a consumer is with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Received,
    /// The lease on record has expired, and is to be taken over.
    TakingOver,
    /// Claimed, in doubt: the third party is to be asked.
    Asking,
    /// Claimed: the third party is to be called.
    Calling,
    Committing,
    Deferring {
        doubt: bool,
    },
    Parking,
    /// Another attempt holds the effect. Its record is to go on the agenda, so that the message can be acked. If that attempt
    /// has just ended, the message claims again, or has nothing left to do if it was to be deferred.
    Watching {
        deferred: bool,
    },
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

/// A message that a consumer has received, or a due record that it works on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Job {
    /// [`AGENDA`] if it is a due record.
    pub(super) offset: u8,
    pub(super) effect: Which,
    /// The attempts that its command counts; a message's counts none.
    pub(super) attempt: u8,
    pub(super) phase: Phase,
    /// The record's attempts once it is claimed.
    pub(super) count: u8,
    /// The `attempt_id` that it has claimed, or that it found on record.
    pub(super) claimed: u8,
    /// Its next step is delayed, and time passes meanwhile.
    pub(super) held_up: bool,
    /// Received on an earlier stream.
    pub(super) old: bool,
    /// `attempts` > 1. Only set where acks are cumulative.
    pub(super) again: bool,
    /// A cumulative ack that covers it was carried out.
    pub(super) covered: bool,
    /// An ack of it got no answer.
    pub(super) asked: bool,
}

impl Job {
    pub(super) fn received(offset: u8, effect: Which, again: bool) -> Self {
        Self {
            offset,
            effect,
            attempt: 0,
            phase: Phase::Received,
            count: 0,
            claimed: 0,
            held_up: false,
            old: false,
            again,
            covered: false,
            asked: false,
        }
    }

    /// A due record; `seen` is the attempt that it bears.
    pub(super) fn due(effect: Which, attempt: u8, seen: u8) -> Self {
        Self { attempt, claimed: seen, ..Self::received(AGENDA, effect, false) }
    }

    /// The attempt of this job, going on after its message is settled.
    pub(super) fn in_background(&self) -> Self {
        Self { offset: AGENDA, again: false, covered: false, asked: false, ..self.clone() }
    }

    pub(super) fn is_unfinished(&self) -> bool {
        self.phase == Phase::Received || self.phase.is_between()
    }

    pub(super) fn is_message(&self) -> bool {
        self.offset != AGENDA
    }

    /// Whether it is a message that was received on the consumer's present stream.
    pub(super) fn is_current(&self) -> bool {
        self.is_message() && !self.old
    }
}
