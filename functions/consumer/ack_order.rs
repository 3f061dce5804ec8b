//! Which settled messages may be acked now. Pure: no broker, no clock.
//!
//! A commit is a high-water mark (transcript 05): acking offset 5 before 3 and then losing the broker process loses 3.
//! So within a partition a message is acked only once every lower offset received on this stream has been, and none is in
//! other hands: a dead consumer's stream may live on at the broker, and be dealt messages in turn with ours. Since first
//! deliveries ascend, whatever is below a message that we have received was dealt before it. So it is enough to know, once
//! and at any time after, that all the partition's messages in flight are ours: because we hold as many as there can be,
//! or because the broker has counted them.

use std::collections::{BTreeMap, btree_map::Entry};

use crate::broker::MAX_IN_FLIGHT;

/// Where a message stands. `T` is what its ack takes.
#[derive(Debug)]
enum State<T> {
    Working,
    /// It could not be settled; it keeps everything above it from being acked, until it is delivered again.
    Unsettled,
    Settled(T),
    Acking,
    /// Settled, and its ack refused: it is still in flight, and holds nothing up.
    Refused,
}

/// The messages received on one stream and not yet acked.
#[derive(Debug)]
pub struct AckOrder<T> {
    partitions: BTreeMap<u32, BTreeMap<u64, State<T>>>,
    /// Up to here, none of the partition is in other hands.
    sole: BTreeMap<u32, u64>,
}

/// What we hold of a partition, to be compared with what the broker counts from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The partition.
    pub partition: u32,
    /// How many messages that are in flight for sure.
    pub messages: u64,
    up_to: u64,
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
        Self { partitions: BTreeMap::new(), sole: BTreeMap::new() }
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
            Entry::Occupied(mut entry) if matches!(entry.get(), State::Unsettled | State::Refused) => {
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
        for held in self.in_doubt() {
            if held.messages >= MAX_IN_FLIGHT {
                self.hold_all(held);
            }
        }
        let mut ready = Vec::new();
        for (partition, offsets) in &mut self.partitions {
            let Some((offset, lowest)) = lowest(offsets) else { continue };
            let is_sole = self.sole.get(partition).is_some_and(|up_to| offset <= *up_to);
            if is_sole
                && matches!(lowest, State::Settled(_))
                && let State::Settled(ack) = std::mem::replace(lowest, State::Acking)
            {
                ready.push((*partition, offset, ack));
            }
        }
        ready
    }

    /// Partitions of which a message could be acked if it were known that none below it is in other hands.
    pub fn in_doubt(&mut self) -> Vec<Held> {
        let mut doubts = Vec::new();
        for (partition, offsets) in &mut self.partitions {
            let Some((offset, State::Settled(_))) = lowest(offsets) else { continue };
            if self.sole.get(partition).is_none_or(|up_to| offset > *up_to) {
                // While the lowest waits, no other is being acked: all of them are in flight.
                let up_to = offsets.keys().next_back().copied().unwrap_or(offset);
                doubts.push(Held { partition: *partition, messages: offsets.len() as u64, up_to });
            }
        }
        doubts
    }

    /// All that is in flight of the partition is what we hold.
    pub fn hold_all(&mut self, held: Held) {
        let sole = self.sole.entry(held.partition).or_default();
        *sole = held.up_to.max(*sole);
    }

    /// An ack has been refused: the message is settled and holds nothing up, but it is still in flight.
    pub fn refused(&mut self, partition: u32, offset: u64) {
        self.put(partition, offset, State::Refused);
    }

    /// An ack has been carried out, or perhaps: either way the message is settled and holds nothing up.
    pub fn acked(&mut self, partition: u32, offset: u64) {
        if let Some(offsets) = self.partitions.get_mut(&partition) {
            offsets.remove(&offset);
        }
    }

    /// Whether some message is being worked on, or its ack is under way or could be.
    pub fn is_busy(&self) -> bool {
        self.partitions.values().any(|offsets| {
            let lowest = offsets.values().find(|state| !matches!(state, State::Refused));
            lowest.is_some_and(|state| !matches!(state, State::Unsettled))
                || offsets.values().any(|state| matches!(state, State::Working))
        })
    }

    /// How many messages were received and not acked, apart from those whose ack was refused.
    pub fn unacked(&self) -> usize {
        let states = self.partitions.values().flat_map(BTreeMap::values);
        states.filter(|state| !matches!(state, State::Refused)).count()
    }
}

/// The lowest message that may hold others up.
fn lowest<T>(offsets: &mut BTreeMap<u64, State<T>>) -> Option<(u64, &mut State<T>)> {
    let mut states = offsets.iter_mut().map(|(offset, state)| (*offset, state));
    states.find(|(_, state)| !matches!(state, State::Refused))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// As the broker's count says.
    fn all_are_ours<T>(order: &mut AckOrder<T>) {
        order.in_doubt().into_iter().for_each(|held| order.hold_all(held));
    }

    #[test]
    fn what_may_be_above_a_message_in_other_hands_waits_for_the_count_or_for_company() {
        let mut order = AckOrder::default();
        for offset in [3, 5] {
            order.received(0, offset);
            order.settled(0, offset, offset);
            if offset == 3 {
                assert_eq!(order.ready(), [], "the other one in flight may be 2");
            }
        }
        assert_eq!(order.ready(), [(0, 3, 3)], "3 and 5 are all that can be in flight");
        order.acked(0, 3);
        order.received(0, 8);
        assert_eq!(order.ready(), [(0, 5, 5)], "nothing below 5 can have been dealt since");
        order.acked(0, 5);
        order.settled(0, 8, 8);
        assert_eq!(order.ready(), []);
        assert_eq!(order.in_doubt(), [Held { partition: 0, messages: 1, up_to: 8 }]);
        all_are_ours(&mut order);
        assert_eq!(order.ready(), [(0, 8, 8)]);
    }

    #[test]
    fn a_message_whose_ack_was_refused_is_in_flight_and_in_nobodys_way() {
        let mut order = AckOrder::default();
        order.received(0, 1);
        order.settled(0, 1, 1);
        all_are_ours(&mut order);
        assert_eq!(order.ready(), [(0, 1, 1)]);
        order.refused(0, 1);
        assert!(!order.is_busy());
        assert_eq!((order.unacked(), order.in_doubt()), (0, vec![]));
        order.received(0, 2);
        order.settled(0, 2, 2);
        assert_eq!(order.ready(), [(0, 2, 2)], "1 and 2 are all that can be in flight");
        assert_eq!(order.received(0, 1), Delivered::Fresh, "it is acked when it comes again");
    }

    #[test]
    fn a_higher_offset_waits_for_a_lower_one_of_its_partition_only() {
        let mut order = AckOrder::default();
        for (partition, offset) in [(0, 3), (0, 5), (1, 4)] {
            assert_eq!(order.received(partition, offset), Delivered::Fresh);
        }
        order.settled(0, 5, "five");
        order.settled(1, 4, "four");
        all_are_ours(&mut order);
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
                    all_are_ours(&mut order);
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
