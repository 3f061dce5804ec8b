//! The outbox: makes a command durable, in DriftQ at the broker of its business key, or else in DynamoDB, before the sender gets its 2xx.
//!
//! Providers time out after 3 s (Slack, Zoom), so the broker gets about one second to accept a command; after that it is deferred, due at once,
//! and the consumer works on it from the table.

use std::{borrow::Cow, time::Duration};

use jiff::Timestamp;
use tracing::Instrument as _;

use super::{
    placement::{NotDurable, Placement},
    route::Routed,
};
use crate::{
    command::{Command, MAX_INLINE, MOST_INLINE, Payload},
    command_keys::CommandKeys,
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

/// A command for a topic.
struct Message<'a> {
    command: &'a Command,
    /// Its JSON: it is made once.
    json: String,
    keys: Option<&'a CommandKeys>,
    topic: &'a Topic,
}

impl Message<'_> {
    async fn publish(self) -> Result<(), driftq_client::Error> {
        let Self { command, json, keys, topic } = self;
        topic.publish_command(command, json, keys, PRODUCE_TIMEOUT).await
    }
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
        now: Timestamp,
    ) -> Result<Placement, NotDurable> {
        let Routed { effect, command, due } = routed;
        let (run_id, step) = (&command.run_id, &command.step);
        let span = tracing::info_span!("command", %run_id, effect_id = %effect, %step);
        let accept = async {
            let (command, json) =
                self.within_limits(effect, command).await.map_err(NotDurable::LargeInput)?;
            let topic = self.topics.for_key(&command.business_key);
            let message = Message { command: &command, json, keys, topic };
            let placement = match (due, self.journal) {
                (Some(due), _) => self.schedule(*due, effect, &command, now).await,
                (None, None) => self.queue_or_defer(effect, message, now).await,
                (None, Some(grace)) => self.queue_and_journal(effect, message, now, grace).await,
            }?;
            placement.log(topic.broker_name());
            Ok(placement)
        };
        accept.instrument(span).await
    }

    /// Stores a command in the table alone, due later: a topic can't delay messages.
    async fn schedule(
        &self,
        due: Timestamp,
        effect: &EffectId,
        command: &Command,
        now: Timestamp,
    ) -> Result<Placement, NotDurable> {
        let settled = self.agenda.enqueue(effect, command, due, now).await.map_err(NotDurable::Delayed)?;
        Ok(match settled.how() {
            How::Parked => Placement::Parked { broker: None },
            _ => Placement::Scheduled,
        })
    }

    async fn queue_or_defer(
        &self,
        effect: &EffectId,
        message: Message<'_>,
        now: Timestamp,
    ) -> Result<Placement, NotDurable> {
        let Message { command, topic, .. } = message;
        let Err(broker) = message.publish().await else { return Ok(Placement::Queued) };
        match self.agenda.enqueue(effect, command, now, now).await {
            Ok(settled) => Ok(Placement::in_table(settled.how(), broker)),
            Err(table) => Err(NotDurable::Neither { name: topic.broker_name().to_owned(), broker, table }),
        }
    }

    /// Stores a command in both, in parallel. Either makes it durable. The table's copy becomes due after a while, unless the effect has been
    /// claimed by then, so that even the loss of the broker's disk loses nothing.
    async fn queue_and_journal(
        &self,
        effect: &EffectId,
        message: Message<'_>,
        now: Timestamp,
        grace: Duration,
    ) -> Result<Placement, NotDurable> {
        let Message { command, topic, .. } = message;
        let publish = message.publish();
        let journal = self.agenda.enqueue(effect, command, now + grace, now);
        match tokio::join!(publish, journal) {
            (Ok(()), journalled) => {
                if let Err(error) = journalled {
                    tracing::warn!(%error, "a command is on the topic only");
                }
                Ok(Placement::Queued)
            }
            (Err(broker), Ok(settled)) => {
                if let Err(error) = self.agenda.expedite(effect, now).await {
                    tracing::warn!(%error, "it will be done later than it could");
                }
                Ok(Placement::in_table(settled.how(), broker))
            }
            (Err(broker), Err(table)) => {
                Err(NotDurable::Neither { name: topic.broker_name().to_owned(), broker, table })
            }
        }
    }

    /// The command as its broker gets it, with large input replaced by a reference to DynamoDB, and its JSON.
    async fn within_limits<'c>(
        &self,
        effect: &EffectId,
        command: &'c Command,
    ) -> Result<(Cow<'c, Command>, String), StoreError> {
        let json = command.to_json();
        match &command.payload {
            Payload::Input(_) if json.len() > MAX_INLINE && json.len() > self.inline_limit(command).await => {
                let smaller = self.large_inputs.leave_input(effect, command.clone()).await?;
                let json = smaller.to_json();
                Ok((Cow::Owned(smaller), json))
            }
            _ => Ok((Cow::Borrowed(command), json)),
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
