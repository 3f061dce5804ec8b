//! Idempotency keys, in their two scopes.
//!
//! *Produce*: a key is remembered per tenant and final topic; a repeated produce is answered but dropped. *Consume*: a key is leased per tenant,
//! topic and group to the owner that got the message, and is committed by its ack.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::record::KeyRecord;
use super::refusal::Refusal;

/// A key that is not used for this long is forgotten, except a committed consume key.
const REMEMBERED: SignedDuration = SignedDuration::from_mins(10);
/// A lease on a key outside these bounds is refused, and the message then never delivered.
const SHORTEST_LEASE: SignedDuration = SignedDuration::from_millis(250);
const LONGEST_LEASE: SignedDuration = SignedDuration::from_mins(10);

/// The name of a key; the group distinguishes the two scopes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) tenant: String,
    pub(super) topic: String,
    /// `None` in the produce scope.
    pub(super) group: Option<String>,
    pub(super) key: String,
}

#[derive(Debug)]
struct Entry {
    status: Status,
    updated_at: Timestamp,
}

#[derive(Debug)]
enum Status {
    /// A produce that is not on disk yet.
    Producing,
    /// A delivery that is not acked yet.
    Leased {
        owner: String,
        until: Timestamp,
    },
    Committed,
    Failed,
}

/// Whether a produce is the first with its key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begun {
    First,
    /// Already produced: the response is the same, and the message is dropped.
    Before,
}

#[derive(Debug, Default)]
pub(super) struct Keys {
    entries: HashMap<Key, Entry>,
}

impl Keys {
    /// Starts a produce with a key.
    pub(super) fn begin(&mut self, key: &Key, now: Timestamp) -> Result<Begun, Refusal> {
        match self.status(key, now) {
            Some(Status::Committed) => Ok(Begun::Before),
            Some(Status::Producing) => Err(Refusal::KeyInFlight),
            _ => {
                self.set(key, Status::Producing, now);
                Ok(Begun::First)
            }
        }
    }

    /// Commits a produce that is on disk: from now on the key's repeats are dropped.
    pub(super) fn commit(&mut self, key: &Key, now: Timestamp) {
        self.set(key, Status::Committed, now);
    }

    /// Releases the key: the produce or the delivery failed.
    pub(super) fn fail(&mut self, key: &Key, now: Timestamp) {
        self.set(key, Status::Failed, now);
    }

    pub(super) fn is_committed(&self, key: &Key, now: Timestamp) -> bool {
        matches!(self.status(key, now), Some(Status::Committed))
    }

    /// Leases a consume key to `owner`. An owner may renew its own lease, and anyone may take an expired one.
    pub(super) fn lease(
        &mut self,
        key: &Key,
        owner: &str,
        lease: SignedDuration,
        now: Timestamp,
    ) -> Result<KeyRecord, Refusal> {
        if lease < SHORTEST_LEASE || lease > LONGEST_LEASE {
            return Err(Refusal::BadLease);
        }
        if let Some(Status::Leased { owner: holder, until }) = self.status(key, now)
            && now < *until
            && holder != owner
        {
            return Err(Refusal::LeaseHeld);
        }
        let until = now + lease;
        self.set(key, Status::Leased { owner: owner.to_owned(), until }, now);
        Ok(KeyRecord::Pending { owner: owner.to_owned(), until })
    }

    /// Whether `owner` still holds the key, so that its ack or nack may settle it. An unknown key (acked long ago, or forgotten at a restart) blocks
    /// nothing.
    pub(super) fn may_settle(&self, key: &Key, owner: &str, now: Timestamp) -> Result<Held, Refusal> {
        match self.status(key, now) {
            None => Ok(Held::Unknown),
            Some(Status::Leased { owner: holder, .. }) if holder != owner => Err(Refusal::LeaseHeld),
            Some(Status::Leased { until, .. }) if now < *until => Ok(Held::Leased),
            Some(Status::Committed) => Ok(Held::Committed),
            _ => Err(Refusal::LeaseLost),
        }
    }

    /// Applies a WAL record about a consume key.
    pub(super) fn replay(&mut self, key: &Key, record: &KeyRecord, at: Timestamp) {
        match record {
            KeyRecord::Pending { .. } => {} // every lease is over at a restart
            KeyRecord::Committed => self.set(key, Status::Committed, at),
            KeyRecord::Failed => self.set(key, Status::Failed, at),
        }
    }

    fn set(&mut self, key: &Key, status: Status, now: Timestamp) {
        self.entries.insert(key.clone(), Entry { status, updated_at: now });
    }

    /// The real broker removes forgotten keys at every call; here they are only ignored.
    fn status(&self, key: &Key, now: Timestamp) -> Option<&Status> {
        let entry = self.entries.get(key)?;
        let kept_for_ever = match &entry.status {
            Status::Committed => key.group.is_some(),
            Status::Leased { until, .. } => now < *until,
            Status::Producing | Status::Failed => false,
        };
        (kept_for_ever || now.duration_since(entry.updated_at) <= REMEMBERED).then_some(&entry.status)
    }
}

/// The state of a consume key for the owner that wants to settle it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Held {
    Unknown,
    Leased,
    Committed,
}
