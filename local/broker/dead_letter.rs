//! The broker's dead-letter topics, with their faults.

use jiff::Timestamp;

use super::message::{DeadLetter, Message};
use super::redelivery::Exhausted;
use super::state::State;
use super::turn::{Place, join_errors};

impl State {
    /// Copies a message to `dlq.<topic>`. If there is no room, it stays in flight, keeps its place, and is
    /// tried again at every tick, with a longer error and a new record each time.
    pub(super) fn bury(&mut self, now: Timestamp, at: &Exhausted) {
        let Some((mut letter, partitions)) = self.dead_letter(now, at) else { return };
        let dead_letters = format!("dlq.{}", at.topic);
        let _ = self.create_topic(&dead_letters, partitions); // one that is there is as good
        letter.partition = 0;
        let buried = self.append(now, &dead_letters, letter);
        let (topics, mut turn) = self.turn(now);
        let Some(topic) = topics.get_mut(&at.topic) else { return };
        let Some(group) = topic.groups.get_mut(&at.group) else { return };
        let place = Place { topic: &at.topic, group: &at.group, partition: at.partition };
        let progress = group.progress(at.partition);
        match buried {
            Ok(()) => {
                turn.settle(place, progress, at.offset);
                topic.dispatch(&at.topic, &mut turn);
                *self.dead.entry(at.topic.clone()).or_default() += 1;
            }
            Err(refusal) => {
                if let Some(entry) = progress.in_flight.get_mut(&at.offset) {
                    join_errors(&mut entry.last_error, &format!("dlq_publish_failed: {refusal}"));
                    turn.record_error(place, at.offset, &entry.last_error);
                }
            }
        }
    }

    /// The copy that goes to the dead-letter topic: without routing and retry policy, and with an origin that
    /// only the WAL shows.
    fn dead_letter(&self, now: Timestamp, at: &Exhausted) -> Option<(Message, usize)> {
        let topic = self.topics.get(&at.topic)?;
        let entry = topic.groups.get(&at.group)?.partitions.get(at.partition)?.in_flight.get(&at.offset)?;
        let mut letter = Message::clone(&entry.message);
        let envelope = letter.envelope.get_or_insert_default();
        envelope.target_topic.clear();
        envelope.partition_override = None;
        envelope.retry_policy = None;
        letter.dead_letter = Some(DeadLetter {
            topic: at.topic.clone(),
            partition: at.partition,
            offset: at.offset,
            attempts: entry.attempts,
            last_error: entry.last_error.clone(),
            routed_at_ms: now.as_millisecond(),
        });
        Some((letter, topic.partitions.len()))
    }
}
