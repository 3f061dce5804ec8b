//! The broker as a state machine: the effect of every request on the topics.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::delivery::StreamId;
use super::group::Stream;
use super::keys::{Begun, Held, Key, Keys};
use super::message::Message;
use super::profile::Profile;
use super::record::{KeyRecord, Record};
use super::refusal::{Cap, Refusal};
use super::topic::Topic;
use super::turn::{Counters, Dice, Effects, Place, Turn, join_errors};

#[derive(Debug)]
pub(super) struct State {
    pub(super) profile: Profile,
    pub(super) topics: BTreeMap<String, Topic>,
    pub(super) keys: Keys,
    /// Produces refused by a cap, those to a dead-letter topic included.
    pub(super) rejected: BTreeMap<Cap, u64>,
    /// Messages moved to a dead-letter topic, by the topic they came from.
    pub(super) dead: BTreeMap<String, u64>,
    pub(super) counters: Counters,
    effects: Effects,
    dice: Dice,
    streams_opened: u64,
}

/// The arguments of an ack or nack: which delivery, and the caller's owner name.
#[derive(Debug, Default)]
pub(super) struct Receipt {
    pub(super) topic: String,
    pub(super) group: String,
    pub(super) owner: String,
    pub(super) partition: i64,
    pub(super) offset: i64,
}

impl State {
    pub(super) fn new(profile: Profile, seed: u64) -> Self {
        Self {
            profile,
            topics: BTreeMap::new(),
            keys: Keys::default(),
            rejected: BTreeMap::new(),
            dead: BTreeMap::new(),
            counters: Counters::default(),
            effects: Effects::default(),
            dice: Dice::new(seed),
            streams_opened: 0,
        }
    }

    /// Returns the records and deliveries of the turns so far.
    pub(super) fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    pub(super) fn turn(&mut self, now: Timestamp) -> (&mut BTreeMap<String, Topic>, Turn<'_>) {
        let Self { profile, topics, keys, effects, dice, counters, .. } = self;
        (topics, Turn { now, keys, effects, dice, counters, profile })
    }

    /// Creates a topic. An existing one keeps its partitions, whatever is requested; where topics are durable, that is an error. Where they are not,
    /// nothing is written: a topic is on disk only through its messages.
    pub(super) fn create_topic(&mut self, name: &str, partitions: usize) -> Result<(), Refusal> {
        let durable = self.profile.durable_topics;
        if self.topics.contains_key(name) {
            return if durable { Err(Refusal::TopicExists(name.to_owned())) } else { Ok(()) };
        }
        self.topics.insert(name.to_owned(), Topic::new(partitions));
        *self.counters.topics_created.entry(name.to_owned()).or_default() += 1;
        if durable {
            self.effects.records.push(Record::Topic { name: name.to_owned(), partitions });
        }
        Ok(())
    }

    /// Produces a message. A returned key must be passed to `produced` once the message is on disk.
    pub(super) fn produce(
        &mut self,
        now: Timestamp,
        topic: &str,
        message: Message,
    ) -> Result<Option<Key>, Refusal> {
        let envelope = message.envelope.as_ref();
        if envelope
            .and_then(|envelope| envelope.deadline.as_ref())
            .is_some_and(|deadline| deadline.is_before(now))
        {
            return Err(Refusal::DeadlinePassed);
        }
        let target = envelope.map_or("", |envelope| envelope.target_topic.as_str());
        let topic = if target.is_empty() { topic } else { target }.to_owned();
        let key = message.idempotency().map(|(tenant, key)| Key {
            tenant: tenant.to_owned(),
            topic: topic.clone(),
            group: None,
            key: key.to_owned(),
        });
        if let Some(key) = &key
            && self.keys.begin(key, now)? == Begun::Before
        {
            return Ok(None);
        }
        match self.append(now, &topic, message) {
            Ok(()) => Ok(key),
            Err(refusal) => {
                // A refused produce does not use up its key.
                key.iter().for_each(|key| self.keys.fail(key, now));
                Err(refusal)
            }
        }
    }

    /// Records that the message produced with `key` is on disk: the key's repeats are dropped from now on.
    pub(super) fn produced(&mut self, now: Timestamp, key: &Key) {
        self.keys.commit(key, now);
    }

    /// Appends a message to exactly this topic, if it has room, and delivers it.
    pub(super) fn append(&mut self, now: Timestamp, name: &str, mut message: Message) -> Result<(), Refusal> {
        let topic = self.topics.get_mut(name).ok_or(Refusal::NoTopicToProduceTo)?;
        message.partition = topic.partition_of(&message)?;
        message.offset = topic.offset_in(message.partition, self.profile.offsets);
        if let Err(refusal) = topic.has_room(&self.profile, message.partition, message.bytes()) {
            if let Refusal::Overloaded(cap) = refusal {
                *self.rejected.entry(cap).or_default() += 1;
            }
            return Err(refusal);
        }
        let record = Record::Message { topic: name.to_owned(), message: Box::new(message.clone()) };
        topic.append(message);
        self.effects.records.push(record);
        self.dispatch(now, name);
        Ok(())
    }

    fn dispatch(&mut self, now: Timestamp, name: &str) {
        let (topics, mut turn) = self.turn(now);
        if let Some(topic) = topics.get_mut(name) {
            topic.dispatch(name, &mut turn);
        }
    }

    /// Opens a stream. Only a group's first stream starts deliveries: a later one waits for the next produce,
    /// ack or redelivery.
    pub(super) fn subscribe(
        &mut self,
        now: Timestamp,
        topic: &str,
        group: &str,
        owner: &str,
        lease: SignedDuration,
    ) -> Result<StreamId, Refusal> {
        let id = StreamId(self.streams_opened);
        let Some(found) = self.topics.get_mut(topic) else {
            let named = self.profile.names_missing_topic;
            return Err(if named { Refusal::NoSuchTopic(topic.to_owned()) } else { Refusal::NoTopic });
        };
        let streams = &mut found.groups.entry(group.to_owned()).or_default().streams;
        streams.push(Stream { id, owner: owner.to_owned(), lease });
        let first = streams.len() == 1;
        self.streams_opened += 1;
        if first {
            self.dispatch(now, topic);
        }
        Ok(id)
    }

    /// Closes a stream. Its messages stay in flight, with the same owner.
    pub(super) fn unsubscribe(&mut self, topic: &str, group: &str, id: StreamId) {
        if let Some(group) = self.topics.get_mut(topic).and_then(|topic| topic.groups.get_mut(group)) {
            group.remove(id);
        }
    }

    /// Acks one message, and commits everything below it.
    pub(super) fn ack(&mut self, now: Timestamp, receipt: &Receipt) -> Result<(), Refusal> {
        let (topics, mut turn) = self.turn(now);
        let (topic, place) = find(topics, receipt)?;
        let progress = topic.groups.entry(receipt.group.clone()).or_default().progress(place.partition);
        let entry = progress.in_flight.get(&receipt.offset).ok_or(Refusal::NotInFlight)?;
        if entry.owner != receipt.owner {
            return Err(Refusal::NotOwner);
        }
        let key = turn.key_to_commit(place, &entry.message, &receipt.owner)?;
        turn.commit_keys(key);
        turn.settle(place, progress, receipt.offset);
        turn.counters.acks += 1;
        topic.dispatch(&receipt.topic, &mut turn);
        Ok(())
    }

    /// Acks everything up to one offset, if all messages that are not committed yet are in flight and belong to the owner.
    ///
    /// Messages below the commit are not checked: a message that was acked past stays in flight, and is delivered again.
    pub(super) fn ack_cumulative(&mut self, now: Timestamp, receipt: &Receipt) -> Result<(), Refusal> {
        let (topics, mut turn) = self.turn(now);
        let (topic, place) = find(topics, receipt)?;
        let progress = topic.groups.entry(receipt.group.clone()).or_default().progress(place.partition);
        let first = progress.committed.map_or(0, |committed| committed + 1);
        if first > receipt.offset {
            return Ok(());
        }
        let mut keys = Vec::new();
        for offset in first..=receipt.offset {
            let entry = progress.in_flight.get(&offset).filter(|entry| entry.owner == receipt.owner);
            let entry = entry.ok_or(Refusal::NotAllHeld)?;
            keys.extend(turn.key_to_commit(place, &entry.message, &receipt.owner)?);
        }
        turn.commit_keys(keys);
        // The highest first: only it moves the high-water mark, and is recorded.
        for offset in (first..=receipt.offset).rev() {
            turn.settle(place, progress, offset);
            turn.counters.acks += 1;
        }
        topic.dispatch(&receipt.topic, &mut turn);
        Ok(())
    }

    /// Returns one message, and redelivers at once everything that is overdue, in any topic.
    pub(super) fn nack(&mut self, now: Timestamp, receipt: &Receipt, reason: &str) -> Result<(), Refusal> {
        let (topics, mut turn) = self.turn(now);
        let (topic, place) = find(topics, receipt)?;
        let group = topic.groups.entry(receipt.group.clone()).or_default();
        let lease = group.lease_of(&receipt.owner);
        let entry = group.progress(place.partition).in_flight.get_mut(&receipt.offset);
        let entry = entry.ok_or(Refusal::NotInFlight)?;
        if entry.owner != receipt.owner {
            return Err(Refusal::NotOwner);
        }
        join_errors(&mut entry.last_error, if reason.is_empty() { "nack" } else { reason });
        turn.record_error(place, receipt.offset, &entry.last_error);
        if let Some(key) = place.key_of(&entry.message) {
            let lost = match turn.keys.may_settle(&key, &receipt.owner, now) {
                Ok(Held::Leased) => {
                    turn.keys.fail(&key, now);
                    turn.record_key(key, KeyRecord::Failed);
                    None
                }
                Ok(Held::Unknown) => None,
                Ok(Held::Committed) => Some(Refusal::LeaseLost),
                Err(refusal) => Some(refusal),
            };
            if let Some(refusal) = lost {
                join_errors(&mut entry.last_error, &format!("idem_fail_failed: {refusal}"));
                turn.record_error(place, receipt.offset, &entry.last_error);
            }
        }
        // As if it had been sent one lease ago: its owner's *present* lease, even if that is the default.
        let overdue = lease + SignedDuration::from_millis(1);
        entry.sent_at = now.checked_sub(overdue).unwrap_or(Timestamp::MIN);
        entry.not_before = None;
        turn.counters.nacks += 1;
        self.redeliver(now);
        Ok(())
    }

    /// Redelivers overdue messages; called at every tick.
    pub(super) fn redeliver(&mut self, now: Timestamp) {
        let (topics, mut turn) = self.turn(now);
        let mut exhausted = Vec::new();
        for (name, topic) in topics {
            exhausted.extend(topic.redeliver(name, &mut turn));
        }
        for message in exhausted {
            self.bury(now, &message);
        }
    }
}

/// Finds the topic and position of a receipt; the checks are in the real broker's order.
fn find<'a>(
    topics: &'a mut BTreeMap<String, Topic>,
    receipt: &'a Receipt,
) -> Result<(&'a mut Topic, Place<'a>), Refusal> {
    let partition = usize::try_from(receipt.partition).map_err(|_| Refusal::NegativePartition)?;
    if receipt.offset < 0 {
        return Err(Refusal::NegativeOffset);
    }
    let topic = topics.get_mut(&receipt.topic).ok_or(Refusal::NoTopic)?;
    if partition >= topic.partitions.len() {
        return Err(Refusal::PartitionOutOfRange);
    }
    Ok((topic, Place { topic: &receipt.topic, group: &receipt.group, partition }))
}
