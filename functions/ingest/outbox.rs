//! The outbox: a command is durable in DriftQ, or else in DynamoDB, before anyone is told that we have it.
//!
//! Providers hang up after 3 s (Slack, Zoom), so the broker gets about one second to take a command; then it is
//! deferred, due at once, and the next consumer run relays it.

use std::time::Duration;

use jiff::Timestamp;

use super::route::Routed;
use crate::{
    broker,
    command::{Command, MAX_INLINE, Payload},
    effects::{Effects, StoreError},
    topic::Topic,
};

/// What the broker gets to take a command.
const PRODUCE_TIMEOUT: Duration = Duration::from_millis(1000);

/// Both places where a command can be durable.
#[derive(Debug, Clone)]
pub struct Outbox {
    /// The topic of commands.
    pub topic: Topic,
    /// The effects table.
    pub effects: Effects,
    /// With `journal = true`: every command is also written to the table, and comes due there after this time.
    pub journal: Option<Duration>,
}

/// Where a command now is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// On the topic.
    Queued,
    /// In DynamoDB, due at once.
    Deferred,
}

/// A command is durable nowhere. The sender must deliver again; the guard makes what was taken harmless.
#[derive(Debug, thiserror::Error)]
pub enum NotDurable {
    /// Neither store took it.
    #[error("the broker: {broker}; the table: {table}")]
    Neither {
        /// What the broker said.
        broker: broker::Error,
        /// What the table said.
        table: StoreError,
    },
    /// The table did not take input that is too large for the broker.
    #[error("large input: {0}")]
    LargeInput(StoreError),
}

impl Outbox {
    /// Makes a command durable.
    ///
    /// # Errors
    /// See [`NotDurable`].
    pub async fn accept(&self, routed: &Routed, now: Timestamp) -> Result<Durable, NotDurable> {
        let command = self.within_limits(routed).await.map_err(NotDurable::LargeInput)?;
        match self.journal {
            None => self.queue_or_defer(routed, &command, now).await,
            Some(grace) => self.queue_and_journal(routed, &command, now, grace).await,
        }
    }

    async fn queue_or_defer(
        &self,
        routed: &Routed,
        command: &Command,
        now: Timestamp,
    ) -> Result<Durable, NotDurable> {
        let Err(broker) = self.topic.publish_command(command, PRODUCE_TIMEOUT).await else {
            return Ok(Durable::Queued);
        };
        tracing::warn!(effect_id = %routed.effect, error = %broker, "the broker did not take a command");
        match self.effects.pend(&routed.effect, command, now, now).await {
            Ok(()) => Ok(Durable::Deferred),
            Err(table) => Err(NotDurable::Neither { broker, table }),
        }
    }

    /// Into both, side by side. Either makes it durable; the table's copy comes due after a while, unless the effect has
    /// been claimed by then, so that even the loss of the broker's disk loses nothing.
    async fn queue_and_journal(
        &self,
        routed: &Routed,
        command: &Command,
        now: Timestamp,
        grace: Duration,
    ) -> Result<Durable, NotDurable> {
        let publish = self.topic.publish_command(command, PRODUCE_TIMEOUT);
        let journal = self.effects.pend(&routed.effect, command, now + grace, now);
        match tokio::join!(publish, journal) {
            (Ok(()), Ok(())) => Ok(Durable::Queued),
            (Ok(()), Err(error)) => {
                tracing::warn!(effect_id = %routed.effect, %error, "a command is on the topic only");
                Ok(Durable::Queued)
            }
            (Err(error), Ok(())) => {
                tracing::warn!(effect_id = %routed.effect, %error, "the broker did not take a command");
                if let Err(error) = self.effects.hasten(&routed.effect, now).await {
                    tracing::warn!(effect_id = %routed.effect, %error, "it will be published later than it could");
                }
                Ok(Durable::Deferred)
            }
            (Err(broker), Err(table)) => Err(NotDurable::Neither { broker, table }),
        }
    }

    /// Large input is left in DynamoDB.
    async fn within_limits(&self, routed: &Routed) -> Result<Command, StoreError> {
        let command = &routed.command;
        match &command.payload {
            Payload::Input(input) if command.to_json().len() > MAX_INLINE => {
                let check = self.effects.check_in(&routed.effect, &command.input_hash, input).await?;
                Ok(Command { payload: Payload::ClaimCheck(check), ..command.clone() })
            }
            _ => Ok(command.clone()),
        }
    }
}
