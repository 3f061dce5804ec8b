//! The agenda (`effects/agenda.rs`, `consumer/agenda.rs`, `consumer/work.rs`): any invocation works on due records, with
//! or without the stream. Also the ways in which a message is left to the agenda: a deferral before the claim, a claim
//! that leaves the record on the agenda, and the hand-over of a slow call.

use super::{
    action::{Action, Steps},
    effect::{Record, Status},
    message::{Job, Phase, Who},
    rule::Rule,
    state::{State, Stream},
    world::World,
};

impl Steps<'_> {
    /// A due record is read and will be claimed. That may come too late, since others claim too, and the index may lag.
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
        let (world, job) = (*self.world, &self.state.consumers[who].jobs[index]);
        if !world.closes || !job.is_message() || !self.may_begin(who, index) {
            return;
        }
        let Job { effect, offset, .. } = *job;
        self.add(Action::DeferBeforeClaim { who, effect, offset }, |state| state.enqueue(who, index, &world));
        self.unanswered(who, index, |state| state.enqueue(who, index, &world));
    }

    /// Whether nothing else in this process is at work on the effect. A message waits for that only for a limited time.
    pub(super) fn may_begin(&self, who: Who, index: usize) -> bool {
        let consumer = &self.state.consumers[who];
        let job = &consumer.jobs[index];
        consumer.has_turn(job) || (self.world.slow_calls && job.is_message())
    }

    /// The call takes long: its message is to be settled by putting the record on the agenda, and the call goes on.
    pub(super) fn hand_over(&mut self, who: Who, index: usize) {
        let job = &self.state.consumers[who].jobs[index];
        if !self.world.slow_calls || !job.is_message() {
            return;
        }
        let is_durable = self.world.keeps(Rule::HandOverIsDurable);
        let Job { effect, offset, .. } = *job;
        self.add(Action::HandOver { who, effect, offset }, |state| {
            let job = state.job(who, index);
            let call = job.in_background();
            if is_durable {
                job.phase = Phase::Watching { deferred: false };
            } else {
                job.ends(Phase::Settled);
            }
            state.consumers[who].jobs.push(call);
        });
    }
}

impl State {
    /// One put, on the condition that the record is absent. A record that exists answers for the message, unless it is in
    /// progress.
    fn enqueue(&mut self, who: Who, index: usize, world: &World) {
        let effect = self.consumers[who].jobs[index].effect;
        let record = &mut self.records[effect];
        let phase = match record.status {
            Status::Absent => {
                (record.status, record.due) = (Status::Pending, Some(0));
                Phase::Settled
            }
            Status::InProgress if world.keeps(Rule::PresentIsWatched) => Phase::Watching { deferred: true },
            _ => Phase::Settled,
        };
        let seen = record.clone();
        self.job(who, index).goes_on(phase, &seen);
    }

    /// If a claim leaves the record on the agenda, that settles the message, and the attempt goes on by itself.
    pub(super) fn settle_by_claim(&mut self, who: Who, index: usize) {
        let job = &self.consumers[who].jobs[index];
        let has_claimed =
            job.phase.is_between() && !matches!(job.phase, Phase::Watching { .. } | Phase::TakingOver);
        if job.is_message() && has_claimed && self.records[job.effect].due.is_some() {
            let attempt = job.in_background();
            self.job(who, index).ends(Phase::Settled);
            self.consumers[who].jobs.push(attempt);
        }
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
