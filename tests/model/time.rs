//! One tick. Time may pass at any moment, unless something is sure to happen first.

use super::{
    action::{Action, Steps},
    effect::Status,
    message::{Job, Phase, Place},
    state::{Consumer, State, Stream},
    world::{STREAM, World},
};

impl Steps<'_> {
    pub(super) fn of_time(&mut self) {
        let world = *self.world;
        for effect in 0..self.state.ledgers.len() {
            if self.state.ledgers[effect].late {
                self.add(Action::LandLate { effect }, |state| {
                    state.ledgers[effect].late = false;
                    state.apply(effect, &world);
                });
                self.add(Action::NeverLand { effect }, |state| state.ledgers[effect].late = false);
            }
        }
        if !self.is_something_due() {
            self.add(Action::Tick, |state| state.tick(&world));
        }
    }

    /// Whether something is sure to happen before time passes. A consumer acts at once, unless it is delayed. A call ends
    /// within the tick, also if its caller has given up. What is on the way arrives. The broker redelivers a closed stream's
    /// messages to an open one while the first acks are held. A lost stream lease is noticed.
    fn is_something_due(&self) -> bool {
        let state = self.state;
        let read = [0, 1].into_iter().any(|who| state.broker_sees(who));
        state.consumers.iter().any(Consumer::is_about_to_act)
            || state.ledgers.iter().any(|ledger| ledger.late)
            || state.topic.iter().any(|message| match message.place {
                Place::OnTheWay { .. } | Place::Forgotten(_) => true,
                Place::Orphan => read,
                _ => false,
            })
            || [0, 1].into_iter().any(|who| self.must_be_ousted(who))
    }
}

impl Consumer {
    fn is_about_to_act(&self) -> bool {
        self.jobs.iter().any(|job| self.is_at_work(job))
            || (self.stream == Stream::Ousted && self.is_finished())
    }

    pub(super) fn is_at_work(&self, job: &Job) -> bool {
        match job.phase {
            Phase::Received => self.has_turn(job),
            phase => phase.is_between() && !job.held_up,
        }
    }
}

impl State {
    fn tick(&mut self, world: &World) {
        let pass = |left: &mut i8, least: i8| *left = (*left - 1).max(least);
        let owner = self.owner.map(|who| &self.consumers[who]);
        match owner.filter(|owner| owner.awake && !owner.renewals_fail) {
            Some(owner) => self.stream_lease = STREAM + owner.clock,
            None if self.owner.is_some() => pass(&mut self.stream_lease, -1),
            None => {}
        }
        for record in &mut self.records {
            if matches!(record.status, Status::InProgress | Status::Waiting) {
                pass(&mut record.lease, 0);
            }
            if world.memory.is_some() {
                pass(&mut record.window, -1);
            }
        }
        self.ledgers.iter_mut().for_each(|ledger| pass(&mut ledger.memory, 0));
        for consumer in &mut self.consumers {
            consumer.ended = false;
            if consumer.stream == Stream::Young {
                consumer.stream = Stream::Open;
            }
        }
    }
}
