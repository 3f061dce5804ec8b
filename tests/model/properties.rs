//! What must never hold, and what must hold in the end.

use std::fmt::{self, Display, Formatter};

use super::{
    effect::{Record, Status, Which},
    state::State,
};

/// A property that was violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The third party has applied an effect twice.
    Twice,
    /// An effect is done that was never applied.
    Lie,
    /// An effect is neither settled nor on the agenda, and no message and no attempt of it is left: it was acked unsettled, or
    /// passed over.
    Lost,
    /// A stale attempt has overwritten a newer one.
    Overwritten,
    /// A due record was taken while its attempt was at work, and would be taken again and again.
    TooEarly,
    /// A message that can still be lost was in flight elsewhere, though it had been proven that none was.
    Contradicted,
    /// From here, not everything can be settled any more, even without further faults.
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
    /// Everything is done or parked, and nothing is left on the topic or the agenda.
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

    /// Whether a message, or an attempt under way, will see to this effect.
    fn is_carried(&self, effect: Which) -> bool {
        self.topic.iter().any(|message| message.effect == effect)
            || self.jobs().any(|job| job.effect == effect && job.is_unfinished())
    }
}
