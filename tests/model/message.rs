//! A message: where the broker thinks it is; and a job: how far a consumer is with a command.

use super::effect::Which;

/// Which consumer.
pub(super) type Who = usize;

/// The offset of what came from the agenda, and of nothing else.
pub(super) const AGENDA: u8 = 0;

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
    /// Acked by a cumulative ack while it was on its way: in flight no more, and not arrived yet.
    Forgotten(Who),
}

impl Place {
    /// Whether the broker holds it to be in flight with a consumer.
    pub(super) fn is_with(self, who: Who) -> bool {
        self == Self::With(who) || self == Self::OnTheWay(who)
    }
}

/// A message that is unacked, or may yet arrive.
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
    /// An attempt is at work; its record is to go on the agenda, so that the message can be acked.
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

/// A message that a consumer has received, or a command that it has taken from the agenda.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Job {
    /// [`AGENDA`] if it is no message.
    pub(super) offset: u8,
    pub(super) effect: Which,
    /// What its command counts. A message's counts none.
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
    /// Not its first delivery, which is only looked at where acks are cumulative.
    pub(super) again: bool,
    /// A cumulative ack has been carried out that covers it.
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

    /// A command that is due; `seen` is the attempt that the record bears.
    pub(super) fn due(effect: Which, attempt: u8, seen: u8) -> Self {
        Self { attempt, claimed: seen, ..Self::received(AGENDA, effect, false) }
    }

    pub(super) fn is_unfinished(&self) -> bool {
        self.phase == Phase::Received || self.phase.is_between()
    }

    pub(super) fn is_message(&self) -> bool {
        self.offset != AGENDA
    }

    /// Whether it is a message received on the stream that its consumer has now.
    pub(super) fn is_current(&self) -> bool {
        self.is_message() && !self.old
    }
}
