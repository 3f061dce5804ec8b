//! The stream lease: one stream at a time per topic, group and broker, since two streams could not keep the order of acks. It is a record
//! in the effects table, fenced like any other, and short, so that a dead consumer is soon replaced.
//!
//! A consumer that finds it taken sets a mark, since it was woken for a reason. The owner sees the mark when it
//! releases the lease, and looks for work once more. So no wake-up is lost while a consumer is about to end.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    attributes::{Item, attr, millis, string},
    error::StoreError,
    expression::{Change, Condition},
    store::{Store, Write},
};

/// The run id of the leases. No run has it: run ids hold no `:`.
const STREAM: &str = ":stream";
const OWNER: &str = "owner";
const WAKE_REQUESTED: &str = "wake_requested";

/// The right to consume a topic as a group, for a time.
#[derive(Debug)]
#[must_use = "release it, so that the next consumer need not wait"]
pub struct StreamLease {
    name: String,
    owner: String,
    /// The length of each renewal.
    pub length: Duration,
}

/// The result of taking a stream lease.
#[derive(Debug)]
pub enum Taken {
    /// The lease is taken.
    Ours(StreamLease),
    /// Another consumer has it until then, and will see the mark.
    Held(Timestamp),
}

/// The result of releasing a stream lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// There was no mark.
    Quietly,
    /// Another consumer was woken and found the lease taken: there may be more to do.
    Requested,
}

/// Takes, renews and releases stream leases.
#[derive(Debug, Clone)]
pub struct StreamLeases {
    pub(super) store: Store,
}

impl StreamLeases {
    /// Takes the stream lease of that name, or sets the mark.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn take(
        &self,
        name: &str,
        owner: &str,
        length: Duration,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        let lease = StreamLease { name: name.to_owned(), owner: owner.to_owned(), length };
        let free = Condition {
            expression: "attribute_not_exists(#owner) OR #owner = :mine OR #lease_until < :now",
            names: &[OWNER, attr::LEASE_UNTIL],
            values: vec![("mine", string(owner)), ("now", millis(now))],
        };
        let change = Change::default()
            .set(OWNER, string(owner))
            .set(attr::LEASE_UNTIL, millis(now + length))
            .remove(&[WAKE_REQUESTED]);
        let Write::Refused(item) = self.store.update((STREAM, name), change, free).await? else {
            return Ok(Taken::Ours(lease));
        };
        let held = Condition {
            expression: "#owner = :theirs AND #lease_until >= :now",
            names: &[OWNER, attr::LEASE_UNTIL],
            values: vec![("theirs", string(owner_of(&item)?)), ("now", millis(now))],
        };
        let mark = Change::default().set(WAKE_REQUESTED, millis(now));
        // Refused: the lease has just been released or taken. The caller finds out when it asks again at the returned time.
        match self.store.update((STREAM, name), mark, held).await? {
            Write::Applied(item) => Ok(Taken::Held(until(&item)?)),
            Write::Refused(_) => Ok(Taken::Held(now)),
        }
    }

    /// Renews the lease. [`StoreError::Fenced`]: another consumer has taken it, and no ack may be sent any more.
    ///
    /// # Errors
    /// Fenced, or DynamoDB could not be asked.
    pub async fn renew(&self, lease: &StreamLease, now: Timestamp) -> Result<(), StoreError> {
        let change = Change::default().set(attr::LEASE_UNTIL, millis(now + lease.length));
        match self.store.update((STREAM, &lease.name), change, mine(lease)).await? {
            Write::Applied(_) => Ok(()),
            Write::Refused(_) => Err(StoreError::Fenced),
        }
    }

    /// Releases the lease.
    ///
    /// # Errors
    /// As [`StreamLeases::renew`]; the lease then expires.
    pub async fn release(&self, lease: StreamLease) -> Result<Released, StoreError> {
        let quietly = Condition {
            expression: "#owner = :mine AND attribute_not_exists(#wake_requested)",
            names: &[OWNER, WAKE_REQUESTED],
            values: vec![("mine", string(&lease.owner))],
        };
        let over = || Change::default().set(attr::LEASE_UNTIL, millis(Timestamp::UNIX_EPOCH));
        let key = (STREAM, lease.name.as_str());
        if let Write::Applied(_) = self.store.update(key, over(), quietly).await? {
            return Ok(Released::Quietly);
        }
        match self.store.update(key, over().remove(&[WAKE_REQUESTED]), mine(&lease)).await? {
            Write::Applied(_) => Ok(Released::Requested),
            Write::Refused(_) => Err(StoreError::Fenced),
        }
    }
}

fn mine(lease: &StreamLease) -> Condition<'static> {
    Condition { expression: "#owner = :mine", names: &[OWNER], values: vec![("mine", string(&lease.owner))] }
}

fn owner_of(item: &Item) -> Result<&str, StoreError> {
    item.get(OWNER)
        .and_then(|owner| owner.as_s().ok())
        .map(String::as_str)
        .ok_or(StoreError::Malformed(OWNER))
}

fn until(item: &Item) -> Result<Timestamp, StoreError> {
    let until = item.get(attr::LEASE_UNTIL).and_then(|n| n.as_n().ok()).and_then(|n| n.parse().ok());
    let until = until.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    until.ok_or(StoreError::Malformed(attr::LEASE_UNTIL))
}
