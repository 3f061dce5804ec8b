//! A generation of DriftQ brokers as one value: its limits, and its differences in behaviour.

use std::time::Duration;

/// A generation of DriftQ brokers. Users run several, and a client can't ask which one it talks to.
///
/// [`Profile::G0`] and [`Profile::G3`] were observed over HTTP. The ones between them (G1, G2) have a part of G3's changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    name: &'static str,
    /// Maximum unacked messages per (group, partition), over all owners.
    pub(super) max_in_flight: usize,
    /// Maximum unacked messages per partition: the next one is refused.
    pub(super) max_messages: usize,
    /// Limit of a partition's unacked keys and values, in bytes; they must stay below it.
    pub(super) max_bytes: usize,
    pub(super) offsets: Offsets,
    /// Topics are in the log: an empty one survives a restart, with all its partitions, and creating an existing one is refused. Otherwise a topic
    /// exists only through its messages, and creating it again does nothing.
    pub(super) durable_topics: bool,
    /// Whether the error about consuming from a missing topic names the topic.
    pub(super) names_missing_topic: bool,
    /// Every delivery carries the label of a test router.
    pub(super) routing: bool,
    /// The interval at which overdue messages are redelivered.
    pub(super) tick: Duration,
    pub(super) order: Order,
    /// How long after its response an ack may still be missing in the log; `None` if it is written before the response.
    pub(super) acks_flushed_within: Option<Duration>,
    /// `POST /v1/ack-cumulative`, `GET /v1/config`, and more counters in `/metrics`.
    pub(super) extended: bool,
    /// How long a stopping broker waits for its open streams.
    pub(super) grace: Duration,
}

/// The numbering of offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offsets {
    /// One counter for the whole topic: a partition's offsets have gaps.
    PerTopic,
    /// Contiguous from 0 in each partition. A log in which they are not is refused.
    PerPartition,
}

/// The order of overdue messages of one partition at redelivery, and of messages that are first delivered together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Mostly by offset. Of two first deliveries, the second comes first in one of `overtakes_one_in` cases; redeliveries descend in one of
    /// `descends_one_in` cases.
    MostlyAscending { overtakes_one_in: u64, descends_one_in: u64 },
    /// First deliveries by offset, redeliveries at random.
    RandomRedeliveries,
}

impl Profile {
    /// The first generation: 2 in flight, 100 messages and 64 KiB per partition.
    pub const G0: Self = Self {
        name: "g0",
        max_in_flight: 2,
        max_messages: 100,
        max_bytes: 64 * 1024,
        offsets: Offsets::PerTopic,
        durable_topics: false,
        names_missing_topic: false,
        routing: true,
        tick: Duration::from_millis(250),
        // Both as observed: 1 of 300 pairs, and Go's iteration over a map of two entries.
        order: Order::MostlyAscending { overtakes_one_in: 300, descends_one_in: 8 },
        acks_flushed_within: None,
        extended: false,
        grace: Duration::from_secs(5),
    };

    /// The newer generation: 32 in flight, 1,024 messages and 4 MiB per partition.
    pub const G3: Self = Self {
        name: "g3",
        max_in_flight: 32,
        max_messages: 1024,
        max_bytes: 4 * 1024 * 1024,
        offsets: Offsets::PerPartition,
        durable_topics: true,
        names_missing_topic: true,
        routing: false,
        tick: Duration::from_secs(1),
        order: Order::RandomRedeliveries,
        acks_flushed_within: Some(Duration::from_millis(100)),
        extended: true,
        grace: Duration::from_millis(6500),
    };

    /// The same profile with another limit of messages in flight per group and partition, as with `-max-inflight`.
    #[must_use]
    pub const fn with_max_in_flight(self, max_in_flight: usize) -> Self {
        Self { max_in_flight, ..self }
    }

    /// Its name: `g0` or `g3`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// At most this many messages are in flight per group and partition.
    #[must_use]
    pub const fn max_in_flight(self) -> usize {
        self.max_in_flight
    }

    /// A partition takes at most this many unacked messages.
    #[must_use]
    pub const fn max_messages(self) -> usize {
        self.max_messages
    }

    /// Keys and values of a partition's unacked messages stay below this many bytes.
    #[must_use]
    pub const fn max_bytes(self) -> usize {
        self.max_bytes
    }

    /// How often overdue messages are looked for.
    #[must_use]
    pub const fn tick(self) -> Duration {
        self.tick
    }
}
