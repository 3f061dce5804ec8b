//! The broker, as the transcripts show it: two in flight, redelivery, and a commit that is a high-water mark.

use super::{
    action::{Action, Steps},
    state::{Job, Phase, Place, State, Stream, Who},
    world::IN_FLIGHT,
};

impl Steps<'_> {
    pub(super) fn of_broker(&mut self) {
        for to in [0, 1] {
            if self.broker_sees(to) {
                self.deliver(to);
                self.redeliver(to);
            }
        }
        self.half_open();
        self.restart();
        self.wipe();
    }

    /// Whether the broker has a stream of this consumer.
    pub(super) fn broker_sees(&self, who: Who) -> bool {
        match self.state.consumers[who].stream {
            Stream::Silent | Stream::Held | Stream::Open => true,
            // It reads no more, but as built it does not hang up before its work is finished.
            Stream::Ousted => !self.world.rules.stream_given_up_in_time,
            Stream::None | Stream::Broken => false,
        }
    }

    /// The lowest that is queued, if there is a place in flight.
    fn next_in_line(&self) -> Option<usize> {
        let in_flight = self.state.topic.iter().filter(|message| message.place != Place::Queued).count();
        let next = self.state.topic.iter().position(|message| message.place == Place::Queued);
        next.filter(|_| in_flight < IN_FLIGHT)
    }

    fn deliver(&mut self, to: Who) {
        let Some(index) = self.next_in_line() else { return };
        let (effect, offset) = (self.state.topic[index].effect, self.state.topic[index].offset);
        self.add(Action::Deliver { to, effect, offset }, |state| hand_over(state, index, to));
    }

    /// An orphan comes back on the next stream; a message that was not settled, when its lease is over.
    fn redeliver(&mut self, to: Who) {
        for (index, message) in self.state.topic.iter().enumerate() {
            let unsettled =
                |job: &Job| job.offset == message.offset && !job.old && job.phase == Phase::Unsettled;
            let again = match message.place {
                Place::Queued | Place::Nowhere => false,
                Place::Orphan => true,
                Place::With(who) if who == to => self.state.consumers[to].jobs.iter().any(unsettled),
                Place::With(who) => self.state.consumers[who].stream == Stream::Ousted,
            };
            if again {
                let (effect, offset) = (message.effect, message.offset);
                self.add(Action::Redeliver { to, effect, offset }, |state| hand_over(state, index, to));
            }
        }
    }

    /// A stream that only seems open is dealt messages, which come back when the broker has noticed or their lease is over.
    fn half_open(&mut self) {
        if !self.state.half_open {
            return;
        }
        if let Some(index) = self.next_in_line() {
            let (effect, offset) = (self.state.topic[index].effect, self.state.topic[index].offset);
            self.add(Action::DeliverNowhere { effect, offset }, |state| {
                state.topic[index].place = Place::Nowhere;
            });
        }
        self.add(Action::NoticeDeadStream, |state| {
            state.half_open = false;
            state.orphan(Place::Nowhere);
        });
    }

    fn restart(&mut self) {
        if self.state.faults.restarts > 0 {
            self.add(Action::RestartBroker, |state| {
                state.faults.restarts -= 1;
                state.topic.retain(|message| !message.passed);
                state.topic.iter_mut().for_each(|message| message.place = Place::Queued);
                state.break_all_streams();
            });
        }
    }

    fn wipe(&mut self) {
        if self.state.faults.wipes > 0 {
            self.add(Action::WipeBroker, |state| {
                state.faults.wipes -= 1;
                state.topic.clear();
                state.break_all_streams();
            });
        }
    }
}

impl State {
    fn break_all_streams(&mut self) {
        self.half_open = false;
        for who in [0, 1] {
            self.break_stream(who);
        }
    }

    /// The consumer's stream is gone, if it had one. Its work goes on.
    pub(super) fn break_stream(&mut self, who: Who) {
        let stream = &mut self.consumers[who].stream;
        if matches!(stream, Stream::Silent | Stream::Held | Stream::Open) {
            *stream = Stream::Broken;
        }
        self.orphan(Place::With(who));
    }

    pub(super) fn orphan(&mut self, place: Place) {
        for message in self.topic.iter_mut().filter(|message| message.place == place) {
            message.place = Place::Orphan;
        }
    }

    /// The broker's part of an ack: everything below is passed over.
    pub(super) fn commit_offset(&mut self, offset: u8) {
        self.topic.retain(|message| message.offset != offset);
        for message in self.topic.iter_mut().filter(|message| message.offset < offset) {
            message.passed = true;
        }
    }
}

/// The broker sends a message, and the consumer receives it, unless it reads no more.
fn hand_over(state: &mut State, index: usize, to: Who) {
    state.topic[index].place = Place::With(to);
    let message = state.topic[index].clone();
    let consumer = &mut state.consumers[to];
    match consumer.stream {
        Stream::Ousted => return,
        Stream::Silent => consumer.stream = Stream::Held,
        _ => {}
    }
    match consumer.jobs.iter_mut().find(|job| job.offset == message.offset && !job.old) {
        Some(job) if job.phase == Phase::Unsettled => job.phase = Phase::Received,
        Some(_) => {}
        None => consumer.jobs.push(Job {
            offset: message.offset,
            effect: message.effect,
            attempt: message.attempt,
            phase: Phase::Received,
            claimed: 0,
            old: false,
        }),
    }
}
