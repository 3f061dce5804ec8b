//! An invocation around its work (`consumer/mod.rs`, `relay.rs`, `stream_lease.rs`): take the stream lease, relay, connect,
//! leave.

use super::{
    action::{Action, Steps},
    message::{Phase, Place, Who},
    rule::Rule,
    state::{Consumer, State, Stream},
    world::STREAM,
};

impl Steps<'_> {
    pub(super) fn of_consumer(&mut self, who: Who) {
        if !self.state.consumers[who].awake {
            self.wake(who);
            return;
        }
        self.relay(who);
        self.connect(who);
        self.count(who);
        self.ack(who);
        self.oust(who);
        self.leave(who);
    }

    /// The schedule starts an invocation. It stays if it gets the stream lease.
    fn wake(&mut self, who: Who) {
        let consumers = &self.state.consumers;
        if who == 1 && !consumers[0].awake || consumers[who].ended && consumers[1 - who].awake {
            return;
        }
        let mut clocks = vec![0, self.world.skew];
        clocks.dedup();
        for clock in clocks {
            let is_free = self.state.owner.is_none() || self.state.stream_lease < clock;
            if is_free || !self.world.keeps(Rule::OneStream) {
                self.add(Action::Wake { who, clock_ahead: clock }, |state| {
                    state.consumers[who] = Consumer { awake: true, clock, ..Consumer::ASLEEP };
                    state.owner = Some(who);
                    state.stream_lease = STREAM + clock;
                });
            }
        }
    }

    /// A due command is published, if the broker has room, and stays on the agenda until it is claimed. Putting off what is
    /// left at the end of a run changes when it comes due again, which here is at any time.
    fn relay(&mut self, who: Who) {
        let consumer = &self.state.consumers[who];
        if consumer.stream != Stream::None || self.state.topic.len() >= self.world.room {
            return;
        }
        let stays = self.world.keeps(Rule::RelayedStaysDue);
        for (effect, record) in self.state.records.iter().enumerate() {
            let Some(attempt) = record.due.filter(|_| !record.rests(consumer.clock, self.world)) else {
                continue;
            };
            self.add(Action::Relay { who, effect }, |state| {
                state.produce(effect, attempt);
                state.records[effect].due = Some(attempt).filter(|_| stays);
            });
        }
    }

    /// A first stream, or another once all that was begun on the broken one is finished. It knows nothing of the old one.
    fn connect(&mut self, who: Who) {
        let consumer = &self.state.consumers[who];
        if !matches!(consumer.stream, Stream::None | Stream::Broken) || !consumer.is_finished() {
            return;
        }
        let forget = self.world.keeps(Rule::AcksEndWithStream);
        self.add(Action::Connect { who }, |state| {
            let consumer = &mut state.consumers[who];
            (consumer.stream, consumer.sole) = (Stream::Silent, 0);
            consumer.jobs.retain(|job| !forget && job.phase == Phase::Settled);
            consumer.jobs.iter_mut().for_each(|job| job.old = true);
        });
    }

    /// Idle, or no time left, when all that was begun is finished.
    fn leave(&mut self, who: Who) {
        if !self.state.consumers[who].is_finished() {
            return;
        }
        self.add(Action::Leave { who }, |state| {
            let released = state.owner == Some(who) && !state.consumers[who].renewals_fail;
            state.put_to_sleep(who, Place::Orphan);
            state.consumers[who].ended = true;
            if released {
                (state.owner, state.stream_lease) = (None, 0);
            }
        });
    }

    /// It learns that the stream lease is lost. What it has begun it finishes.
    fn oust(&mut self, who: Who) {
        if self.can_be_ousted(who) {
            self.add(Action::Ousted { who }, |state| state.consumers[who].stream = Stream::Ousted);
        }
    }

    fn can_be_ousted(&self, who: Who) -> bool {
        let consumer = &self.state.consumers[who];
        let gives_up = consumer.renewals_fail && self.world.keeps(Rule::StreamGivenUp);
        let is_fenced = !consumer.renewals_fail && self.state.owner != Some(who);
        self.world.keeps(Rule::OneStream)
            && consumer.awake
            && consumer.stream != Stream::Ousted
            && (is_fenced || gives_up)
    }

    /// Whether time can't pass before it is ousted: its next renewal says so, or its own clock does.
    pub(super) fn must_be_ousted(&self, who: Who) -> bool {
        let consumer = &self.state.consumers[who];
        let is_over = self.state.owner != Some(who) || self.state.stream_lease <= consumer.clock;
        self.can_be_ousted(who) && is_over
    }
}

impl State {
    /// The invocation is over, one way or another; its messages are where the broker thinks they are.
    pub(super) fn put_to_sleep(&mut self, who: Who, place: Place) {
        self.consumers[who] = Consumer::ASLEEP;
        for message in &mut self.topic {
            if message.place == Place::With(who) || message.place == Place::OnTheWay(who) {
                message.place = place;
            }
        }
    }
}
