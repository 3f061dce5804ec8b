//! The outbox: makes a command durable, in DriftQ at the broker of its business key, or else in DynamoDB, before the sender gets its 2xx.
//!
//! Providers time out after 3 s (Slack, Zoom), so the broker gets about one second to accept a command; after that it is deferred, due at once,
//! and the consumer works on it from the table.

use std::time::Duration;

use jiff::Timestamp;
use tracing::Instrument as _;

use super::{intake::Intake, route::Routed};
use crate::{
    command::{Command, MAX_INLINE, MOST_INLINE, Payload, keys::CommandKeys},
    effect_id::EffectId,
    effects::{How, StoreError, agenda::Agenda, claim_check::LargeInputs},
    topic::Topic,
    topics::Topics,
};

/// Time limit for the broker to accept a command.
const PRODUCE_TIMEOUT: Duration = Duration::from_millis(1000);

/// Time limit for the broker to report its limits.
const LIMITS_TIMEOUT: Duration = Duration::from_millis(300);

/// The two stores that can make a command durable.
#[derive(Debug, Clone)]
pub struct Outbox {
    /// The topics of commands; the business key selects one.
    pub topics: Topics,
    /// The agenda, for what the broker refuses and for what is due later.
    pub agenda: Agenda,
    /// Input that is too large for the broker.
    pub large_inputs: LargeInputs,
    /// With `journal = true`: every command is also written to the table, and becomes due there after this time.
    pub journal: Option<Duration>,
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
}

impl Outbox {
    /// Makes a command durable: on the topic, or in DynamoDB and due at once.
    ///
    /// # Errors
    /// See [`NotDurable`].
    pub async fn accept(
        &self,
        routed: &Routed,
        keys: Option<&CommandKeys>,
        intake: &Intake,
    ) -> Result<(), NotDurable> {
        let command = Command {
            source: Some(intake.source.clone()),
            traceparent: Some(intake.trace),
            ..routed.command.clone()
        };
        let (run_id, step) = (&command.run_id, &command.step);
        let span = tracing::info_span!("command", %run_id, effect_id = %routed.effect, %step);
        let accept = async {
            let command =
                self.within_limits(&routed.effect, command).await.map_err(NotDurable::LargeInput)?;
            if let Some(due) = routed.due {
                return self.keep_until(due, &routed.effect, &command, intake).await;
            }
            match self.journal {
                None => self.queue_or_defer(&routed.effect, &command, keys, intake).await,
                Some(grace) => self.queue_and_journal(&routed.effect, (&command, keys), intake, grace).await,
            }
        };
        accept.instrument(span).await
    }

    /// Stores a command in the table alone, due later: a topic can't delay messages.
    async fn keep_until(
        &self,
        due: Timestamp,
        effect: &EffectId,
        command: &Command,
        intake: &Intake,
    ) -> Result<(), NotDurable> {
        let settled = self.agenda.enqueue(effect, command, due, intake.now).await;
        match settled.map_err(NotDurable::Delayed)?.how() {
            How::Parked => intake.parked(),
            _ => intake.deferred(),
        }
        Ok(())
    }

    async fn queue_or_defer(
        &self,
        effect: &EffectId,
        command: &Command,
        keys: Option<&CommandKeys>,
        intake: &Intake,
    ) -> Result<(), NotDurable> {
        let topic = self.topics.for_key(&command.business_key);
        let Err(broker) = topic.publish_command(command, keys, PRODUCE_TIMEOUT).await else {
            intake.queued();
            return Ok(());
        };
        intake.broker_refused();
        match self.agenda.enqueue(effect, command, intake.now, intake.now).await {
            Ok(settled) => {
                kept(settled.how(), intake, topic, &broker);
                Ok(())
            }
            Err(table) => Err(neither(topic, broker, table)),
        }
    }

    /// Stores a command in both, in parallel. Either makes it durable. The table's copy becomes due after a while, unless the effect has been
    /// claimed by then, so that even the loss of the broker's disk loses nothing.
    async fn queue_and_journal(
        &self,
        effect: &EffectId,
        (command, keys): (&Command, Option<&CommandKeys>),
        intake: &Intake,
        grace: Duration,
    ) -> Result<(), NotDurable> {
        let now = intake.now;
        let topic = self.topics.for_key(&command.business_key);
        let publish = topic.publish_command(command, keys, PRODUCE_TIMEOUT);
        let journal = self.agenda.enqueue(effect, command, now + grace, now);
        let (published, journalled) = tokio::join!(publish, journal);
        if published.is_err() {
            intake.broker_refused();
        }
        match (published, journalled) {
            (Ok(()), journalled) => {
                intake.queued();
                if let Err(error) = journalled {
                    tracing::warn!(%error, "a command is on the topic only");
                }
                Ok(())
            }
            (Err(broker), Ok(settled)) => {
                kept(settled.how(), intake, topic, &broker);
                if let Err(error) = self.agenda.expedite(effect, now).await {
                    tracing::warn!(%error, "it will be done later than it could");
                }
                Ok(())
            }
            (Err(broker), Err(table)) => Err(neither(topic, broker, table)),
        }
    }

    /// Stores large input in DynamoDB.
    async fn within_limits(&self, effect: &EffectId, command: Command) -> Result<Command, StoreError> {
        let bytes = command.to_json().len();
        match &command.payload {
            Payload::Input(_) if bytes > MAX_INLINE && bytes > self.inline_limit(&command).await => {
                self.large_inputs.leave_input(effect, command).await
            }
            _ => Ok(command),
        }
    }

    /// The largest command that its broker gets whole: a quarter of a partition, so that several fit. The broker is asked once per process, and
    /// only for a large command.
    async fn inline_limit(&self, command: &Command) -> usize {
        let limits = self.topics.for_key(&command.business_key).broker.limits_once(LIMITS_TIMEOUT).await;
        let partition = limits.ok().and_then(|limits| limits.max_value);
        partition.map_or(MAX_INLINE, |bytes| (bytes / 4).min(MOST_INLINE))
    }
}

fn neither(topic: &Topic, broker: driftq_client::Error, table: StoreError) -> NotDurable {
    NotDurable::Neither { name: topic.broker_name().to_owned(), broker, table }
}

/// Records that the broker did not accept a command, but the table did.
fn kept(how: How, intake: &Intake, topic: &Topic, error: &driftq_client::Error) {
    let broker = topic.broker_name();
    if how == How::Parked {
        intake.parked();
        tracing::error!(outcome = "parked", in_doubt = 0, broker, %error, "a command that contradicts the record is parked");
        return;
    }
    intake.deferred();
    tracing::warn!(outcome = "deferred", broker, %error, "the broker did not take a command; it will be done from the table");
}
