//! A topic at one broker. Older brokers forget an empty topic when they restart, so it is created whenever it is missing, and
//! not at every start.

use std::time::Duration;

use driftq_client::{Client, Error, Produce};

use crate::{command::Command, command_keys::CommandKeys, effects::Settled};

/// A topic at one broker.
#[derive(Debug, Clone)]
pub struct Topic {
    /// The broker.
    pub broker: Client<Settled>,
    /// The topic's name.
    pub name: String,
    /// Partitions to ask for when it has to be created.
    pub partitions: u32,
}

impl Topic {
    /// A short and stable name of its broker, for logs, leases and hashing; see [`Address::name`].
    ///
    /// [`Address::name`]: driftq_client::Address::name
    #[must_use]
    pub fn broker_name(&self) -> &str {
        self.broker.address().name()
    }

    /// Writes a command, signed if there are keys. Its business key chooses the partition. `json` is the
    /// command's JSON.
    ///
    /// # Errors
    /// The broker did not take it, or did not say so within `limit`.
    pub async fn publish_command(
        &self,
        command: &Command,
        json: String,
        keys: Option<&CommandKeys>,
        limit: Duration,
    ) -> Result<(), Error> {
        let (run_id, step_id) = (command.run_id.as_str(), command.step.as_str());
        let message = match keys {
            Some(keys) => keys.sign_json(json),
            None => json,
        };
        self.publish(&command.business_key, &message, run_id, step_id, limit).await
    }

    /// Writes a message. `run_id` and `step_id` are for people who look at the broker.
    ///
    /// # Errors
    /// As [`Topic::publish_command`].
    pub async fn publish(
        &self,
        key: &str,
        value: &str,
        run_id: &str,
        step_id: &str,
        limit: Duration,
    ) -> Result<(), Error> {
        let produce = || {
            let message = Produce { topic: &self.name, key, value, run_id, step_id };
            self.broker.produce(message, limit)
        };
        let publish = async {
            match produce().await {
                Err(Error::TopicMissing) => {
                    self.create(limit).await?;
                    produce().await
                }
                // A pooled connection is often dead after a Lambda has been thawed. A second copy does no harm.
                Err(Error::Interrupted(_)) => produce().await,
                outcome => outcome,
            }
        };
        tokio::time::timeout(limit, publish).await.unwrap_or(Err(Error::TimedOut))
    }

    /// Creates it; one that exists stays as it is.
    ///
    /// # Errors
    /// The broker did not do it within `limit`.
    pub async fn create(&self, limit: Duration) -> Result<(), Error> {
        self.broker.ensure_topic(&self.name, self.partitions, limit).await
    }
}
