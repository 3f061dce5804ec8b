//! A topic: its partitions, the messages produced to them, and the room left.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::group::Group;
use super::message::Message;
use super::profile::{Offsets, Profile};
use super::refusal::{Cap, Refusal};

#[derive(Debug, Default)]
pub(super) struct Topic {
    pub(super) partitions: Vec<Partition>,
    /// One above the highest offset in any partition.
    pub(super) next_offset: i64,
    pub(super) groups: BTreeMap<String, Group>,
}

/// Everything ever produced to one partition, acked or not, by rising offset. Nothing is ever removed.
#[derive(Debug, Default)]
pub(super) struct Partition {
    messages: Vec<Arc<Message>>,
    /// `ends[i]`: the bytes of the first `i + 1` messages, so that the bytes since any offset are one subtraction.
    ends: Vec<usize>,
}

impl Topic {
    pub(super) fn new(partitions: usize) -> Self {
        Self { partitions: (0..partitions).map(|_| Partition::default()).collect(), ..Self::default() }
    }

    /// The partition of a message: its override, else its key's hash, else the first.
    pub(super) fn partition_of(&self, message: &Message) -> Result<usize, Refusal> {
        let count = self.partitions.len();
        if let Some(wanted) = message.envelope.as_ref().and_then(|envelope| envelope.partition_override) {
            return match usize::try_from(wanted) {
                Ok(partition) if partition < count => Ok(partition),
                _ => Err(Refusal::PartitionOverrideOutOfRange),
            };
        }
        Ok(if message.key.is_empty() { 0 } else { fnv1a(message.key.as_bytes()) as usize % count })
    }

    /// Whether one more message of `bytes` fits. The slowest group counts, once it has acked anything in the topic; if none has, nothing is consumed
    /// and the partition fills up for good.
    pub(super) fn has_room(&self, limits: &Profile, partition: usize, bytes: usize) -> Result<(), Refusal> {
        let readers = self.groups.values().filter(|group| group.has_acked());
        let slowest = readers.map(|group| group.committed(partition)).min().flatten();
        let partition = &self.partitions[partition];
        if partition.count_after(slowest) >= limits.max_messages {
            return Err(Refusal::Overloaded(Cap::Messages));
        }
        if partition.bytes_after(slowest) + bytes >= limits.max_bytes {
            return Err(Refusal::Overloaded(Cap::Bytes));
        }
        Ok(())
    }

    /// The offset of the next message in `partition`.
    pub(super) fn offset_in(&self, partition: usize, offsets: Offsets) -> i64 {
        match offsets {
            Offsets::PerTopic => self.next_offset,
            Offsets::PerPartition => self.partitions[partition].end(),
        }
    }

    /// Appends a message that has its partition and offset.
    pub(super) fn append(&mut self, message: Message) {
        self.next_offset = self.next_offset.max(message.offset + 1);
        let partition = &mut self.partitions[message.partition];
        partition.ends.push(partition.ends.last().copied().unwrap_or(0) + message.bytes());
        partition.messages.push(Arc::new(message));
    }
}

impl Partition {
    pub(super) fn get(&self, index: usize) -> Option<&Arc<Message>> {
        self.messages.get(index)
    }

    /// One above its highest offset.
    fn end(&self) -> i64 {
        self.messages.last().map_or(0, |message| message.offset + 1)
    }

    /// The index of the first message after `committed`.
    pub(super) fn first_after(&self, committed: Option<i64>) -> usize {
        self.messages.partition_point(|message| Some(message.offset) <= committed)
    }

    /// How many messages are after `committed`: a group's lag.
    pub(super) fn count_after(&self, committed: Option<i64>) -> usize {
        self.messages.len() - self.first_after(committed)
    }

    fn bytes_after(&self, committed: Option<i64>) -> usize {
        let total = self.ends.last().copied().unwrap_or(0);
        match self.first_after(committed) {
            0 => total,
            first => total - self.ends[first - 1],
        }
    }
}

/// FNV-1a, 32 bits: the hash the real broker partitions keys by.
pub(super) fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
