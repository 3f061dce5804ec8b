//! The order of acks: which settled messages may be acked now. Pure: no broker, no clock.
//!
//! An ack is a high-water mark: if offset 5 is acked before 3 and the broker process dies, 3 is lost. So
//! within a partition a message is acked only when every lower offset is acked or settled, and it is *proven*
//! that no lower one is in flight elsewhere or not yet delivered to us. A dead consumer's stream may remain
//! open at the broker and get messages alternately with ours, and redeliveries may come in any order.
//!
//! Any of these proves it, for all offsets up to the highest that we hold:
//! * **contiguity**: we hold each offset from the last proven one on, without a gap;
//! * **a count**: the broker counts no more messages of the partition in flight than we hold;
//! * **the limit**: we hold as many messages as the broker delivers at most;
//! * **the broker's own check**, where it acks cumulatively ([`AckOrder::unproven_runs`]).
//!
//! First deliveries have ascending offsets, so every offset below a message that we hold was delivered before
//! it: it is enough that the proof held at one moment. A delivery at or below a proven offset shows that the
//! proof was wrong, and the proof is discarded.

use std::collections::{BTreeMap, btree_map::Entry};

/// The state of a message. `T` is what an ack needs.
#[derive(Debug)]
enum State<T> {
    Working,
    /// It could not be settled. Nothing above it can be acked until it is redelivered.
    Unsettled,
    Settled(T),
    Acking,
    /// Settled, but its ack was refused: it is still in flight, and blocks nothing.
    Refused,
}

/// The messages received on one stream and not yet acked.
#[derive(Debug)]
pub struct AckOrder<T> {
    partitions: BTreeMap<u32, Partition<T>>,
}

#[derive(Debug)]
struct Partition<T> {
    messages: BTreeMap<u64, State<T>>,
    /// Every offset up to this one is acked or held by us.
    proven: Option<u64>,
    /// The highest offset acked on this stream.
    acked: Option<u64>,
    /// How many acks have been sent.
    sent: u64,
    /// An ack of several messages was refused: the next one is for the lowest alone.
    is_split: bool,
}

/// What we hold of a partition, to be compared with a later count by the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldMessages {
    /// The partition.
    pub partition: u32,
    /// The number of its messages that are certainly in flight.
    pub messages: u64,
    /// Whether the lowest is settled and its ack waits.
    pub is_settled: bool,
    up_to: u64,
    /// The number of acks sent before.
    sent: u64,
}

/// Settled messages of one partition, in ascending order, to be acked together.
#[derive(Debug, PartialEq, Eq)]
pub struct AckRun<T> {
    /// The partition.
    pub partition: u32,
    /// Offsets, and what their acks need. Never empty.
    pub messages: Vec<(u64, T)>,
}

/// Whether a delivery must be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// Yes: it is new.
    Fresh,
    /// No: its lease expired and the broker redelivered it while it is still being worked on.
    Again,
}

impl<T> Default for AckOrder<T> {
    fn default() -> Self {
        Self { partitions: BTreeMap::new() }
    }
}

impl<T> Default for Partition<T> {
    fn default() -> Self {
        Self { messages: BTreeMap::new(), proven: None, acked: None, sent: 0, is_split: false }
    }
}

impl<T> AckOrder<T> {
    /// Records that a message was received.
    pub fn received(&mut self, partition: u32, offset: u64) -> Delivered {
        let partition = self.partitions.entry(partition).or_default();
        match partition.messages.entry(offset) {
            Entry::Occupied(entry) if !matches!(entry.get(), State::Unsettled | State::Refused) => {
                return Delivered::Again;
            }
            Entry::Occupied(mut entry) => drop(entry.insert(State::Working)),
            Entry::Vacant(entry) => {
                entry.insert(State::Working);
                if partition.proven.is_some_and(|proven| offset <= proven) {
                    partition.proven = partition.acked;
                }
            }
        }
        Delivered::Fresh
    }

    /// Records that a message is settled; `ack` is what its ack needs.
    pub fn settled(&mut self, partition: u32, offset: u64, ack: T) {
        self.put(partition, offset, State::Settled(ack));
    }

    /// Records that a message could not be settled.
    pub fn unsettled(&mut self, partition: u32, offset: u64) {
        self.put(partition, offset, State::Unsettled);
    }

    fn put(&mut self, partition: u32, offset: u64, state: State<T>) {
        self.partitions.entry(partition).or_default().messages.insert(offset, state);
    }

    /// The messages that may be acked now, each by an ack of its own. None waits for the answer to a lower
    /// one's ack. If the broker carries out the higher ack first and then dies, the message that is never
    /// acked is settled anyway.
    pub fn ready_singly(&mut self) -> Vec<AckRun<T>> {
        let take = |(number, partition): (&u32, &mut Partition<T>)| {
            partition.extend();
            let proven = partition.proven;
            proven.map_or_else(Vec::new, |proven| partition.take_each(*number, proven))
        };
        self.partitions.iter_mut().flat_map(take).collect()
    }

    /// The messages that may be acked now by cumulative acks, at most `longest` per partition. The broker
    /// carries out an ack only if everything above the last acked offset is ours, so the answer to one is
    /// awaited before the next is sent.
    pub fn ready(&mut self, longest: usize) -> Vec<AckRun<T>> {
        let take = |(number, partition): (&u32, &mut Partition<T>)| {
            partition.extend();
            partition.take_run(*number, partition.proven?, longest)
        };
        self.partitions.iter_mut().filter_map(take).collect()
    }

    /// The messages that could be acked if their order were proven. Only for a broker that checks this itself
    /// and refuses otherwise. Such a broker counts messages that are still on their way to us as ours, so
    /// this serves only for the first ack of a partition: after that, a gap between what is acked and what we
    /// hold must be filled first.
    pub fn unproven_runs(&mut self) -> Vec<AckRun<T>> {
        let take = |(number, partition): (&u32, &mut Partition<T>)| {
            partition.question().filter(|_| partition.acked.is_none())?;
            // Empty unless the lowest message is settled.
            partition.take_run(*number, u64::MAX, usize::MAX)
        };
        self.partitions.iter_mut().filter_map(take).collect()
    }

    /// Partitions in which a message could be acked, now or once it is settled, if the order were proven.
    pub fn unproven(&self) -> Vec<HeldMessages> {
        let question = |(number, partition): (&u32, &Partition<T>)| {
            let (messages, up_to) = partition.question()?;
            let is_settled = matches!(partition.lowest(), Some((_, State::Settled(_))));
            Some(HeldMessages { partition: *number, messages, is_settled, up_to, sent: partition.sent })
        };
        self.partitions.iter().filter_map(question).collect()
    }

    /// Proves that no messages of the partition are in flight other than those in `held`. Void if an ack was
    /// sent since: that ack may have made room in the count for a message that we don't hold.
    pub fn prove(&mut self, held: HeldMessages) {
        let partition = self.partitions.get_mut(&held.partition);
        if let Some(partition) = partition.filter(|partition| partition.sent == held.sent) {
            partition.proven = partition.proven.max(Some(held.up_to));
        }
    }

    /// Proves the order by the limit: the broker delivers at most `limit` messages of a partition at a time.
    pub fn prove_by_limit(&mut self, limit: u64) {
        self.unproven().into_iter().filter(|held| held.messages >= limit).for_each(|held| self.prove(held));
    }

    /// Returns an ack that could not be carried out yet, to be tried again. Each try of a long run may fail because another stream holds one
    /// of its messages at that time: so the lowest message is tried alone, and then the whole run again.
    pub fn returned(&mut self, run: AckRun<T>) {
        self.partitions.entry(run.partition).or_default().is_split = run.messages.len() > 1;
        for (offset, ack) in run.messages {
            self.settled(run.partition, offset, ack);
        }
    }

    /// Records that an ack was refused: the message is settled and blocks nothing, but it is still in flight.
    pub fn refused(&mut self, partition: u32, offset: u64) {
        self.put(partition, offset, State::Refused);
    }

    /// Records that an ack was carried out.
    pub fn acked(&mut self, partition: u32, offset: u64) {
        if let Some(partition) = self.partitions.get_mut(&partition) {
            partition.messages.remove(&offset);
            partition.acked = partition.acked.max(Some(offset));
            partition.proven = partition.proven.max(partition.acked);
        }
    }

    /// Whether a message is being worked on, or its ack is in flight or possible.
    pub fn is_busy(&self) -> bool {
        self.partitions.values().any(|partition| {
            let is_under_way = |state| matches!(state, &State::Working | &State::Acking);
            matches!(partition.lowest(), Some((_, State::Settled(_))))
                || partition.messages.values().any(is_under_way)
        })
    }

    /// The number of messages received and not acked, without those whose ack was refused.
    pub fn unacked(&self) -> usize {
        let states = self.partitions.values().flat_map(|partition| partition.messages.values());
        states.filter(|state| !matches!(state, State::Refused)).count()
    }
}

impl<T> Partition<T> {
    /// The lowest message that blocks others.
    fn lowest(&self) -> Option<(u64, &State<T>)> {
        let mut states = self.messages.iter().map(|(offset, state)| (*offset, state));
        states.find(|(_, state)| !matches!(state, State::Refused))
    }

    /// Contiguity: what we hold from the next offset on, without a gap, is proven.
    fn extend(&mut self) {
        while let Some(next) = self.proven.and_then(|proven| proven.checked_add(1))
            && self.messages.contains_key(&next)
        {
            self.proven = Some(next);
        }
    }

    /// The number and highest offset of the messages that we hold, if the lowest one needs a proof, now or
    /// once it is settled: the proof is requested while that message is being worked on. Until it is proven,
    /// no other message is acked, so all of them are in flight. A message whose ack is under way or was
    /// refused is not counted, since it may have been acked.
    fn question(&self) -> Option<(u64, u64)> {
        let (offset, State::Settled(_) | State::Working) = self.lowest()? else { return None };
        if self.proven.is_some_and(|proven| offset <= proven) {
            return None;
        }
        let may_be_acked = |state: &State<T>| matches!(state, State::Acking | State::Refused);
        let in_flight = self.messages.values().filter(|state| !may_be_acked(state));
        let highest = self.messages.keys().next_back().copied()?;
        Some((in_flight.count() as u64, highest))
    }

    /// Takes each settled message below which all are settled, acked or refused.
    fn take_each(&mut self, partition: u32, up_to: u64) -> Vec<AckRun<T>> {
        let mut runs = Vec::new();
        for (offset, state) in self.messages.range_mut(..=up_to) {
            match state {
                State::Acking | State::Refused => {}
                State::Working | State::Unsettled => break,
                State::Settled(_) => {
                    if let State::Settled(ack) = std::mem::replace(state, State::Acking) {
                        self.sent += 1;
                        runs.push(AckRun { partition, messages: vec![(*offset, ack)] });
                    }
                }
            }
        }
        runs
    }

    /// Takes the settled messages at the low end, up to the first gap.
    fn take_run(&mut self, partition: u32, up_to: u64, longest: usize) -> Option<AckRun<T>> {
        let longest = if self.is_split { 1 } else { longest };
        let is_refused = |state: &State<T>| matches!(state, State::Refused);
        let mut messages = Vec::new();
        let mut next = None;
        for (offset, state) in self.messages.iter_mut().filter(|(_, state)| !is_refused(state)) {
            let follows = next.is_none_or(|next| next == *offset);
            if !matches!(state, State::Settled(_)) || *offset > up_to || !follows || messages.len() == longest
            {
                break;
            }
            if let State::Settled(ack) = std::mem::replace(state, State::Acking) {
                messages.push((*offset, ack));
            }
            next = offset.checked_add(1);
        }
        if messages.is_empty() {
            return None;
        }
        self.sent += 1;
        self.is_split = false;
        Some(AckRun { partition, messages })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Proves the order, as if the broker's count matched.
    fn all_are_ours<T>(order: &mut AckOrder<T>) {
        order.unproven().into_iter().for_each(|held| order.prove(held));
    }

    fn receive(order: &mut AckOrder<u64>, offsets: &[u64]) {
        for offset in offsets {
            order.received(0, *offset);
            order.settled(0, *offset, *offset);
        }
    }

    fn offsets(runs: Vec<AckRun<u64>>) -> Vec<u64> {
        runs.into_iter().flat_map(|run| run.messages).map(|(offset, _)| offset).collect()
    }

    #[test]
    fn what_may_be_above_a_message_elsewhere_waits_for_a_count() {
        let mut order = AckOrder::default();
        receive(&mut order, &[3, 5]);
        assert_eq!(order.ready(1), [], "2 or 4 may be in flight elsewhere");
        assert_eq!(
            order.unproven(),
            [HeldMessages { partition: 0, messages: 2, is_settled: true, up_to: 5, sent: 0 }]
        );
        all_are_ours(&mut order);
        assert_eq!(offsets(order.ready(1)), [3]);
        order.acked(0, 3);
        receive(&mut order, &[8]);
        assert_eq!(offsets(order.ready(1)), [5], "nothing below 5 can have been delivered since");
        order.acked(0, 5);
        assert_eq!(order.ready(1), []);
    }

    #[test]
    fn holding_as_many_as_the_broker_deals_is_a_proof_and_fewer_are_not() {
        let mut order = AckOrder::default();
        receive(&mut order, &[18, 20]);
        order.prove_by_limit(32);
        assert_eq!(order.ready(9), [], "30 more may be in flight elsewhere");
        order.prove_by_limit(2);
        assert_eq!(offsets(order.ready(1)), [18]);
    }

    #[test]
    fn what_follows_an_acked_offset_without_a_gap_needs_no_other_proof() {
        let mut order = AckOrder::default();
        receive(&mut order, &[0]);
        all_are_ours(&mut order);
        assert_eq!(offsets(order.ready(9)), [0]);
        order.acked(0, 0);
        receive(&mut order, &[1, 2, 4]);
        assert_eq!(offsets(order.ready(9)), [1, 2], "3 may be in flight elsewhere");
        order.acked(0, 1);
        order.acked(0, 2);
        receive(&mut order, &[3]);
        assert_eq!(offsets(order.ready(9)), [3, 4]);
    }

    #[test]
    fn a_delivery_below_what_was_proven_opens_the_question_again() {
        let mut order = AckOrder::default();
        receive(&mut order, &[7]);
        all_are_ours(&mut order);
        receive(&mut order, &[4]);
        assert_eq!(order.ready(9), [], "so the proof did not hold");
        all_are_ours(&mut order);
        assert_eq!(offsets(order.ready(9)), [4]);
    }

    #[test]
    fn a_proof_that_did_not_hold_falls_back_to_what_is_acked() {
        let mut order = AckOrder::default();
        receive(&mut order, &[5, 9]);
        all_are_ours(&mut order);
        assert_eq!(offsets(order.ready(9)), [5]);
        order.acked(0, 5);
        receive(&mut order, &[7, 6]);
        assert_eq!(offsets(order.ready(9)), [6, 7], "contiguous with 5");
        assert_eq!(order.ready(9), [], "8 may be in flight elsewhere");
    }

    #[test]
    fn an_ack_that_is_sent_after_the_question_voids_the_count() {
        let mut order = AckOrder::default();
        receive(&mut order, &[1]);
        all_are_ours(&mut order);
        assert_eq!(offsets(order.ready(9)), [1]);
        order.acked(0, 1);
        receive(&mut order, &[4]);
        let asked = order.unproven();
        receive(&mut order, &[2]);
        assert_eq!(offsets(order.ready(9)), [2], "contiguous with 1");
        order.acked(0, 2);
        asked.into_iter().for_each(|held| order.prove(held));
        assert_eq!(order.ready(9), [], "3 may have been counted in the place of 2");
    }

    #[test]
    fn a_broker_that_checks_by_itself_is_asked_and_its_refusal_changes_nothing() {
        let mut order = AckOrder::default();
        receive(&mut order, &[7, 8, 10]);
        let runs = order.unproven_runs();
        assert_eq!(runs, [AckRun { partition: 0, messages: vec![(7, 7), (8, 8)] }]);
        assert!(order.unproven().is_empty() && order.unproven_runs().is_empty(), "its answer is awaited");
        runs.into_iter().for_each(|run| order.returned(run));
        assert_eq!(order.ready(9), []);
        assert_eq!(order.unproven().len(), 1);
        let runs = order.unproven_runs();
        assert_eq!(
            runs,
            [AckRun { partition: 0, messages: vec![(7, 7)] }],
            "8 may be with another stream by now"
        );
        runs.into_iter().for_each(|run| order.returned(run));
        assert_eq!(offsets(order.unproven_runs()), [7, 8], "7 may have been acked past");
        order.acked(0, 7);
        order.acked(0, 8);
        assert_eq!(order.ready(9), [], "9 may be in flight elsewhere");
        assert!(order.unproven_runs().is_empty(), "or on its way to us, which the broker counts as ours");
    }

    #[test]
    fn nothing_waits_for_a_message_whose_ack_was_refused() {
        let mut order = AckOrder::default();
        receive(&mut order, &[1]);
        all_are_ours(&mut order);
        assert_eq!(offsets(order.ready(1)), [1]);
        order.refused(0, 1);
        assert!(!order.is_busy());
        assert_eq!((order.unacked(), order.unproven()), (0, vec![]));
        receive(&mut order, &[3]);
        order.prove_by_limit(2);
        assert_eq!(order.ready(1), [], "1 may have been acked after all, and is not counted");
        order.prove_by_limit(1);
        assert_eq!(offsets(order.ready(1)), [3]);
        assert_eq!(order.received(0, 1), Delivered::Fresh, "it is acked when it comes again");
    }

    #[test]
    fn a_higher_offset_waits_for_a_lower_one_of_its_partition_only() {
        let mut order = AckOrder::default();
        for (partition, offset) in [(0, 3), (0, 5), (1, 4)] {
            assert_eq!(order.received(partition, offset), Delivered::Fresh);
        }
        order.settled(0, 5, 5);
        order.settled(1, 4, 4);
        all_are_ours(&mut order);
        assert_eq!(offsets(order.ready(1)), [4]);
        order.settled(0, 3, 3);
        all_are_ours(&mut order);
        assert_eq!(offsets(order.ready(1)), [3]);
        assert_eq!(order.ready(1), [], "5 waits for the answer to 3's ack");
        order.acked(0, 3);
        assert_eq!(offsets(order.ready(1)), [5]);
    }

    #[test]
    fn single_acks_wait_for_lower_messages_to_be_settled_and_not_for_their_acks() {
        let mut order = AckOrder::default();
        for offset in [3, 5, 8] {
            order.received(0, offset);
        }
        order.settled(0, 5, 5);
        all_are_ours(&mut order);
        assert_eq!(order.ready_singly(), [], "3 is not settled");
        order.settled(0, 3, 3);
        assert_eq!(offsets(order.ready_singly()), [3, 5]);
        order.settled(0, 8, 8);
        assert_eq!(offsets(order.ready_singly()), [8], "3 and 5 are settled, whatever comes of their acks");
        order.acked(0, 5);
        receive(&mut order, &[13]);
        assert_eq!(order.ready_singly(), [], "11 may be in flight elsewhere");
        order.acked(0, 3);
        order.acked(0, 8);
        all_are_ours(&mut order);
        assert_eq!(offsets(order.ready_singly()), [13]);
    }

    #[test]
    fn a_message_whose_ack_is_under_way_is_not_counted() {
        let mut order = AckOrder::default();
        receive(&mut order, &[5]);
        all_are_ours(&mut order);
        assert_eq!(offsets(order.ready_singly()), [5]);
        receive(&mut order, &[4]);
        let counts = order.unproven().into_iter().map(|held| held.messages);
        assert!(counts.eq([1]), "5 may have been acked, and another message counted in its place");
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
        /// Whatever the order of deliveries and settlements, an ack never passes a lower offset that was received. 0: single acks.
        #[test]
        fn no_ack_overtakes(
            messages in proptest::collection::btree_set((0u32..3, 0u64..20), 1..40),
            seed in any::<u64>(),
            longest in 0usize..5,
        ) {
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
                    let ready = if longest == 0 { order.ready_singly() } else { order.ready(longest) };
                    if ready.is_empty() { break }
                    for AckRun { partition, messages: run } in ready {
                        for (offset, ()) in run {
                            let lower = messages.iter().filter(|(p, o)| *p == partition && *o < offset);
                            prop_assert!(lower.clone().all(|message| acked.contains(message)));
                            acked.insert((partition, offset));
                            order.acked(partition, offset);
                        }
                    }
                }
            }
            prop_assert_eq!(acked, messages);
            prop_assert_eq!(order.unacked(), 0);
        }
    }
}
