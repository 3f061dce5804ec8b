//! An invocation of the consumer around its work: take the stream lease, relay, connect, ack in order, leave; and its end
//! before its time.

use super::{
    action::{Action, Steps},
    state::{Consumer, Message, Phase, Place, Status, Stream, Who},
    world::{ROOM, SKEW, STREAM},
};

impl Steps<'_> {
    pub(super) fn of_consumer(&mut self, who: Who) {
        if !self.state.consumers[who].awake {
            self.wake(who);
            return;
        }
        self.relay(who);
        self.connect(who);
        self.ack(who);
        self.leave(who);
        self.oust(who);
        self.crash(who);
        self.cut(who);
        self.renewals_fail(who);
    }

    /// The schedule starts an invocation. It stays if it gets the stream lease.
    fn wake(&mut self, who: Who) {
        if who == 1 && !self.state.consumers[0].awake {
            return;
        }
        let mut clocks = vec![0, self.world.skew];
        clocks.dedup();
        for clock in clocks {
            let free = self.state.owner.is_none() || self.state.stream_lease < clock;
            if free || !self.world.rules.one_stream {
                self.add(Action::Wake { who, clock_ahead: clock }, |state| {
                    state.consumers[who] = Consumer { awake: true, clock, ..Consumer::ASLEEP };
                    state.owner = Some(who);
                    state.stream_lease = STREAM + clock;
                });
            }
        }
    }

    /// A due command is published, if the broker has room, and stays on the agenda until it is claimed.
    fn relay(&mut self, who: Who) {
        let consumer = &self.state.consumers[who];
        if consumer.stream != Stream::None || self.state.topic.len() >= ROOM {
            return;
        }
        for (effect, record) in self.state.records.iter().enumerate() {
            let rests = self.world.rules.doubt_rests
                && record.status == Status::Waiting
                && record.lease > consumer.clock;
            let Some(attempt) = record.due.filter(|_| !rests) else { continue };
            self.add(Action::Relay { who, effect }, |state| {
                let last = state.topic.iter().map(|message| message.offset);
                let jobs = state.consumers.iter().flat_map(|consumer| &consumer.jobs);
                let last = last.chain(jobs.map(|job| job.offset)).max();
                let offset = last.map_or(0, |last| last + 1);
                state.topic.push(Message { offset, effect, attempt, place: Place::Queued, passed: false });
            });
        }
    }

    /// A first stream, or another once all that was begun on the broken one is finished.
    fn connect(&mut self, who: Who) {
        let consumer = &self.state.consumers[who];
        let busy = |phase: Phase| phase.is_between() || phase == Phase::Received;
        if !matches!(consumer.stream, Stream::None | Stream::Broken)
            || consumer.jobs.iter().any(|job| busy(job.phase))
        {
            return;
        }
        let forget = self.world.rules.acks_end_with_stream;
        self.add(Action::Connect { who }, |state| {
            let consumer = &mut state.consumers[who];
            consumer.stream = Stream::Silent;
            consumer.jobs.retain(|job| !forget && job.phase == Phase::Settled);
            consumer.jobs.iter_mut().for_each(|job| job.old = true);
        });
    }

    fn ack(&mut self, who: Who) {
        let rules = &self.world.rules;
        let consumer = &self.state.consumers[who];
        for (index, job) in consumer.jobs.iter().enumerate() {
            let open = match consumer.stream {
                Stream::Open => true,
                Stream::Held => job.old || !rules.first_acks_held,
                _ => false,
            };
            let lower = consumer.jobs[..index].iter().any(|lower| lower.old == job.old);
            let mine = |message: &Message| message.offset == job.offset && message.place == Place::With(who);
            if job.phase != Phase::Settled || !open || (lower && rules.acks_in_order) {
                continue;
            }
            let (effect, offset) = (job.effect, job.offset);
            // Refused where the message is in flight no more, or with someone else.
            let accepted = self.state.topic.iter().any(mine);
            self.add(Action::Ack { who, effect, offset }, |state| {
                if accepted {
                    state.commit_offset(offset);
                }
                state.consumers[who].jobs.remove(index);
            });
        }
    }

    /// Idle, or no time left: what is not begun stays in the topic.
    fn leave(&mut self, who: Who) {
        if self.state.consumers[who].jobs.iter().any(|job| job.phase.is_between()) {
            return;
        }
        self.add(Action::Leave { who }, |state| {
            state.consumers[who] = Consumer::ASLEEP;
            state.orphan(Place::With(who));
            if state.owner == Some(who) {
                state.owner = None;
                state.stream_lease = 0;
            }
        });
    }

    /// It learns that the stream lease is lost. What it has begun it finishes.
    fn oust(&mut self, who: Who) {
        if !self.is_to_be_ousted(who) {
            return;
        }
        let hang_up = self.world.rules.stream_given_up_in_time;
        self.add(Action::Ousted { who }, |state| {
            state.consumers[who].stream = Stream::Ousted;
            if hang_up {
                state.orphan(Place::With(who));
            }
        });
    }

    fn is_to_be_ousted(&self, who: Who) -> bool {
        let consumer = &self.state.consumers[who];
        let fenced = self.state.owner != Some(who);
        self.world.rules.one_stream
            && consumer.awake
            && consumer.stream != Stream::Ousted
            && (fenced || consumer.renewals_fail)
    }

    /// Whether time can't pass before it is ousted: its next renewal says so, or its own clock does.
    pub(super) fn must_be_ousted(&self, who: Who) -> bool {
        let consumer = &self.state.consumers[who];
        let own_clock = self.world.rules.stream_given_up_in_time
            && consumer.renewals_fail
            && self.state.stream_lease - consumer.clock <= SKEW;
        let renewal = !consumer.renewals_fail && self.state.owner != Some(who);
        self.is_to_be_ousted(who) && (own_clock || renewal)
    }

    fn crash(&mut self, who: Who) {
        for half_open in [false, true] {
            let faults = &self.state.faults;
            if (if half_open { faults.half_open } else { faults.crashes }) == 0 {
                continue;
            }
            self.add(Action::Crash { who, half_open }, |state| {
                state.consumers[who] = Consumer::ASLEEP;
                if half_open {
                    state.faults.half_open -= 1;
                    state.half_open = true;
                    let with = state.topic.iter_mut().filter(|message| message.place == Place::With(who));
                    with.for_each(|message| message.place = Place::Nowhere);
                } else {
                    state.faults.crashes -= 1;
                    state.orphan(Place::With(who));
                }
            });
        }
    }

    fn cut(&mut self, who: Who) {
        if self.state.faults.cuts > 0 && self.broker_sees(who) {
            self.add(Action::CutStream { who }, |state| {
                state.faults.cuts -= 1;
                state.break_stream(who);
            });
        }
    }

    fn renewals_fail(&mut self, who: Who) {
        if self.state.faults.renewals_fail > 0 && self.state.owner == Some(who) {
            self.add(Action::RenewalsFail { who }, |state| {
                state.faults.renewals_fail -= 1;
                state.consumers[who].renewals_fail = true;
            });
        }
    }
}
