//! What must never be, and what must come to be.

use std::fmt::{self, Display, Formatter};

use super::{
    effect::{Record, Status, Which},
    state::State,
};

/// A property that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The third party has applied an effect twice.
    Twice,
    /// An effect is done that was never applied.
    Lie,
    /// An effect is neither settled nor on the agenda, and no message and no attempt is left that would see to it: it was
    /// acked unsettled, or passed over.
    Lost,
    /// A stale attempt has overwritten a newer one.
    Overwritten,
    /// A command was taken from the agenda while its attempt was at work: it would be taken again and again.
    TooEarly,
    /// A message that may yet be lost was in other hands, though it was proven that none was.
    Contradicted,
    /// From here not everything can come to be done or parked any more, though nothing more goes wrong.
    Stuck,
}

impl Display for Broken {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Twice => "applied twice",
            Self::Lie => "done but never applied",
            Self::Lost => "lost",
            Self::Overwritten => "overwritten by a stale attempt",
            Self::Contradicted => "a proof was wrong",
            Self::TooEarly => "taken from the agenda too early",
            Self::Stuck => "never settled",
        })
    }
}

impl Record {
    fn is_settled(&self) -> bool {
        matches!(self.status, Status::Done | Status::Parked)
    }
}

impl State {
    /// Everything is done or parked, and nothing is left to be done about it.
    pub(super) fn is_settled(&self) -> bool {
        self.topic.is_empty() && self.records.iter().all(|record| record.is_settled() && record.due.is_none())
    }

    /// The property that this state violates.
    pub(super) fn broken(&self) -> Option<Broken> {
        if self.overwritten {
            return Some(Broken::Overwritten);
        }
        if self.too_early {
            return Some(Broken::TooEarly);
        }
        if self.contradicted {
            return Some(Broken::Contradicted);
        }
        self.records.iter().zip(&self.ledgers).enumerate().find_map(|(effect, (record, ledger))| {
            if ledger.applied > 1 {
                Some(Broken::Twice)
            } else if record.status == Status::Done && ledger.applied == 0 {
                Some(Broken::Lie)
            } else if !record.is_settled() && record.due.is_none() && !self.is_carried(effect) {
                Some(Broken::Lost)
            } else {
                None
            }
        })
    }

    /// Something will see to this effect: a message, or a consumer that is still at work on one.
    fn is_carried(&self, effect: Which) -> bool {
        self.topic.iter().any(|message| message.effect == effect)
            || self.jobs().any(|job| job.effect == effect && job.is_unfinished())
    }
}
