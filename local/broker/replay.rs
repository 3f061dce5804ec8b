//! Restores the state from the WAL, with the real broker's losses.

use jiff::Timestamp;

use super::keys::Key;
use super::message::{Envelope, Message, RetryPolicy};
use super::profile::Offsets;
use super::record::Record;
use super::state::State;
use super::topic::{Partition, Topic};

/// A record of another generation.
#[derive(Debug, thiserror::Error)]
pub(super) enum Foreign {
    #[error("a record of a created topic, which this generation does not know")]
    Topic,
    #[error("unexpected offset {offset} in partition {partition} of topic {topic}")]
    Offset { topic: String, partition: usize, offset: i64 },
}

impl State {
    /// Applies one record of the WAL.
    ///
    /// What is not in the records is lost: topics without a message, partitions above the highest that holds one, deliveries and their attempts. A
    /// commit covers everything below it, acked or not.
    ///
    /// # Errors
    /// A record that this generation does not write: the log belongs to another one.
    pub(super) fn replay(&mut self, now: Timestamp, record: Record) -> Result<(), Foreign> {
        match record {
            Record::Topic { .. } if !self.profile.durable_topics => return Err(Foreign::Topic),
            Record::Topic { name, partitions } => {
                self.topics.insert(name, Topic::new(partitions));
            }
            Record::Message { topic, message } => self.replay_message(now, &topic, *message)?,
            Record::Commit { topic, group, partition, offset } => {
                let progress = self.replayed(topic).groups.entry(group).or_default().progress(partition);
                progress.committed = progress.committed.max(Some(offset));
                progress.errors.retain(|other, _| *other > offset);
            }
            Record::Error { topic, group, partition, offset, last_error, .. } => {
                let progress = self.replayed(topic).groups.entry(group).or_default().progress(partition);
                if Some(offset) > progress.committed {
                    progress.errors.insert(offset, last_error);
                }
            }
            Record::Key { tenant, topic, group, key, status, at } => {
                self.keys.replay(&Key { tenant, topic, group: Some(group), key }, &status, at);
            }
        }
        Ok(())
    }

    fn replay_message(&mut self, now: Timestamp, name: &str, mut message: Message) -> Result<(), Foreign> {
        // The real WAL keeps an envelope's fields, not the envelope: an empty one comes back as none.
        if let Some(envelope) = &mut message.envelope {
            envelope.retry_policy.take_if(|policy| *policy == RetryPolicy::default());
        }
        if message.dead_letter.is_none() {
            message.envelope.take_if(|envelope| *envelope == Envelope::default());
        }
        // A produce key is remembered for another ten minutes, and a dead letter's too, in its own topic.
        if let Some((tenant, key)) = message.idempotency() {
            let (tenant, key) = (tenant.to_owned(), key.to_owned());
            self.keys.commit(&Key { tenant, topic: name.to_owned(), group: None, key }, now);
        }
        let offsets = self.profile.offsets;
        let created = !self.profile.durable_topics || self.topics.contains_key(name);
        let topic = self.replayed(name.to_owned());
        if topic.partitions.len() <= message.partition {
            topic.partitions.resize_with(message.partition + 1, Partition::default);
        }
        let (partition, offset) = (message.partition, message.offset);
        if !created || (offsets == Offsets::PerPartition && offset != topic.offset_in(partition, offsets)) {
            return Err(Foreign::Offset { topic: name.to_owned(), partition, offset });
        }
        topic.append(message);
        Ok(())
    }

    fn replayed(&mut self, name: String) -> &mut Topic {
        self.topics.entry(name).or_default()
    }
}
