//! The broker's errors, with the real broker's texts.

use std::fmt;

/// A request that the broker's state does not allow. Its text is sent unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Produce came after the message's own deadline; checked before everything else.
    DeadlinePassed,
    /// Produce to a missing topic: 400, not 404.
    NoTopicToProduceTo,
    /// Consume, ack or nack on a missing topic.
    NoTopic,
    /// Consume on this missing topic, where the response names it.
    NoSuchTopic(String),
    /// The topic can't be created: it exists.
    TopicExists(String),
    PartitionOverrideOutOfRange,
    PartitionOutOfRange,
    NegativePartition,
    NegativeOffset,
    /// Acked already, never delivered, or no such offset.
    NotInFlight,
    /// In flight, but owned by another consumer: 409.
    NotOwner,
    /// Not everything up to the offset is in flight and owned by the caller: 409.
    NotAllHeld,
    /// The partition is full: the only 429.
    Overloaded(Cap),
    /// The same produce key is being written by another request.
    KeyInFlight,
    /// Another owner holds the message's consume key. This refusal is never sent: it only delays the delivery.
    LeaseHeld,
    /// The consume key's lease expired before the ack.
    LeaseLost,
    /// A lease that a message with an idempotency key cannot have.
    BadLease,
}

/// Which of a partition's two caps was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cap {
    Bytes,
    Messages,
}

impl Cap {
    /// The `reason` of the 429 and the label of `produce_rejected_total`.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Cap::Bytes => "partition_buffer_bytes_full",
            Cap::Messages => "partition_buffer_full",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::DeadlinePassed => "message deadline exceeded",
            Refusal::NoTopicToProduceTo => "topic does not exist (create it first)",
            Refusal::NoTopic => "topic does not exist",
            Refusal::NoSuchTopic(name) => return write!(f, "topic not found: {name}"),
            Refusal::TopicExists(name) => return write!(f, "topic already exists: {name}"),
            Refusal::PartitionOverrideOutOfRange => "partition_override out of range",
            Refusal::PartitionOutOfRange => "partition out of range",
            Refusal::NegativePartition => "partition cannot be negative",
            Refusal::NegativeOffset => "offset cannot be negative",
            Refusal::NotInFlight => "message is not in-flight",
            Refusal::NotOwner => "not owner",
            Refusal::NotAllHeld => "not every message up to the offset is in flight and held by the owner",
            Refusal::Overloaded(cap) => return write!(f, "producer overload: {}", cap.reason()),
            Refusal::KeyInFlight => "idempotency: key already in-flight",
            Refusal::LeaseHeld => "idempotency: lease held by another worker",
            Refusal::LeaseLost => "idempotency: lease lost or expired",
            Refusal::BadLease => "idempotency: invalid lease duration",
        })
    }
}
