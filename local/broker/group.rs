//! A consumer group: its open streams, and its progress in each partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::delivery::StreamId;
use super::message::Message;

/// The lease of a stream that requests none, and of an owner without a stream.
pub(super) const DEFAULT_LEASE: SignedDuration = SignedDuration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) streams: Vec<Stream>,
    /// The next stream: an index into `streams`. Round-robin is over streams, not owners.
    pub(super) cursor: usize,
    pub(super) partitions: Vec<Progress>,
}

/// One open consume request.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) owner: String,
    pub(super) lease: SignedDuration,
}

/// A group's progress in one partition.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The highest offset acked: everything up to it is done, whether it was acked or not.
    pub(super) committed: Option<i64>,
    /// The index of the next message to deliver for the first time. Unset until the first delivery, so that
    /// a restarted broker resumes after `committed`.
    pub(super) next: Option<usize>,
    /// Delivered and not acked, by offset.
    pub(super) in_flight: BTreeMap<i64, InFlight>,
    /// Errors of messages that are not in flight: they are sent with their next first delivery.
    pub(super) errors: BTreeMap<i64, String>,
}

/// A message that was delivered and is not acked.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) message: Arc<Message>,
    /// The owner, who may ack it. It stays the owner when its stream is closed.
    pub(super) owner: String,
    pub(super) sent_at: Timestamp,
    pub(super) attempts: i64,
    pub(super) last_error: String,
    /// Earliest redelivery, by the message's retry policy.
    pub(super) not_before: Option<Timestamp>,
}

impl Group {
    /// How long `owner` may hold a message: the lease of its first stream. An owner without a stream has the default: so a dead consumer's messages
    /// are redelivered to a *new* owner after 2 s, but to the same name only after its full lease.
    pub(super) fn lease_of(&self, owner: &str) -> SignedDuration {
        self.streams.iter().find(|stream| stream.owner == owner).map_or(DEFAULT_LEASE, |stream| stream.lease)
    }

    pub(super) fn remove(&mut self, id: StreamId) {
        self.streams.retain(|stream| stream.id != id);
        self.cursor = self.cursor.checked_rem(self.streams.len()).unwrap_or(0);
    }

    /// Takes the stream at `index` and moves the cursor past it.
    pub(super) fn take(&mut self, index: usize) -> Stream {
        self.cursor = (index + 1) % self.streams.len();
        self.streams[index].clone()
    }

    pub(super) fn has_acked(&self) -> bool {
        self.partitions.iter().any(|progress| progress.committed.is_some())
    }

    pub(super) fn committed(&self, partition: usize) -> Option<i64> {
        self.partitions.get(partition)?.committed
    }

    pub(super) fn progress(&mut self, partition: usize) -> &mut Progress {
        if self.partitions.len() <= partition {
            self.partitions.resize_with(partition + 1, Progress::default);
        }
        &mut self.partitions[partition]
    }
}
