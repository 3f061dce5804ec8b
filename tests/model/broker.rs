//! The broker, one partition of it, as the transcripts show it: two in flight, redelivery, and a commit that is a
//! high-water mark.

use super::{
    action::{Action, Steps},
    effect::Which,
    message::{Job, Message, Phase, Place, Who},
    state::{State, Stream},
    world::IN_FLIGHT,
};

impl Steps<'_> {
    pub(super) fn of_broker(&mut self) {
        for to in [0, 1] {
            if self.state.broker_sees(to) {
                self.deliver(to);
                self.redeliver(to);
            }
        }
        self.half_open();
    }

    /// The lowest that is queued, if there are so many places in flight.
    pub(super) fn next_in_line(&self, places: usize) -> Option<usize> {
        let next = self.state.topic.iter().position(|message| message.place == Place::Queued);
        next.filter(|_| self.state.in_flight() + places <= IN_FLIGHT)
    }

    fn deliver(&mut self, to: Who) {
        let Some(index) = self.next_in_line(1) else { return };
        let Message { effect, offset, .. } = self.state.topic[index];
        let begun = self.world.begun();
        self.add(Action::Deliver { to, effect, offset }, |state| state.hand_over(index, to, begun));
    }

    /// An orphan comes back on the next stream, and any other when its lease is over. On a stream that is still at work on
    /// it, that changes nothing.
    fn redeliver(&mut self, to: Who) {
        for (index, message) in self.state.topic.iter().enumerate() {
            let given_up =
                |job: &Job| job.offset == message.offset && !job.old && job.phase == Phase::Unsettled;
            let again = match message.place {
                Place::Queued => false,
                Place::OnTheWay(who) => who == to,
                Place::With(who) if who != to => self.is_over(who, message.offset),
                Place::With(_) => self.state.consumers[to].jobs.iter().any(given_up),
                Place::Orphan | Place::Nowhere => true,
            };
            if again {
                let Message { effect, offset, .. } = *message;
                let begun = self.world.begun();
                self.add(Action::Redeliver { to, effect, offset }, |state| state.hand_over(index, to, begun));
            }
        }
    }

    /// Whether the broker's lease on a message may be over: not while it is being worked on.
    fn is_over(&self, who: Who, offset: u8) -> bool {
        let consumer = &self.state.consumers[who];
        !consumer.jobs.iter().any(|job| job.offset == offset && !job.old && consumer.is_at_work(job))
    }

    /// A stream that only seems open is dealt messages, new ones and such whose lease is over.
    fn half_open(&mut self) {
        if !self.state.half_open {
            return;
        }
        let next = self.next_in_line(1);
        for (index, message) in self.state.topic.iter().enumerate() {
            let again = match message.place {
                Place::Queued => next == Some(index),
                Place::With(who) => self.is_over(who, message.offset),
                Place::Orphan => true,
                Place::OnTheWay(_) | Place::Nowhere => false,
            };
            if again {
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
    /// Whether the broker has a stream of this consumer.
    pub(super) fn broker_sees(&self, who: Who) -> bool {
        matches!(self.consumers[who].stream, Stream::Silent | Stream::Held | Stream::Open | Stream::Ousted)
    }

    /// What `/metrics` count.
    pub(super) fn in_flight(&self) -> usize {
        self.topic.iter().filter(|message| message.place != Place::Queued).count()
    }

    /// A message behind all there are.
    pub(super) fn produce(&mut self, effect: Which, attempt: u8) {
        let offsets =
            self.topic.iter().map(|message| message.offset).chain(self.jobs().map(|job| job.offset));
        let offset = offsets.max().map_or(0, |last| last + 1);
        self.topic.push(Message { offset, effect, attempt, place: Place::Queued, passed: false });
    }

    /// The consumer's stream is gone, if it had one. Its work goes on.
    pub(super) fn break_stream(&mut self, who: Who) {
        let stream = &mut self.consumers[who].stream;
        if matches!(stream, Stream::Silent | Stream::Held | Stream::Open) {
            *stream = Stream::Broken;
        }
        self.orphan(|place| place == Place::With(who) || place == Place::OnTheWay(who));
    }

    pub(super) fn orphan(&mut self, gone: impl Fn(Place) -> bool) {
        self.topic
            .iter_mut()
            .filter(|message| gone(message.place))
            .for_each(|message| message.place = Place::Orphan);
    }

    /// The broker's part of an ack: everything below is passed over.
    pub(super) fn commit_offset(&mut self, offset: u8) {
        self.topic.retain(|message| message.offset != offset);
        self.topic
            .iter_mut()
            .filter(|message| message.offset < offset)
            .for_each(|message| message.passed = true);
    }

    /// The broker sends a message, and the consumer receives it, unless it reads no more.
    pub(super) fn hand_over(&mut self, index: usize, to: Who, begun: Stream) {
        self.topic[index].place = Place::With(to);
        let Message { offset, effect, attempt, .. } = self.topic[index];
        let consumer = &mut self.consumers[to];
        match consumer.stream {
            Stream::Ousted => return,
            Stream::Silent => consumer.stream = begun,
            _ => {}
        }
        match consumer.jobs.iter_mut().find(|job| job.offset == offset && !job.old) {
            Some(job) if matches!(job.phase, Phase::Unsettled | Phase::Refused) => {
                job.phase = Phase::Received
            }
            Some(_) => {}
            None => {
                consumer.jobs.push(Job::received(offset, effect, attempt));
            }
        }
    }
}
