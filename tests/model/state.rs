//! Everything that there is at one moment: the effects table, the topic, the third party, and two consumers.
//!
//! Times are what is left of them, in ticks, by a clock without skew; so there is no "now", and the graph is finite.

use super::{
    effect::{Ledger, Record, Status, Which},
    message::{Job, Message, Phase, Who},
    world::{Faults, World},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stream {
    /// Not asked for yet: this is when due commands are relayed.
    None,
    /// Asked for, and no message yet.
    Silent,
    /// Messages come, and the first acks are held, since the broker's metrics can't be had.
    Held,
    Open,
    Broken,
    /// The lease on it is lost: nothing more is read or acked. It is open until what was begun is finished.
    Ousted,
}

/// A consumer's invocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Consumer {
    pub(super) awake: bool,
    /// An invocation has ended in this tick. Beside another consumer, which may have lost the stream and learns of it within a tick,
    /// the next one is for another tick: else what the other is dealt meanwhile would be more and more.
    pub(super) ended: bool,
    /// How far its clock is ahead.
    pub(super) clock: i8,
    pub(super) stream: Stream,
    pub(super) renewals_fail: bool,
    /// None of the partition's messages below this offset is in other hands.
    pub(super) sole: u8,
    /// What was received and is not acked, the lowest offset first.
    pub(super) jobs: Vec<Job>,
}

impl Consumer {
    /// Whether nobody in this process is at work on the same effect (`turns`).
    pub(super) fn has_turn(&self, job: &Job) -> bool {
        !self.jobs.iter().any(|other| other.effect == job.effect && other.phase.is_between())
    }

    /// Whether all that it has begun is finished.
    pub(super) fn is_finished(&self) -> bool {
        !self.jobs.iter().any(|job| job.phase == Phase::Received || job.phase.is_between())
    }

    pub(super) const ASLEEP: Self = Self {
        awake: false,
        ended: false,
        clock: 0,
        stream: Stream::None,
        renewals_fail: false,
        sole: 0,
        jobs: Vec::new(),
    };
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) records: Vec<Record>,
    pub(super) ledgers: Vec<Ledger>,
    pub(super) topic: Vec<Message>,
    /// The `:stream` record: whose it is, and what is left of its lease.
    pub(super) owner: Option<Who>,
    pub(super) stream_lease: i8,
    /// The broker still believes in a dead consumer's stream.
    pub(super) half_open: bool,
    pub(super) consumers: [Consumer; 2],
    pub(super) faults: Faults,
    /// A write of an attempt landed on a newer one's record, or on an end.
    pub(super) overwritten: bool,
}

impl State {
    /// Ingest has answered 2xx.
    pub(super) fn start(world: &World) -> Self {
        let effects = world.topic.iter().chain(world.outbox).max().map_or(0, |last| usize::from(*last) + 1);
        let record = |effect: usize| {
            let pends = world.outbox.iter().any(|pending| usize::from(*pending) == effect);
            let status = if pends { Status::Pending } else { Status::Absent };
            Record {
                status,
                attempt: 0,
                holder: 0,
                lease: 0,
                doubt: false,
                due: pends.then_some(0),
                window: 0,
            }
        };
        let mut state = Self {
            records: (0..effects).map(record).collect(),
            ledgers: vec![Ledger::default(); effects],
            topic: Vec::new(),
            owner: None,
            stream_lease: 0,
            half_open: false,
            consumers: [Consumer::ASLEEP, Consumer::ASLEEP],
            faults: world.faults,
            overwritten: false,
        };
        world.topic.iter().for_each(|effect| state.produce(usize::from(*effect), 0));
        state
    }

    pub(super) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.consumers.iter().flat_map(|consumer| &consumer.jobs)
    }

    pub(super) fn job(&mut self, who: Who, index: usize) -> &mut Job {
        &mut self.consumers[who].jobs[index]
    }

    /// Offsets and attempt ids become ranks, so that equal situations are equal states.
    pub(super) fn normalise(&mut self) {
        self.rank_offsets();
        for effect in 0..self.records.len() {
            let ids = self.jobs().filter(|job| job.effect == effect).map(|job| job.claimed);
            let used = used(ids.chain([self.records[effect].holder, 0]));
            rank(&mut self.records[effect].holder, used);
            let jobs = self.consumers.iter_mut().flat_map(|consumer| &mut consumer.jobs);
            jobs.filter(|job| job.effect == effect).for_each(|job| rank(&mut job.claimed, used));
        }
    }

    /// An id that no attempt at this effect has.
    pub(super) fn new_attempt(&self, effect: Which) -> u8 {
        let ids = self.jobs().filter(|job| job.effect == effect).map(|job| job.claimed);
        ids.chain([self.records[effect].holder]).max().unwrap_or(0) + 1
    }

    fn rank_offsets(&mut self) {
        let offsets =
            self.topic.iter().map(|message| message.offset).chain(self.jobs().map(|job| job.offset));
        let used = used(offsets);
        self.topic.iter_mut().for_each(|message| rank(&mut message.offset, used));
        for consumer in &mut self.consumers {
            rank(&mut consumer.sole, used);
            consumer.jobs.iter_mut().for_each(|job| rank(&mut job.offset, used));
            consumer.jobs.sort_unstable_by_key(|job| (job.offset, job.old));
        }
    }
}

/// A set of small numbers.
fn used(numbers: impl Iterator<Item = u8>) -> u32 {
    numbers.fold(0, |used, number| used | 1 << number)
}

fn rank(number: &mut u8, used: u32) {
    *number = (used & ((1 << *number) - 1)).count_ones() as u8;
}
