//! One tick. Time may pass at any moment, except where something is due to be over before.

use super::{
    action::{Action, Steps},
    state::{Phase, Place, Status, Stream},
    world::STREAM,
};

impl Steps<'_> {
    pub(super) fn of_time(&mut self) {
        for (effect, ledger) in self.state.ledgers.iter().enumerate() {
            if ledger.late {
                let world = *self.world;
                self.add(Action::LandLate { effect }, |state| {
                    state.ledgers[effect].late = false;
                    state.apply(effect, &world);
                });
                self.add(Action::NeverLand { effect }, |state| state.ledgers[effect].late = false);
            }
        }
        if !self.is_something_due() {
            self.tick();
        }
    }

    /// Calls end in time; the broker sends an orphan to an open stream within the hold; a lost stream lease is noticed.
    fn is_something_due(&self) -> bool {
        let state = self.state;
        let mut jobs = state.consumers.iter().flat_map(|consumer| &consumer.jobs);
        let calling = jobs.any(|job| matches!(job.phase, Phase::Asking | Phase::Calling));
        let landing = state.ledgers.iter().any(|ledger| ledger.late);
        let read = [0, 1].into_iter().any(|who| self.broker_sees(who));
        let returning = read && state.topic.iter().any(|message| message.place == Place::Orphan);
        calling || landing || returning || [0, 1].into_iter().any(|who| self.must_be_ousted(who))
    }

    fn tick(&mut self) {
        let world = self.world;
        let renewed = self.state.owner.map(|who| &self.state.consumers[who]);
        let renewed = renewed.filter(|consumer| consumer.awake && !consumer.renewals_fail);
        let renewed = renewed.map(|consumer| STREAM + consumer.clock);
        self.add(Action::Tick, move |state| {
            let pass = |left: &mut i8| *left = (*left - 1).max(0);
            state.stream_lease = renewed.unwrap_or_else(|| (state.stream_lease - 1).max(-1));
            if state.owner.is_none() {
                state.stream_lease = 0;
            }
            for record in &mut state.records {
                if matches!(record.status, Status::InProgress | Status::Waiting) {
                    pass(&mut record.lease);
                }
                record.window = (record.window - 1).max(if world.window.is_some() { -1 } else { 0 });
            }
            for ledger in &mut state.ledgers {
                pass(&mut ledger.memory);
            }
            for consumer in &mut state.consumers {
                if consumer.stream == Stream::Held {
                    consumer.stream = Stream::Open;
                }
            }
        });
    }
}
