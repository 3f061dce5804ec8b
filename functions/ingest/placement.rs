//! Where the outbox has put a command, and the counts of all commands of a request.

use crate::effects::{How, StoreError};

/// Where a command is durable.
#[derive(Debug)]
pub enum Placement {
    /// On the topic.
    Queued,
    /// In the table, since it is due later.
    Scheduled,
    /// In the table and due at once, since the broker did not accept it.
    Deferred {
        /// The broker's error.
        broker: driftq_client::Error,
    },
    /// Parked for an operator: it contradicts the record of its effect.
    Parked {
        /// The broker's error; none if the command was for the table anyway.
        broker: Option<driftq_client::Error>,
    },
}

/// A command is not durable anywhere. The sender must redeliver; the guard makes it harmless if a part was accepted.
#[derive(Debug, thiserror::Error)]
pub enum NotDurable {
    /// Neither store accepted it.
    #[error("the broker {name}: {broker}; the table: {table}")]
    Neither {
        /// The broker's name.
        name: String,
        /// The broker's error.
        broker: driftq_client::Error,
        /// The table's error.
        table: StoreError,
    },
    /// The table did not accept a command that is due later.
    #[error("a command for later: {0}")]
    Delayed(StoreError),
    /// The table did not accept input that is too large for the broker.
    #[error("large input: {0}")]
    LargeInput(StoreError),
    /// The table did not accept what an `Idempotency-Key` stands for.
    #[error(transparent)]
    IdempotencyKey(StoreError),
}

impl Placement {
    /// Where a command is that the table accepted, and the broker did not.
    pub(super) fn in_table(how: How, broker: driftq_client::Error) -> Self {
        match how {
            How::Parked => Self::Parked { broker: Some(broker) },
            _ => Self::Deferred { broker },
        }
    }

    /// Logs that the broker did not accept a command.
    pub(super) fn log(&self, broker: &str) {
        match self {
            Self::Queued | Self::Scheduled | Self::Parked { broker: None } => {}
            Self::Deferred { broker: error } => {
                tracing::warn!(outcome = "deferred", broker, %error, "the broker did not take a command; it will be done from the table");
            }
            Self::Parked { broker: Some(error) } => {
                tracing::error!(outcome = "parked", in_doubt = 0, broker, %error, "a command that contradicts the record is parked");
            }
        }
    }
}

/// The counts of a request's commands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Placements {
    /// On the topic.
    pub queued: u64,
    /// In the table.
    pub deferred: u64,
    /// Parked for an operator.
    pub parked: u64,
    /// Those that the broker did not accept.
    pub broker_refusals: u64,
}

impl Placements {
    /// The counts of one command.
    #[must_use]
    pub fn of(placed: &Result<Placement, NotDurable>) -> Self {
        let none = Self::default();
        match placed {
            Ok(Placement::Queued) => Self { queued: 1, ..none },
            Ok(Placement::Scheduled) => Self { deferred: 1, ..none },
            Ok(Placement::Deferred { .. }) => Self { deferred: 1, broker_refusals: 1, ..none },
            Ok(Placement::Parked { broker }) => {
                Self { parked: 1, broker_refusals: broker.is_some().into(), ..none }
            }
            Err(NotDurable::Neither { .. }) => Self { broker_refusals: 1, ..none },
            Err(NotDurable::Delayed(_) | NotDurable::LargeInput(_) | NotDurable::IdempotencyKey(_)) => none,
        }
    }

    /// How many commands are durable.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.queued + self.deferred + self.parked
    }

    /// Adds one more command.
    pub fn add(&mut self, placed: &Result<Placement, NotDurable>) {
        let Self { queued, deferred, parked, broker_refusals } = Self::of(placed);
        self.queued += queued;
        self.deferred += deferred;
        self.parked += parked;
        self.broker_refusals += broker_refusals;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::StoreError;

    #[test]
    fn each_command_counts_once_and_a_broker_that_refused_counts_as_well() {
        let broker = || driftq_client::Error::TimedOut;
        let table = || StoreError::Malformed("due");
        let name = "b".to_owned();
        let mut placed = Placements::default();
        for one in [
            Ok(Placement::Queued),
            Ok(Placement::Scheduled),
            Ok(Placement::in_table(How::Deferred, broker())),
            Ok(Placement::in_table(How::Parked, broker())),
            Ok(Placement::Parked { broker: None }),
            Err(NotDurable::Neither { name, broker: broker(), table: table() }),
            Err(NotDurable::Delayed(table())),
        ] {
            placed.add(&one);
        }
        assert_eq!(placed, Placements { queued: 1, deferred: 2, parked: 2, broker_refusals: 3 });
        assert_eq!(placed.durable(), 5);
    }
}
