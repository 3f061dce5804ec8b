//! The state: the effects table, the topic, the third party, and two consumers.
//!
//! A time is stored as the ticks until then, by a clock without skew. So there is no "now", and the graph is finite.

use super::{
    effect::{Ledger, Record, Status, Which},
    message::{Job, Message, Place, Who},
    world::{Faults, STREAM, World},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stream {
    /// Not asked for yet.
    None,
    /// Another consumer has the stream lease: this one works only the agenda.
    Agenda,
    /// Asked for, and no message yet.
    Silent,
    /// Messages arrive, and a dead predecessor's may not be back yet.
    Young,
    Open,
    /// Told to end: nothing is read any more, and what is settled is still acked.
    Ending,
    Broken,
    /// The stream lease is lost: nothing is read or acked any more. It stays open until what was begun is finished.
    Ousted,
}

/// What a consumer holds, to be compared with what the broker counts from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Held {
    /// How many messages are in flight for sure.
    pub(super) messages: u8,
    /// The highest offset held.
    pub(super) up_to: u8,
}

/// A consumer's invocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Consumer {
    pub(super) awake: bool,
    /// An invocation has ended in this tick. Another one that runs may have lost its stream, and notices within a tick. The
    /// next one begins in the next tick: otherwise the other stream could be sent more and more messages.
    pub(super) ended: bool,
    /// How far its clock is ahead.
    pub(super) clock: i8,
    pub(super) stream: Stream,
    pub(super) renewals_fail: bool,
    /// The metrics could not be read, and are not asked for any more on this stream.
    pub(super) blind: bool,
    /// Every message up to this offset is acked or held here. 0: nothing is proven.
    pub(super) proven: u8,
    /// The highest offset acked on this stream. 0: none.
    pub(super) acked: u8,
    /// The broker is being asked for a count.
    pub(super) counting: Option<Held>,
    /// Due records, then messages that are not acked, by offset.
    pub(super) jobs: Vec<Job>,
}

impl Consumer {
    pub(super) const ASLEEP: Self = Self {
        awake: false,
        ended: false,
        clock: 0,
        stream: Stream::None,
        renewals_fail: false,
        blind: false,
        proven: 0,
        acked: 0,
        counting: None,
        jobs: Vec::new(),
    };

    /// Whether nothing in this process is at work on the same effect (`consumer/turns.rs`).
    pub(super) fn has_turn(&self, job: &Job) -> bool {
        !self.jobs.iter().any(|other| other.effect == job.effect && other.phase.is_between())
    }

    /// Whether everything that it has begun is finished.
    pub(super) fn is_finished(&self) -> bool {
        !self.jobs.iter().any(Job::is_unfinished)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) records: Vec<Record>,
    pub(super) ledgers: Vec<Ledger>,
    pub(super) topic: Vec<Message>,
    /// The high-water mark: what is not above it is lost when the broker restarts.
    pub(super) committed: u8,
    /// The `:stream` record: its owner, and what is left of its lease.
    pub(super) owner: Option<Who>,
    pub(super) stream_lease: i8,
    /// The broker believes a dead consumer's stream to be open.
    pub(super) half_open: bool,
    pub(super) consumers: [Consumer; 2],
    pub(super) faults: Faults,
    /// A stale attempt has written to a newer one's record, or to one that had ended.
    pub(super) overwritten: bool,
    /// A due record was taken while the lease of its attempt was running.
    pub(super) too_early: bool,
    /// A message was delivered that a proof had said was not in flight elsewhere.
    pub(super) contradicted: bool,
}

/// The lowest offset on the topic at the start. There have been lower ones.
const FIRST: u8 = 2;

impl State {
    /// Ingest has answered 2xx.
    pub(super) fn start(world: &World) -> Self {
        let effects = world.topic.iter().chain(world.outbox).max().map_or(0, |last| usize::from(*last) + 1);
        let mut state = Self {
            records: (0..effects).map(|effect| Record::start(effect, world)).collect(),
            ledgers: vec![Ledger::default(); effects],
            topic: Vec::new(),
            committed: 0,
            owner: None,
            stream_lease: 0,
            half_open: false,
            consumers: [Consumer::ASLEEP, Consumer::ASLEEP],
            faults: world.faults,
            overwritten: false,
            too_early: false,
            contradicted: false,
        };
        let step = if world.broker.contiguous { 1 } else { 2 };
        let messages = world.topic.iter().zip((FIRST..).step_by(step));
        let message = |(effect, offset): (&u8, u8)| Message {
            offset,
            effect: usize::from(*effect),
            place: Place::Queued,
        };
        state.topic = messages.map(message).collect();
        if world.begun {
            let (stream, acked) = (Stream::Open, FIRST - 1);
            let proven = acked;
            state.consumers[0] = Consumer { awake: true, stream, acked, proven, ..Consumer::ASLEEP };
            (state.owner, state.stream_lease, state.committed) = (Some(0), STREAM, acked);
            state.half_open = std::mem::take(&mut state.faults.half_open) > 0;
        }
        if world.passed {
            (state.topic[0].place, state.committed) = (Place::Orphan, state.topic[0].offset);
        }
        state
    }

    pub(super) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.consumers.iter().flat_map(|consumer| &consumer.jobs)
    }

    pub(super) fn job(&mut self, who: Who, index: usize) -> &mut Job {
        &mut self.consumers[who].jobs[index]
    }

    /// Drops what is over, and replaces attempt ids by their ranks, so that equal situations are equal states.
    pub(super) fn normalise(&mut self) {
        for consumer in &mut self.consumers {
            // A due record leaves nothing to ack.
            consumer.jobs.retain(|job| job.is_message() || job.is_unfinished());
            consumer.jobs.sort_unstable_by_key(|job| (job.offset, job.old, job.effect));
        }
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
}

impl Record {
    /// Pending and due if ingest could not produce its command, or with a journal; else absent.
    fn start(effect: Which, world: &World) -> Self {
        let pends = world.outbox.iter().any(|pending| usize::from(*pending) == effect);
        Self {
            status: if pends { Status::Pending } else { Status::Absent },
            attempt: 0,
            holder: 0,
            lease: 0,
            doubt: false,
            due: pends.then_some(0),
            early: false,
            window: 0,
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
