//! The lines of the WAL: JSON, one record per line, of the kinds that the real broker writes.
//!
//! The first generation writes no record for a topic: so its empty topics vanish, and its partition counts shrink at a restart. There is none for
//! a delivery either: so a restart forgets attempts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::message::Message;

/// One line of the WAL.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Record {
    /// A topic was created. Only in the logs of a generation whose topics are durable.
    Topic { name: String, partitions: usize },
    /// A message was produced.
    Message { topic: String, message: Box<Message> },
    /// `offset` and everything below it in the partition is done: a high-water mark, not a set.
    Commit { topic: String, group: String, partition: usize, offset: i64 },
    /// The last error of a message that will be tried again.
    Error { topic: String, group: String, partition: usize, offset: i64, last_error: String, at: Timestamp },
    /// A change of a consume-scope idempotency key.
    Key { tenant: String, topic: String, group: String, key: String, status: KeyRecord, at: Timestamp },
}

/// The state of a consume-scope key. A pending one is forgotten at a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(super) enum KeyRecord {
    Pending { owner: String, until: Timestamp },
    Committed,
    Failed,
}
