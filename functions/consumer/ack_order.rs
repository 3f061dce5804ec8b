//! Which settled messages may be acked now. Pure: no broker, no clock.
//!
//! A commit is a high-water mark (transcript 05): acking offset 5 before 3 and then losing the broker process loses 3.
//! So within a partition a message is acked only once every lower offset received on this stream has been.

use std::collections::{BTreeMap, btree_map::Entry};

/// Where a message stands. `T` is what its ack takes.
#[derive(Debug)]
enum State<T> {
    Working,
    /// It could not be settled; it keeps everything above it from being acked, until it is delivered again.
    Unsettled,
    Settled(T),
    Acking,
}

/// The messages received on one stream and not yet acked.
#[derive(Debug)]
pub struct AckOrder<T> {
    partitions: BTreeMap<u32, BTreeMap<u64, State<T>>>,
}

/// Whether a delivery is to be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// Yes.
    Fresh,
    /// No: its lease ran out and the broker sent it again while it is still being worked on (transcript 07).
    Again,
}

impl<T> Default for AckOrder<T> {
    fn default() -> Self {
        Self { partitions: BTreeMap::new() }
    }
}

impl<T> AckOrder<T> {
    /// A message has been received.
    pub fn received(&mut self, partition: u32, offset: u64) -> Delivered {
        match self.partitions.entry(partition).or_default().entry(offset) {
            Entry::Vacant(entry) => {
                entry.insert(State::Working);
                Delivered::Fresh
            }
            Entry::Occupied(mut entry) if matches!(entry.get(), State::Unsettled) => {
                entry.insert(State::Working);
                Delivered::Fresh
            }
            Entry::Occupied(_) => Delivered::Again,
        }
    }

    /// A message is settled; `ack` is what its ack takes.
    pub fn settled(&mut self, partition: u32, offset: u64, ack: T) {
        self.put(partition, offset, State::Settled(ack));
    }

    /// A message could not be settled.
    pub fn unsettled(&mut self, partition: u32, offset: u64) {
        self.put(partition, offset, State::Unsettled);
    }

    fn put(&mut self, partition: u32, offset: u64, state: State<T>) {
        self.partitions.entry(partition).or_default().insert(offset, state);
    }

    /// What may be acked now: at most one message a partition, since its ack must arrive before the next one's.
    pub fn ready(&mut self) -> Vec<(u32, u64, T)> {
        let mut ready = Vec::new();
        for (partition, offsets) in &mut self.partitions {
            let Some(mut lowest) = offsets.first_entry() else { continue };
            if matches!(lowest.get(), State::Settled(_))
                && let State::Settled(ack) = lowest.insert(State::Acking)
            {
                ready.push((*partition, *lowest.key(), ack));
            }
        }
        ready
    }

    /// An ack has been answered, or has failed: either way the message is settled and holds nothing up.
    pub fn acked(&mut self, partition: u32, offset: u64) {
        if let Some(offsets) = self.partitions.get_mut(&partition) {
            offsets.remove(&offset);
        }
    }

    /// Whether some message is being worked on, or its ack is under way or could be.
    pub fn is_busy(&self) -> bool {
        self.partitions.values().any(|offsets| {
            let lowest = offsets.values().next();
            lowest.is_some_and(|state| !matches!(state, State::Unsettled))
                || offsets.values().any(|state| matches!(state, State::Working))
        })
    }

    /// How many messages were received and not acked.
    pub fn unacked(&self) -> usize {
        self.partitions.values().map(BTreeMap::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_higher_offset_waits_for_a_lower_one_of_its_partition_only() {
        let mut order = AckOrder::default();
        for (partition, offset) in [(0, 3), (0, 5), (1, 4)] {
            assert_eq!(order.received(partition, offset), Delivered::Fresh);
        }
        order.settled(0, 5, "five");
        order.settled(1, 4, "four");
        assert_eq!(order.ready(), [(1, 4, "four")]);
        order.settled(0, 3, "three");
        assert_eq!(order.ready(), [(0, 3, "three")]);
        assert_eq!(order.ready(), [], "5 waits for the answer to 3's ack");
        order.acked(0, 3);
        assert_eq!(order.ready(), [(0, 5, "five")]);
    }

    #[test]
    fn a_message_delivered_again_is_worked_on_once_unless_it_could_not_be_settled() {
        let mut order = AckOrder::<()>::default();
        assert_eq!(order.received(0, 1), Delivered::Fresh);
        assert_eq!(order.received(0, 1), Delivered::Again);
        order.unsettled(0, 1);
        assert!(!order.is_busy());
        assert_eq!(order.received(0, 1), Delivered::Fresh);
    }

    proptest! {
        /// Whatever the order of deliveries and settlements, an ack never passes a lower offset that was received.
        #[test]
        fn no_ack_overtakes(messages in proptest::collection::btree_set((0u32..3, 0u64..20), 1..40), seed in any::<u64>()) {
            let mut order = AckOrder::default();
            for (partition, offset) in &messages {
                order.received(*partition, *offset);
            }
            let mut left: Vec<_> = messages.iter().copied().collect();
            let mut acked = BTreeSet::new();
            let mut random = seed;
            while !left.is_empty() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let (partition, offset) = left.swap_remove(random as usize % left.len());
                order.settled(partition, offset, ());
                loop {
                    let ready = order.ready();
                    if ready.is_empty() { break }
                    for (partition, offset, ()) in ready {
                        let lower = messages.iter().filter(|(p, o)| *p == partition && *o < offset);
                        prop_assert!(lower.clone().all(|message| acked.contains(message)));
                        acked.insert((partition, offset));
                        order.acked(partition, offset);
                    }
                }
            }
            prop_assert_eq!(acked, messages);
            prop_assert_eq!(order.unacked(), 0);
        }
    }
}
