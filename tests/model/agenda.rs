//! The agenda, worked directly (`effects/agenda.rs`, `consumer/agenda.rs`): any invocation takes what is due, with or without
//! the stream. And the two ways in which a message is left to it: a deferral before the claim, and the hand-over of a slow
//! call.

use super::{
    action::{Action, Steps},
    effect::{Record, Status},
    message::{Job, Phase, Who},
    rule::Rule,
    state::{State, Stream},
    world::World,
};

impl Steps<'_> {
    /// A due command is taken to be claimed, which may come too late: the index is read before, and may lag.
    pub(super) fn take_due(&mut self, who: Who) {
        let consumer = &self.state.consumers[who];
        if consumer.stream == Stream::Ousted {
            return;
        }
        for (effect, record) in self.state.records.iter().enumerate() {
            let is_taken = consumer.jobs.iter().any(|job| !job.is_message() && job.effect == effect);
            if let Some(attempt) = record.due
                && record.is_due(consumer.clock, self.world)
                && !is_taken
            {
                let seen = record.holder;
                self.add(Action::TakeDue { who, effect }, |state| {
                    state.consumers[who].jobs.push(Job::due(effect, attempt, seen));
                });
            }
        }
    }

    /// Whether a consumer that can't have the stream has something to do.
    pub(super) fn is_something_due_by(&self, clock: i8) -> bool {
        self.world.helpers && self.state.records.iter().any(|record| record.is_due(clock, self.world))
    }

    /// The destination is closed.
    pub(super) fn defer_before_claim(&mut self, who: Who, index: usize) {
        let (world, consumer) = (*self.world, &self.state.consumers[who]);
        let Job { effect, offset, .. } = consumer.jobs[index];
        if !world.closes || !consumer.jobs[index].is_message() || !consumer.has_turn(&consumer.jobs[index]) {
            return;
        }
        self.add(Action::DeferBeforeClaim { who, effect, offset }, |state| state.pend(who, index, &world));
        self.unanswered(who, index, |state| state.pend(who, index, &world));
    }

    /// The call takes long. The message is to be settled by its record's being on the agenda, and the call goes on.
    pub(super) fn hand_over(&mut self, who: Who, index: usize) {
        let job = &self.state.consumers[who].jobs[index];
        if !self.world.slow_calls || !job.is_message() {
            return;
        }
        let is_durable = self.world.keeps(Rule::HandOverIsDurable);
        let Job { effect, offset, .. } = *job;
        self.add(Action::HandOver { who, effect, offset }, |state| {
            let job = state.job(who, index);
            let call = Job {
                offset: super::message::AGENDA,
                again: false,
                covered: false,
                asked: false,
                ..job.clone()
            };
            if is_durable {
                job.phase = Phase::Watching;
            } else {
                (job.phase, job.claimed, job.count) = (Phase::Settled, 0, 0);
            }
            state.consumers[who].jobs.push(call);
        });
    }
}

impl State {
    /// One conditional put, which only an absent record lets pass, and what its refusal means.
    fn pend(&mut self, who: Who, index: usize, world: &World) {
        let effect = self.consumers[who].jobs[index].effect;
        let record = &mut self.records[effect];
        let phase = match record.status {
            Status::Absent => {
                (record.status, record.due) = (Status::Pending, Some(0));
                Phase::Settled
            }
            Status::InProgress if world.keeps(Rule::PresentIsWatched) => Phase::Watching,
            _ => Phase::Settled,
        };
        let seen = record.clone();
        self.job(who, index).goes_on(phase, Some(&seen));
    }
}

impl Record {
    fn is_due(&self, clock: i8, world: &World) -> bool {
        self.due.is_some()
            && match self.status {
                Status::InProgress => self.early || self.lease <= clock,
                _ => !self.rests(clock, world),
            }
    }
}
