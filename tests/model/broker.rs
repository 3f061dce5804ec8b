//! One partition of the broker, as its contract has it (`tests/stories/contract`): a limit of messages in flight, first deliveries that
//! ascend, redeliveries in any order, and a commit that is a high-water mark.

use super::{
    action::{Action, Steps},
    message::{Job, Message, Phase, Place, Who},
    state::{State, Stream},
    world::World,
};

impl Steps<'_> {
    pub(super) fn of_broker(&mut self) {
        for to in [0, 1] {
            if self.state.broker_sees(to) {
                self.deliver(to);
                self.redeliver(to);
                self.arrive(to);
            }
        }
        self.half_open();
    }

    /// The lowest queued message, if one more may be in flight.
    fn next_in_line(&self) -> Option<usize> {
        let next = self.state.topic.iter().position(|message| message.place == Place::Queued);
        next.filter(|_| self.state.in_flight() < self.world.broker.limit)
    }

    fn deliver(&mut self, to: Who) {
        if let Some(index) = self.next_in_line() {
            self.send(index, to, false);
        }
    }

    /// A closed stream's messages come back on the next stream, others when their lease is over. A redelivery to a consumer
    /// that is still at work on the message changes nothing, so it is left out.
    fn redeliver(&mut self, to: Who) {
        for (index, message) in self.state.topic.iter().enumerate() {
            let again = match message.place {
                Place::Queued | Place::OnTheWay { .. } | Place::Forgotten(_) => false,
                Place::With(who) => {
                    self.is_over(who, message.offset) && (who != to || self.is_gone(to, message.offset))
                }
                Place::Orphan | Place::Nowhere => true,
            };
            if again {
                self.send(index, to, true);
            }
        }
    }

    /// The broker sends a message, which arrives at once, or late.
    fn send(&mut self, index: usize, to: Who, again: bool) {
        let world = *self.world;
        let Message { effect, offset, .. } = self.state.topic[index];
        self.add(Action::Deliver { to, effect, offset, again }, |state| {
            state.topic[index].place = Place::With(to);
            state.receive(index, to, again, &world);
        });
        if self.state.faults.late > 0 && !self.state.holds(to, offset) {
            self.add(Action::DeliverLate { to, effect, offset }, |state| {
                state.faults.late -= 1;
                state.topic[index].place = Place::OnTheWay { to, again };
            });
        }
    }

    fn arrive(&mut self, receiver: Who) {
        let world = *self.world;
        for (index, message) in self.state.topic.iter().enumerate() {
            let Message { effect, offset, place } = *message;
            let again = match place {
                Place::OnTheWay { to, again } if to == receiver => Some(again),
                Place::Forgotten(to) if to == receiver => None,
                _ => continue,
            };
            self.add(Action::Arrive { to: receiver, effect, offset }, |state| {
                if again.is_some() {
                    state.topic[index].place = Place::With(receiver);
                }
                state.receive(index, receiver, again.unwrap_or_default(), &world);
                if again.is_none() {
                    state.topic.remove(index);
                }
            });
        }
    }

    /// Whether a consumer does not have a message any more, or could not settle it.
    fn is_gone(&self, who: Who, offset: u8) -> bool {
        let unsettled = |job: &Job| job.phase == Phase::Unsettled;
        let mut jobs = self.state.consumers[who].jobs.iter();
        jobs.find(|job| job.is_current() && job.offset == offset).is_none_or(unsettled)
    }

    /// Whether the broker's lease on a message may be over: not while it is worked on.
    fn is_over(&self, who: Who, offset: u8) -> bool {
        let consumer = &self.state.consumers[who];
        let at_work = |job: &Job| job.is_current() && job.offset == offset && consumer.is_at_work(job);
        !self.world.endless && !consumer.jobs.iter().any(at_work)
    }

    /// A half-open stream is sent messages too: new ones, and those whose lease is over.
    fn half_open(&mut self) {
        if !self.state.half_open {
            return;
        }
        let next = self.next_in_line();
        for (index, message) in self.state.topic.iter().enumerate() {
            let is_dealt = match message.place {
                Place::Queued => next == Some(index),
                Place::With(who) => self.is_over(who, message.offset),
                Place::Orphan => true,
                Place::OnTheWay { .. } | Place::Forgotten(_) | Place::Nowhere => false,
            };
            if is_dealt {
                let Message { effect, offset, .. } = *message;
                self.add(Action::DeliverNowhere { effect, offset }, |state| {
                    state.topic[index].place = Place::Nowhere;
                });
            }
        }
        self.add(Action::NoticeDeadStream, |state| {
            state.half_open = false;
            state.orphan(|place| place == Place::Nowhere);
        });
    }
}

impl State {
    /// Whether the broker has an open stream of this consumer.
    pub(super) fn broker_sees(&self, who: Who) -> bool {
        !matches!(self.consumers[who].stream, Stream::None | Stream::Agenda | Stream::Broken)
    }

    /// The number of messages in flight, as `/metrics` counts it.
    pub(super) fn in_flight(&self) -> usize {
        self.topic.iter().filter(|message| message.place.is_in_flight()).count()
    }

    fn holds(&self, who: Who, offset: u8) -> bool {
        self.consumers[who].jobs.iter().any(|job| job.is_current() && job.offset == offset)
    }

    /// A consumer's stream ends, if it has one. Its work goes on.
    pub(super) fn break_stream(&mut self, who: Who) {
        let consumer = &mut self.consumers[who];
        if matches!(consumer.stream, Stream::Silent | Stream::Young | Stream::Open | Stream::Ending) {
            (consumer.stream, consumer.counting) = (Stream::Broken, None);
        }
        self.topic.retain(|message| message.place != Place::Forgotten(who));
        self.orphan(|place| place.is_with(who));
    }

    pub(super) fn orphan(&mut self, gone: impl Fn(Place) -> bool) {
        self.topic
            .iter_mut()
            .filter(|message| gone(message.place))
            .for_each(|message| message.place = Place::Orphan);
    }

    /// A consumer receives a message, unless it does not read any more.
    fn receive(&mut self, index: usize, to: Who, again: bool, world: &World) {
        let Message { offset, effect, .. } = self.topic[index];
        let consumer = &mut self.consumers[to];
        match consumer.stream {
            Stream::Ending | Stream::Ousted => return,
            Stream::Silent => consumer.stream = world.begun(),
            _ => {}
        }
        let again = again && world.broker.cumulative;
        let held = consumer.jobs.iter_mut().find(|job| job.is_current() && job.offset == offset);
        let Some(job) = held else {
            consumer.jobs.push(Job::received(offset, effect, again));
            let can_be_lost = offset > self.committed && !consumer.goes_by_clock(world);
            self.contradicted |= world.proofs_stand && offset <= consumer.proven && can_be_lost;
            if offset <= consumer.proven {
                consumer.proven = consumer.acked;
            }
            return;
        };
        job.again |= again;
        if matches!(job.phase, Phase::Unsettled | Phase::Refused) {
            (job.phase, job.covered) = (Phase::Received, false);
        }
    }
}
