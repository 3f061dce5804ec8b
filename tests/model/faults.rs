//! Faults, each as often as the world allows: in the broker, on the network, and in a consumer. A late delivery is in `broker`,
//! an unanswered ack in `ack_requests`, an unanswered write in `guard`.

use super::{
    action::{Action, Steps},
    message::{Phase, Place, Who},
    state::{State, Stream},
};

impl Steps<'_> {
    pub(super) fn of_faults(&mut self) {
        self.restart();
        self.wipe();
        for who in [0, 1].into_iter().filter(|who| self.state.consumers[*who].awake) {
            self.cut(who);
            self.crash(who);
            self.hold_up(who);
            self.renewals_fail(who);
            self.metrics_fail(who);
        }
    }

    fn restart(&mut self) {
        if self.state.faults.restarts > 0 {
            self.add(Action::RestartBroker, |state| {
                state.faults.restarts -= 1;
                state.break_all_streams();
                let committed = state.committed;
                state.topic.retain(|message| message.offset > committed);
                state.topic.iter_mut().for_each(|message| message.place = Place::Queued);
            });
        }
    }

    fn wipe(&mut self) {
        if self.state.faults.wipes > 0 {
            self.add(Action::WipeBroker, |state| {
                state.faults.wipes -= 1;
                state.break_all_streams();
                state.topic.clear();
                state.committed = 0;
            });
        }
    }

    fn crash(&mut self, who: Who) {
        let faults = self.state.faults;
        if faults.crashes > 0 {
            self.add(Action::Crash { who, half_open: false }, |state| {
                state.faults.crashes -= 1;
                state.put_to_sleep(who, Place::Orphan);
            });
        }
        if faults.half_open > 0 && self.state.broker_sees(who) {
            self.add(Action::Crash { who, half_open: true }, |state| {
                state.faults.half_open -= 1;
                state.half_open = true;
                state.put_to_sleep(who, Place::Nowhere);
            });
        }
    }

    /// A write takes longer than it may, or the process does not get the CPU.
    fn hold_up(&mut self, who: Who) {
        if self.state.faults.delays == 0 {
            return;
        }
        for (index, job) in self.state.consumers[who].jobs.iter().enumerate() {
            let is_call = matches!(job.phase, Phase::Asking | Phase::Calling);
            if job.phase.is_between() && (!is_call || self.world.calls_are_delayed) {
                self.add(Action::HoldUp { who, effect: job.effect, what: job.phase }, |state| {
                    state.faults.delays -= 1;
                    state.job(who, index).held_up = true;
                });
            }
        }
    }

    fn cut(&mut self, who: Who) {
        if self.state.faults.cuts > 0 && self.state.broker_sees(who) {
            self.add(Action::CutStream { who }, |state| {
                state.faults.cuts -= 1;
                state.break_stream(who);
            });
        }
    }

    fn renewals_fail(&mut self, who: Who) {
        if self.state.faults.renewals > 0 && self.state.owner == Some(who) {
            self.add(Action::RenewalsFail { who }, |state| {
                state.faults.renewals -= 1;
                state.consumers[who].renewals_fail = true;
            });
        }
    }

    /// A request for the count gets no answer.
    fn metrics_fail(&mut self, who: Who) {
        let consumer = &self.state.consumers[who];
        let asks = consumer.counting.is_some() && matches!(consumer.stream, Stream::Young | Stream::Open);
        if self.state.faults.blinded > 0 && asks {
            self.add(Action::MetricsFail { who }, |state| {
                state.faults.blinded -= 1;
                let consumer = &mut state.consumers[who];
                (consumer.counting, consumer.blind) = (None, true);
            });
        }
    }
}

impl State {
    fn break_all_streams(&mut self) {
        self.half_open = false;
        [0, 1].into_iter().for_each(|who| self.break_stream(who));
    }
}
