//! One stream at a time for each topic and group: two could not keep the order of acks between them.
//! The lease is a record in the effects table, fenced like any other, and short, so that a dead consumer is soon replaced.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Effects,
    error::StoreError,
    record::{attr, millis, string},
    store::{Change, Condition, Write},
};

/// No run id can be this: they hold no `:`.
const STREAM: &str = ":stream";
const OWNER: &str = "owner";

/// The right to consume a topic as a group, for a time.
#[derive(Debug)]
#[must_use = "release it, so that the next consumer need not wait"]
pub struct StreamLease {
    name: String,
    owner: String,
    /// How long each renewal lasts.
    pub length: Duration,
}

impl Effects {
    /// Takes the stream, or says until when another has it.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn take_stream(
        &self,
        topic: &str,
        group: &str,
        owner: &str,
        length: Duration,
        now: Timestamp,
    ) -> Result<Result<StreamLease, Timestamp>, StoreError> {
        let lease = StreamLease { name: format!("{topic}:{group}"), owner: owner.to_owned(), length };
        let condition = Condition {
            expression: "attribute_not_exists(#owner) OR #owner = :mine OR #lease_until < :now",
            names: &[OWNER, attr::LEASE_UNTIL],
            values: vec![("mine", string(owner)), ("now", millis(now))],
        };
        let change = Change::default().set(OWNER, string(owner)).set(attr::LEASE_UNTIL, millis(now + length));
        match self.store.update((STREAM, &lease.name), change, condition).await? {
            Write::Applied(_) => Ok(Ok(lease)),
            Write::Refused(item) => {
                let until =
                    item.get(attr::LEASE_UNTIL).and_then(|n| n.as_n().ok()).and_then(|n| n.parse().ok());
                let until = until.and_then(|ms| Timestamp::from_millisecond(ms).ok());
                Ok(Err(until.ok_or(StoreError::Malformed(attr::LEASE_UNTIL))?))
            }
        }
    }

    /// Keeps the stream. [`StoreError::Fenced`]: another has taken it, and no ack may be sent any more.
    ///
    /// # Errors
    /// Fenced, or DynamoDB could not be asked.
    pub async fn renew_stream(&self, lease: &StreamLease, now: Timestamp) -> Result<(), StoreError> {
        self.hold_stream_until(lease, now + lease.length).await
    }

    /// Gives the stream up.
    ///
    /// # Errors
    /// As [`Effects::renew_stream`]; it ends by itself then.
    pub async fn release_stream(&self, lease: StreamLease) -> Result<(), StoreError> {
        self.hold_stream_until(&lease, Timestamp::UNIX_EPOCH).await
    }

    async fn hold_stream_until(&self, lease: &StreamLease, until: Timestamp) -> Result<(), StoreError> {
        let condition = Condition {
            expression: "#owner = :mine",
            names: &[OWNER],
            values: vec![("mine", string(&lease.owner))],
        };
        let change = Change::default().set(attr::LEASE_UNTIL, millis(until));
        match self.store.update((STREAM, &lease.name), change, condition).await? {
            Write::Applied(_) => Ok(()),
            Write::Refused(_) => Err(StoreError::Fenced),
        }
    }
}
