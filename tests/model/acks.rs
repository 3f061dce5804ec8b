//! Which acks are sent (`consumer/drain.rs`, `ack_order.rs`), and what the broker answers. A count and its answer are one
//! step here; first deliveries ascend, so what is counted stays true.

use super::{
    action::{Action, Steps},
    message::{Job, Message, Phase, Place, Who},
    rule::Rule,
    state::{Consumer, Held, State, Stream},
    world::World,
};

/// What the first versions took for the limit of any broker.
const ASSUMED_LIMIT: usize = 2;

impl Steps<'_> {
    /// The hold is over, if there is one, and the stream neither broken nor lost.
    fn may_ack(&self, who: Who) -> bool {
        self.state.consumers[who].stream == Stream::Open
    }

    /// All that is in flight is ours: the broker counts no more than we hold, or we hold as many as there can be.
    pub(super) fn prove(&mut self, who: Who) {
        let (world, consumer) = (self.world, &self.state.consumers[who]);
        if !self.may_ack(who) {
            return;
        }
        if let Some(held) = consumer.counting {
            let in_flight = self.state.in_flight();
            self.add(Action::Count { who }, |state| {
                let consumer = &mut state.consumers[who];
                consumer.counting = None;
                if in_flight <= usize::from(held.messages) {
                    consumer.proven = consumer.proven.max(held.up_to);
                }
            });
            return;
        }
        let held = consumer.held(world);
        if held.up_to <= consumer.proven() {
            return;
        }
        if world.limit().is_some_and(|limit| usize::from(held.messages) >= limit) {
            self.add(Action::HoldAll { who }, |state| state.consumers[who].proven = held.up_to);
        } else if world.counts() {
            self.add(Action::AskCount { who }, |state| state.consumers[who].counting = Some(held));
        }
    }

    pub(super) fn ack(&mut self, who: Who) {
        let consumer = &self.state.consumers[who];
        let mut run = None;
        for index in 0..consumer.jobs.len() {
            let job = &self.state.consumers[who].jobs[index];
            if job.phase != Phase::Settled || !job.is_message() || !self.may_be_acked(who, index) {
                continue;
            }
            if self.world.broker.cumulative && !job.old && !job.covered {
                run = Some(index);
            } else {
                self.ack_one(who, index);
            }
        }
        if let Some(last) = run {
            self.ack_up_to(who, last);
        }
    }

    fn may_be_acked(&self, who: Who, index: usize) -> bool {
        let (world, consumer) = (self.world, &self.state.consumers[who]);
        let job = &consumer.jobs[index];
        if job.old {
            return self.may_ack(who) || matches!(consumer.stream, Stream::Silent | Stream::Held);
        }
        let is_cumulative = world.broker.cumulative;
        let holds_up = |lower: &Job| {
            lower.is_current()
                && lower.phase != Phase::Refused
                && !(is_cumulative && lower.phase == Phase::Settled)
        };
        let is_proven = job.offset <= consumer.proven();
        let awaits_gap = is_cumulative && consumer.proven > 0 && world.keeps(Rule::GapsAwaited);
        self.may_ack(who)
            && (is_proven || !(world.counts() || awaits_gap))
            && !(world.keeps(Rule::AcksInOrder) && consumer.jobs[..index].iter().any(holds_up))
            && (is_proven
                || world.slow_arrivals
                || !world.keeps(Rule::OvertakenAwaited)
                || !self.is_overtaking(who, job.offset))
    }

    /// Whether a lower message is on its way: the pause before the ack is long enough for it to arrive.
    fn is_overtaking(&self, who: Who, offset: u8) -> bool {
        !self.world.counts()
            && self
                .state
                .topic
                .iter()
                .any(|lower| lower.place == Place::OnTheWay(who) && lower.offset < offset)
    }

    /// `/v1/ack`: carried out if the message is in flight with us; refused if it is with another, and over if it is in flight
    /// no more.
    fn ack_one(&mut self, who: Who, index: usize) {
        let Job { effect, offset, old, .. } = self.state.consumers[who].jobs[index];
        let place =
            self.state.topic.iter().find(|message| message.offset == offset).map(|message| message.place);
        let is_refused = match place {
            Some(Place::Queued | Place::Forgotten(_)) | None => false,
            Some(Place::Orphan) => !old,
            Some(place) => old || !place.is_with(who),
        };
        let world = *self.world;
        self.add(Action::Ack { who, effect, offset }, |state| {
            state.consumers[who].void_count(&world);
            if is_refused {
                state.job(who, index).phase = Phase::Refused;
                return;
            }
            state.commit_offset(offset);
            state.consumers[who].acked(index);
        });
        self.unanswered_ack(who, index, |state| {
            if !is_refused {
                state.commit_offset(offset);
            }
        });
    }

    /// `/v1/ack-cumulative`. Refused, it changes nothing and is sent again.
    fn ack_up_to(&mut self, who: Who, index: usize) {
        let world = *self.world;
        let Job { effect, offset, .. } = self.state.consumers[who].jobs[index];
        if !self.state.is_whole(who, offset) {
            return;
        }
        self.add(Action::AckUpTo { who, effect, offset }, |state| {
            state.commit_up_to(who, offset);
            state.consumers[who].void_count(&world);
            state.consumers[who].acked_up_to(offset, world.keeps(Rule::RedeliveredAckedAlone));
        });
        self.unanswered_ack(who, index, |state| state.commit_up_to(who, offset));
    }

    /// The ack gets no answer.
    fn unanswered_ack(&mut self, who: Who, index: usize, carry_out: impl Fn(&mut State)) {
        if self.state.faults.lost_acks == 0 {
            return;
        }
        let Job { effect, offset, .. } = self.state.consumers[who].jobs[index];
        let world = *self.world;
        let (again, up_to) = (world.keeps(Rule::LostAckSentAgain), world.broker.cumulative);
        for applied in [false, true] {
            self.add(Action::AckUnanswered { who, effect, offset, applied }, |state| {
                state.faults.lost_acks -= 1;
                if applied {
                    carry_out(state);
                }
                let consumer = &mut state.consumers[who];
                consumer.void_count(&world);
                let is_asked =
                    |job: &Job| job.is_current() && (job.offset == offset || (up_to && job.offset < offset));
                consumer.jobs.iter_mut().filter(|job| is_asked(job)).for_each(|job| job.asked = true);
                consumer.jobs.retain(|job| again || !is_asked(job));
            });
        }
    }
}

impl Consumer {
    /// What is in flight here for sure.
    fn held(&self, world: &World) -> Held {
        let may_be_acked = |job: &Job| world.keeps(Rule::OnlySureCounted) && (job.asked || job.covered);
        let current = self.jobs.iter().filter(|job| job.is_current());
        Held {
            messages: current.clone().filter(|job| !may_be_acked(job)).count() as u8,
            up_to: current.map(|job| job.offset).max().unwrap_or(0),
        }
    }

    /// An ack has been sent: a count that is under way may have been made after it.
    fn void_count(&mut self, world: &World) {
        if world.keeps(Rule::AckVoidsCount) {
            self.counting = None;
        }
    }

    /// Up to where it is proven that no message is in other hands. What we hold without a gap behind that is so too.
    fn proven(&self) -> u8 {
        let mut proven = self.proven;
        let holds = |offset| self.jobs.iter().any(|job| job.is_current() && job.offset == offset);
        while proven > 0 && holds(proven + 1) {
            proven += 1;
        }
        proven
    }

    fn acked(&mut self, index: usize) {
        let job = self.jobs.remove(index);
        if !job.old {
            self.proven = self.proven.max(job.offset);
        }
    }

    /// What was delivered again stays, to be acked by itself.
    fn acked_up_to(&mut self, offset: u8, alone: bool) {
        self.proven = self.proven.max(offset);
        let is_covered = |job: &Job| job.is_current() && job.offset <= offset;
        self.jobs.retain(|job| !is_covered(job) || (alone && job.again));
        self.jobs.iter_mut().filter(|job| is_covered(job)).for_each(|job| job.covered = true);
    }
}

impl State {
    /// `/v1/ack`: everything below is passed over.
    fn commit_offset(&mut self, offset: u8) {
        let in_flight = |message: &Message| !matches!(message.place, Place::Queued | Place::Forgotten(_));
        if self.topic.iter().any(|message| message.offset == offset && in_flight(message)) {
            self.topic.retain(|message| message.offset != offset);
            self.committed = self.committed.max(offset);
        }
    }

    /// Whether the broker carries out a cumulative ack: all behind the high-water mark is in flight with this consumer. What
    /// is not behind it is not looked at.
    fn is_whole(&self, who: Who, offset: u8) -> bool {
        let mut asked = self
            .topic
            .iter()
            .filter(|message| message.offset > self.committed && message.offset <= offset)
            .filter(|message| !matches!(message.place, Place::Forgotten(_)));
        asked.all(|message| message.place.is_with(who))
    }

    /// `/v1/ack-cumulative`. What is not behind the high-water mark stays in flight.
    fn commit_up_to(&mut self, who: Who, offset: u8) {
        if !self.is_whole(who, offset) {
            return;
        }
        let committed = self.committed;
        let is_acked = |message: &Message| message.offset > committed && message.offset <= offset;
        self.topic.retain(|message| !(is_acked(message) && message.place == Place::With(who)));
        let on_the_way = self.topic.iter_mut().filter(|message| message.place == Place::OnTheWay(who));
        on_the_way
            .filter(|message| is_acked(message))
            .for_each(|message| message.place = Place::Forgotten(who));
        self.committed = self.committed.max(offset);
    }
}

impl World {
    /// Acks go by the broker's counts. Without, they go by a cumulative ack's answer, and else by order and clock.
    pub(super) fn counts(&self) -> bool {
        self.broker.metrics && self.keeps(Rule::AcksOnProof)
    }

    /// The limit of messages in flight, as far as the consumer knows.
    fn limit(&self) -> Option<usize> {
        match self.keeps(Rule::LimitAsked) {
            true => Some(self.broker.limit).filter(|_| self.broker.config),
            false => Some(ASSUMED_LIMIT),
        }
    }

    /// Nothing tells what is in flight: the first acks are held.
    pub(super) fn goes_by_clock(&self) -> bool {
        !self.counts() && !self.broker.cumulative && self.keeps(Rule::FirstAcksHeld)
    }

    /// What becomes of a stream with its first message.
    pub(super) fn begun(&self) -> Stream {
        if self.goes_by_clock() { Stream::Held } else { Stream::Open }
    }
}
