//! One turn of the broker: the present time, and the effects.
//!
//! The state machine does no input or output. It gets a `now`, and returns records for the WAL and deliveries for the streams; its driver makes
//! sure that the records are on disk before the deliveries are sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::delivery::Delivery;
use super::group::{Group, InFlight, Progress, Stream};
use super::keys::{Held, Key, Keys};
use super::message::Message;
use super::profile::Profile;
use super::record::{KeyRecord, Record};
use super::refusal::Refusal;

/// The output of a turn: first the records, then the deliveries.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) records: Vec<Record>,
    pub(super) deliveries: Vec<Delivery>,
}

/// The context of a topic's operations.
pub(super) struct Turn<'a> {
    pub(super) now: Timestamp,
    pub(super) keys: &'a mut Keys,
    pub(super) effects: &'a mut Effects,
    pub(super) dice: &'a mut Dice,
    pub(super) counters: &'a mut Counters,
    pub(super) profile: &'a Profile,
}

/// Counters since the start, for `/metrics`.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) acks: u64,
    pub(super) nacks: u64,
    pub(super) redeliveries: u64,
    /// Messages whose lease expired without an ack or a nack.
    pub(super) timeouts: u64,
    pub(super) topics_created: BTreeMap<String, u64>,
}

/// A (topic, group, partition), for records and keys.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) topic: &'a str,
    pub(super) group: &'a str,
    pub(super) partition: usize,
}

/// Which stream may get a message now.
pub(super) enum Choice {
    To(Stream),
    /// None, ever: the group has committed its idempotency key.
    Done,
    /// None yet: another owner holds its idempotency key.
    Later,
}

impl Place<'_> {
    /// The consume-scope key of a message that has one.
    pub(super) fn key_of(&self, message: &Message) -> Option<Key> {
        let (tenant, key) = message.idempotency()?;
        let (topic, group) = (self.topic.to_owned(), Some(self.group.to_owned()));
        Some(Key { tenant: tenant.to_owned(), topic, group, key: key.to_owned() })
    }
}

impl Turn<'_> {
    /// Chooses the stream for a message: the next in turn, or with an idempotency key the next one that can lease it.
    pub(super) fn choose(
        &mut self,
        place: Place<'_>,
        group: &mut Group,
        message: &Message,
    ) -> Result<Choice, Refusal> {
        let Some(key) = place.key_of(message) else {
            return Ok(Choice::To(group.take(group.cursor)));
        };
        if self.keys.is_committed(&key, self.now) {
            return Ok(Choice::Done);
        }
        for tried in 0..group.streams.len() {
            let index = (group.cursor + tried) % group.streams.len();
            let stream = &group.streams[index];
            match self.keys.lease(&key, &stream.owner, stream.lease, self.now) {
                Ok(leased) => {
                    self.record_key(key, leased);
                    return Ok(Choice::To(group.take(index)));
                }
                Err(Refusal::LeaseHeld) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(Choice::Later)
    }

    /// The idempotency key that an ack by `owner` commits, if the message has one that is not settled yet.
    pub(super) fn key_to_commit(
        &self,
        place: Place<'_>,
        message: &Message,
        owner: &str,
    ) -> Result<Option<Key>, Refusal> {
        let Some(key) = place.key_of(message) else { return Ok(None) };
        match self.keys.may_settle(&key, owner, self.now) {
            Ok(Held::Leased) => Ok(Some(key)),
            Ok(Held::Committed | Held::Unknown) => Ok(None),
            Err(Refusal::LeaseHeld) => Err(Refusal::NotOwner),
            Err(refusal) => Err(refusal),
        }
    }

    pub(super) fn commit_keys(&mut self, keys: impl IntoIterator<Item = Key>) {
        for key in keys {
            self.keys.commit(&key, self.now);
            self.record_key(key, KeyRecord::Committed);
        }
    }

    /// Sends an in-flight message to the stream chosen for it.
    pub(super) fn deliver(&mut self, to: &Stream, entry: &InFlight) {
        self.effects.deliveries.push(Delivery {
            to: to.id,
            message: Arc::clone(&entry.message),
            attempts: entry.attempts,
            last_error: entry.last_error.clone(),
            routing: self.profile.routing,
        });
    }

    /// Moves the group's high-water mark up to `offset`; never down.
    pub(super) fn settle(&mut self, place: Place<'_>, progress: &mut Progress, offset: i64) {
        progress.in_flight.remove(&offset);
        progress.errors.retain(|other, _| *other > offset);
        if Some(offset) > progress.committed {
            progress.committed = Some(offset);
            let Place { topic, group, partition } = place;
            let (topic, group) = (topic.to_owned(), group.to_owned());
            self.effects.records.push(Record::Commit { topic, group, partition, offset });
        }
    }

    pub(super) fn record_error(&mut self, place: Place<'_>, offset: i64, last_error: &str) {
        self.effects.records.push(Record::Error {
            topic: place.topic.to_owned(),
            group: place.group.to_owned(),
            partition: place.partition,
            offset,
            last_error: last_error.to_owned(),
            at: self.now,
        });
    }

    pub(super) fn record_key(&mut self, key: Key, status: KeyRecord) {
        let Key { tenant, topic, group, key } = key;
        let group = group.unwrap_or_default();
        self.effects.records.push(Record::Key { tenant, topic, group, key, status, at: self.now });
    }
}

/// Adds an error to those of earlier deliveries.
pub(super) fn join_errors(so_far: &mut String, more: &str) {
    if !so_far.is_empty() && !more.is_empty() {
        so_far.push_str(" | ");
    }
    so_far.push_str(more);
}

/// A random number generator for orders that the real broker leaves to Go's scheduler and map iteration.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// True in one of `n` cases, on average.
    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.throw().is_multiple_of(n)
    }

    /// Shuffles the items.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.throw() % (last as u64 + 1);
            items.swap(last, other as usize);
        }
    }

    /// The next number, by xorshift64.
    fn throw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
