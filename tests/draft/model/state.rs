//! Everything that there is at one moment: the effects table, the topic, the third party, and two consumers.
//!
//! Times are what is left of them, in ticks, by a clock without skew; so there is no "now", and the graph is finite.

use super::world::{Faults, World};

/// Who: one of the two consumers.
pub(super) type Who = usize;
/// Which: an effect.
pub(super) type Which = usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Status {
    Absent,
    Pending,
    InProgress,
    Waiting,
    Done,
    Parked,
}

/// An effect's record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Record {
    pub(super) status: Status,
    /// Counted at each claim, so that it also names the attempt, as the random `attempt_id` does in the code.
    pub(super) attempt: u8,
    /// What is left of `lease_until`; 0 is over by every clock.
    pub(super) lease: i8,
    pub(super) doubt: bool,
    /// On the agenda, with a command that counts so many attempts. It may be relayed at any time.
    pub(super) due: Option<u8>,
    /// What is left of the window since `first_attempt_at`; -1 is over by every clock.
    pub(super) window: i8,
}

impl Record {
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.status, Status::Done | Status::Parked)
    }
}

/// What the third party knows of an effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Ledger {
    pub(super) applied: u8,
    /// How long it will remember the key.
    pub(super) memory: i8,
    /// A call whose caller has given up may yet land.
    pub(super) late: bool,
}

/// Where the broker thinks a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Queued,
    /// In flight on a consumer's stream.
    With(Who),
    /// In flight on a stream that is closed.
    Orphan,
    /// In flight on a stream that only seems open.
    Nowhere,
}

/// An unacked message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Message {
    pub(super) offset: u8,
    pub(super) effect: Which,
    /// What its command counts.
    pub(super) attempt: u8,
    pub(super) place: Place,
    /// Below the high-water mark: a restart of the broker loses it.
    pub(super) passed: bool,
}

/// How far a consumer is with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Received,
    /// In doubt and ours; the third party is to be asked.
    Asking,
    /// Ours; the third party is to be called.
    Calling,
    Committing,
    Deferring {
        doubt: bool,
    },
    Parking,
    /// Held by another attempt; the record is to go on the agenda.
    Watching,
    Settled,
    Unsettled,
}

impl Phase {
    pub(super) fn is_between(self) -> bool {
        !matches!(self, Self::Received | Self::Settled | Self::Unsettled)
    }
}

/// A message that a consumer has received.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Job {
    pub(super) offset: u8,
    pub(super) effect: Which,
    pub(super) attempt: u8,
    pub(super) phase: Phase,
    /// The attempt that it claimed, or that it found at work.
    pub(super) claimed: u8,
    /// Received on a stream before this one.
    pub(super) old: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stream {
    /// Not asked for yet: this is when due commands are relayed.
    None,
    /// Asked for, and no message yet.
    Silent,
    /// Messages come, and the first acks are held.
    Held,
    Open,
    Broken,
    /// The lease on it is lost: nothing more is acked.
    Ousted,
}

/// A consumer's invocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Consumer {
    pub(super) awake: bool,
    /// How far its clock is ahead.
    pub(super) clock: i8,
    pub(super) stream: Stream,
    pub(super) renewals_fail: bool,
    /// The order of acks, and what is being worked on.
    pub(super) jobs: Vec<Job>,
}

impl Consumer {
    pub(super) const ASLEEP: Self =
        Self { awake: false, clock: 0, stream: Stream::None, renewals_fail: false, jobs: Vec::new() };
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
    /// The messages have just been produced.
    pub(super) fn start(world: &World) -> Self {
        let message = |(offset, effect): (usize, &u8)| Message {
            offset: offset as u8,
            effect: usize::from(*effect),
            attempt: 0,
            place: Place::Queued,
            passed: false,
        };
        let effects = world.topic.iter().max().map_or(0, |last| usize::from(*last) + 1);
        let status = if world.rules.journal { Status::Pending } else { Status::Absent };
        let due = world.rules.journal.then_some(0);
        let record = Record { status, attempt: 0, lease: 0, doubt: false, due, window: 0 };
        Self {
            records: vec![record; effects],
            ledgers: vec![Ledger::default(); effects],
            topic: world.topic.iter().enumerate().map(message).collect(),
            owner: None,
            stream_lease: 0,
            half_open: false,
            consumers: [Consumer::ASLEEP, Consumer::ASLEEP],
            faults: world.faults,
            overwritten: false,
        }
    }

    /// Everything is done or parked, and nothing is left that could do anything more about it.
    pub(super) fn is_settled(&self) -> bool {
        self.topic.is_empty() && self.records.iter().all(|record| record.is_settled() && record.due.is_none())
    }

    /// What must never be.
    pub(super) fn violation(&self) -> Option<&'static str> {
        for (effect, (record, ledger)) in self.records.iter().zip(&self.ledgers).enumerate() {
            if ledger.applied > 1 {
                return Some(APPLIED_TWICE);
            }
            if record.status == Status::Done && ledger.applied == 0 {
                return Some(A_LIE);
            }
            if !record.is_settled() && record.due.is_none() && !self.is_carried(effect) {
                return Some(LOST);
            }
        }
        self.overwritten.then_some(OVERWRITTEN)
    }

    /// Something will come back to this effect: a message, or an attempt that is still at work.
    fn is_carried(&self, effect: Which) -> bool {
        let jobs = || self.consumers.iter().flat_map(|consumer| &consumer.jobs);
        self.topic.iter().any(|message| message.effect == effect)
            || jobs().any(|job| job.effect == effect && job.phase.is_between())
    }

    /// Offsets are ranks, so that equal situations are equal states.
    pub(super) fn rank_offsets(&mut self) {
        let mut used: u32 = 0;
        let jobs = self.consumers.iter().flat_map(|consumer| &consumer.jobs);
        for offset in self.topic.iter().map(|message| message.offset).chain(jobs.map(|job| job.offset)) {
            used |= 1 << offset;
        }
        let rank = |offset: &mut u8| *offset = (used & ((1 << *offset) - 1)).count_ones() as u8;
        self.topic.iter_mut().for_each(|message| rank(&mut message.offset));
        for consumer in &mut self.consumers {
            consumer.jobs.iter_mut().for_each(|job| rank(&mut job.offset));
            consumer.jobs.sort_unstable_by_key(|job| (job.offset, job.old));
        }
    }

    pub(super) fn job(&mut self, who: Who, index: usize) -> &mut Job {
        &mut self.consumers[who].jobs[index]
    }
}

pub(super) const APPLIED_TWICE: &str = "an effect was applied twice";
pub(super) const A_LIE: &str = "an effect is done that was never applied";
pub(super) const LOST: &str = "an effect is lost: not settled, not on the agenda, in no message";
pub(super) const OVERWRITTEN: &str = "a stale attempt overwrote a newer one";
