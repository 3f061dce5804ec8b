//! Which acks are sent, and what proves that they may be (`consumer/ack_order.rs`, `proof.rs`).

use super::{
    action::{Action, Steps},
    message::{Job, Message, Phase, Place, Who},
    rule::Rule,
    state::{Consumer, Held, Stream},
    world::World,
};

/// The limit that the first versions assumed of any broker.
const ASSUMED_LIMIT: usize = 2;

impl Steps<'_> {
    /// Whether everything in flight is ours: the broker counts no more than we hold, or we hold as many as it delivers at a time; or, where
    /// neither can be had, it has been long enough.
    pub(super) fn prove(&mut self, who: Who) {
        let (world, consumer) = (self.world, &self.state.consumers[who]);
        if let Some(held) = consumer.counting {
            let in_flight = self.state.in_flight();
            self.add(Action::Count { who, in_flight }, |state| {
                let consumer = &mut state.consumers[who];
                consumer.counting = None;
                if in_flight <= usize::from(held.messages) {
                    consumer.prove(held);
                }
            });
            return;
        }
        if !consumer.may_ack(world) || !consumer.has_question(world) {
            return;
        }
        let held = consumer.held(world);
        let is_old = consumer.stream != Stream::Young || !world.keeps(Rule::FirstAcksHeld);
        if world.limit().is_some_and(|limit| usize::from(held.messages) >= limit) {
            self.add(Action::ProveByLimit { who }, |state| state.consumers[who].prove(held));
        } else if consumer.counts(world) {
            self.add(Action::AskCount { who }, |state| state.consumers[who].counting = Some(held));
        } else if consumer.goes_by_clock(world) && is_old {
            self.add(Action::ProveByClock { who }, |state| state.consumers[who].prove(held));
        }
    }

    pub(super) fn ack(&mut self, who: Who) {
        let consumer = &self.state.consumers[who];
        if !consumer.may_ack(self.world) {
            return;
        }
        for (index, job) in consumer.jobs.iter().enumerate() {
            let is_disordered = job.is_current() && !self.world.keeps(Rule::AcksInOrder);
            let is_alone = job.old || job.covered || (is_disordered && job.offset <= consumer.proven());
            if job.is_message() && job.phase == Phase::Settled && is_alone {
                self.ack_one(who, index);
            }
        }
        let Some((first, last)) = self.run(who) else { return };
        if self.world.broker.cumulative {
            self.ack_up_to(who, first, last);
            return;
        }
        // In any order: none waits for the answer to a lower one's ack.
        for index in first..=last {
            let job = &self.state.consumers[who].jobs[index];
            if job.is_current() && job.phase != Phase::Refused {
                self.ack_one(who, index);
            }
        }
    }

    /// The settled messages at the low end, up to what is proven; for a cumulative ack without a gap between them. Where the broker does
    /// not count, its check of the first cumulative ack is the proof.
    fn run(&self, who: Who) -> Option<(usize, usize)> {
        let (world, consumer) = (self.world, &self.state.consumers[who]);
        let is_first = consumer.acked == 0 || !world.keeps(Rule::GapsAwaited);
        let is_checked = !consumer.counts(world) && world.broker.cumulative && is_first;
        let mut run: Option<(usize, usize)> = None;
        for (index, job) in consumer.jobs.iter().enumerate() {
            if !job.is_current() || job.phase == Phase::Refused {
                continue;
            }
            let follows = !world.broker.cumulative
                || run.is_none_or(|(_, last)| consumer.jobs[last].offset + 1 == job.offset);
            let is_proven = is_checked || job.offset <= consumer.proven();
            if !follows || !is_proven || !self.is_ready(who, job) {
                break;
            }
            run = Some((run.map_or(index, |(first, _)| first), index));
        }
        run
    }

    /// Whether a message is settled and not being acked. Without counts, it waits for lower ones that are on their way: the
    /// pause is long enough for them to arrive.
    fn is_ready(&self, who: Who, job: &Job) -> bool {
        let (world, consumer) = (self.world, &self.state.consumers[who]);
        let is_lower = |lower: &Message| {
            matches!(lower.place, Place::OnTheWay { to, .. } if to == who) && lower.offset < job.offset
        };
        let pauses = world.keeps(Rule::OvertakenAwaited) && !world.slow_arrivals && !consumer.counts(world);
        job.phase == Phase::Settled && !job.covered && !(pauses && self.state.topic.iter().any(is_lower))
    }
}

impl Consumer {
    /// Whether acks may be sent: the stream is neither broken nor lost.
    fn may_ack(&self, world: &World) -> bool {
        match self.stream {
            // Only what was received on an earlier stream.
            Stream::Silent | Stream::Young | Stream::Open => true,
            Stream::Ending => self.counts(world) || !world.keeps(Rule::BlindAcksEndWithReading),
            _ => false,
        }
    }

    /// Whether the lowest message that others wait for is settled and not proven.
    fn has_question(&self, world: &World) -> bool {
        let waiting = self.jobs.iter().filter(|job| job.is_current() && job.phase != Phase::Refused);
        let asked = if world.keeps(Rule::AcksInOrder) { 1 } else { usize::MAX };
        waiting.take(asked).any(|job| job.phase == Phase::Settled && job.offset > self.proven())
    }

    /// What we hold: certainly in flight, unless the broker may have carried out an ack of it.
    fn held(&self, world: &World) -> Held {
        let may_be_acked = |job: &Job| job.asked || job.covered || job.phase == Phase::Refused;
        let is_sure = |job: &&Job| !world.keeps(Rule::OnlySureCounted) || !may_be_acked(job);
        let current = self.jobs.iter().filter(|job| job.is_current());
        let up_to = current.clone().map(|job| job.offset).max().unwrap_or(0);
        Held { messages: current.filter(is_sure).count() as u8, up_to }
    }

    /// Whether acks go by the broker's counts.
    fn counts(&self, world: &World) -> bool {
        world.broker.metrics && !self.blind && world.keeps(Rule::AcksOnProof)
    }

    /// Whether acks can go by order and clock only.
    pub(super) fn goes_by_clock(&self, world: &World) -> bool {
        !self.counts(world) && !world.broker.cumulative
    }

    fn prove(&mut self, held: Held) {
        self.proven = self.proven.max(held.up_to);
    }

    /// A count that is under way is void after an ack has been sent: it may be made after that ack.
    pub(super) fn void_count(&mut self, world: &World) {
        if world.keeps(Rule::AckVoidsCount) {
            self.counting = None;
        }
    }

    /// The offset up to which no message is in flight elsewhere: the proven one, or a higher one up to which we hold every
    /// message.
    fn proven(&self) -> u8 {
        let mut proven = self.proven;
        let holds = |offset| self.jobs.iter().any(|job| job.is_current() && job.offset == offset);
        while proven > 0 && holds(proven + 1) {
            proven += 1;
        }
        proven
    }

    pub(super) fn acked(&mut self, index: usize) {
        let job = self.jobs.remove(index);
        if !job.old {
            self.has_acked(job.offset);
        }
    }

    /// A redelivered message stays, to be acked by itself.
    pub(super) fn acked_up_to(&mut self, offset: u8, alone: bool) {
        self.has_acked(offset);
        let is_covered = |job: &Job| job.is_current() && job.offset <= offset;
        self.jobs.retain(|job| !is_covered(job) || (alone && job.again));
        self.jobs.iter_mut().filter(|job| is_covered(job)).for_each(|job| job.covered = true);
    }

    fn has_acked(&mut self, offset: u8) {
        self.acked = self.acked.max(offset);
        self.proven = self.proven.max(offset);
    }
}

impl World {
    /// The limit of messages in flight, as far as the consumer knows.
    fn limit(&self) -> Option<usize> {
        if !self.keeps(Rule::LimitAsked) {
            return Some(ASSUMED_LIMIT);
        }
        let told = if self.keeps(Rule::LimitAskedAgain) { self.broker.told } else { self.told_before };
        told.filter(|limit| *limit > 0 || !self.keeps(Rule::ZeroIsNoLimit))
    }

    /// The state of a stream after its first message. Its age only matters where acks may have to go by the clock.
    pub(super) fn begun(&self) -> Stream {
        let counts = self.broker.metrics && self.faults.blinded == 0 && self.keeps(Rule::AcksOnProof);
        if counts || self.broker.cumulative { Stream::Open } else { Stream::Young }
    }
}
