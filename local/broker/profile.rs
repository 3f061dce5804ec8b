//! Which generation of DriftQ broker to be, as one value: its limits, and where its behaviour differs.

use std::time::Duration;

/// A generation of DriftQ brokers. Users run several, and no client is told which one it talks to.
///
/// [`Profile::G0`] and [`Profile::G3`] were seen at the wire. What lies between them (G1, G2) has a part of G3's changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    name: &'static str,
    /// At most this many unacked messages in a (group, partition), whoever holds them.
    pub(super) max_in_flight: usize,
    /// At most this many unacked messages in a partition: the next one is refused.
    pub(super) max_messages: usize,
    /// Unacked keys and values of a partition must stay below this.
    pub(super) max_bytes: usize,
    pub(super) offsets: Offsets,
    /// Topics are in the log: an empty one survives a restart, with all its partitions, and creating one that exists is
    /// refused. Otherwise a topic lives by its messages, and creating it again does nothing.
    pub(super) durable_topics: bool,
    /// What consuming from a missing topic is answered with names the topic.
    pub(super) names_missing_topic: bool,
    /// Every delivery carries the label of a test router.
    pub(super) routing: bool,
    /// How often overdue messages are looked for.
    pub(super) tick: Duration,
    pub(super) order: Order,
    /// How long after its answer an ack may still be missing in the log; `None` if it is written before the answer.
    pub(super) acks_flushed_within: Option<Duration>,
    /// `POST /v1/ack-cumulative`, `GET /v1/config`, and more counters in `/metrics`.
    pub(super) extended: bool,
    /// How long a stopping broker waits for its open streams.
    pub(super) grace: Duration,
}

/// How offsets are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offsets {
    /// One counter for the whole topic: a partition's offsets have gaps.
    PerTopic,
    /// Contiguous from 0 in each partition. A log in which they are not is refused.
    PerPartition,
}

/// In which order overdue messages of one partition are redelivered, and those delivered together for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Mostly by offset. Of two first deliveries the second overtakes the first once in so many; redeliveries descend
    /// once in so many.
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
        // Both as seen: 1 of 300 pairs, and Go's walk through a map of two entries.
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

    /// The same, but with at most so many messages in flight per group and partition, as `-max-inflight` sets it.
    #[must_use]
    pub const fn with_max_in_flight(self, max_in_flight: usize) -> Self {
        Self { max_in_flight, ..self }
    }

    /// `g0` or `g3`.
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
