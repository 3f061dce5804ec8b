//! An invocation (`consumer/run.rs`, `reader.rs`, `drain.rs`, `effects/stream_lease.rs`): take the stream lease, connect, leave.

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
        self.take_due(who);
        self.connect(who);
        self.prove(who);
        self.ack(who);
        self.oust(who);
        self.end(who);
        self.leave(who);
    }

    /// An invocation begins. If it can't have the stream lease, it works on due records.
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
            } else if self.is_something_due_by(clock) {
                self.add(Action::Wake { who, clock_ahead: clock }, |state| {
                    let stream = Stream::Agenda;
                    state.consumers[who] = Consumer { awake: true, clock, stream, ..Consumer::ASLEEP };
                });
            }
        }
    }

    /// Opens the first stream, or another once everything that was begun on a broken one is finished. What was known of the
    /// old one is forgotten.
    fn connect(&mut self, who: Who) {
        let consumer = &self.state.consumers[who];
        if !matches!(consumer.stream, Stream::None | Stream::Broken) || !consumer.is_finished() {
            return;
        }
        let forget = self.world.keeps(Rule::AcksEndWithStream);
        let proof_ends = self.world.keeps(Rule::ProofEndsWithStream);
        self.add(Action::Connect { who }, |state| {
            let consumer = &mut state.consumers[who];
            (consumer.stream, consumer.counting, consumer.blind) = (Stream::Silent, None, false);
            if proof_ends {
                (consumer.proven, consumer.acked) = (0, 0);
            }
            consumer.jobs.retain(|job| !forget && job.phase == Phase::Settled);
            consumer.jobs.iter_mut().for_each(|job| job.old = true);
        });
    }

    /// The invocation is idle, or out of time, and stops reading. Effects are the same whether messages are read until the
    /// end or not.
    fn end(&mut self, who: Who) {
        let is_open = matches!(self.state.consumers[who].stream, Stream::Young | Stream::Open);
        if is_open && self.world.instant && !self.world.endless {
            self.add(Action::End { who }, |state| state.consumers[who].stream = Stream::Ending);
        }
    }

    /// The invocation ends when everything that was begun is finished.
    fn leave(&mut self, who: Who) {
        if !self.state.consumers[who].is_finished() || self.world.endless {
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

    /// A consumer notices that its stream lease is lost. It finishes what it has begun.
    fn oust(&mut self, who: Who) {
        if self.can_be_ousted(who) {
            self.add(Action::Oust { who }, |state| {
                let consumer = &mut state.consumers[who];
                (consumer.stream, consumer.counting) = (Stream::Ousted, None);
            });
        }
    }

    fn can_be_ousted(&self, who: Who) -> bool {
        let consumer = &self.state.consumers[who];
        let gives_up = consumer.renewals_fail && self.world.keeps(Rule::StreamGivenUp);
        let is_fenced = !consumer.renewals_fail && self.state.owner != Some(who);
        self.world.keeps(Rule::OneStream)
            && consumer.awake
            && !matches!(consumer.stream, Stream::Ousted | Stream::Agenda)
            && (is_fenced || gives_up)
    }

    /// Whether the loss of its stream lease must be noticed before time passes: its next renewal is refused, or by its own
    /// clock the lease is over.
    pub(super) fn must_be_ousted(&self, who: Who) -> bool {
        let consumer = &self.state.consumers[who];
        let is_over = self.state.owner != Some(who) || self.state.stream_lease <= consumer.clock;
        self.can_be_ousted(who) && is_over
    }
}

impl State {
    /// The invocation is over, one way or another. The broker believes its messages to be at `place`.
    pub(super) fn put_to_sleep(&mut self, who: Who, place: Place) {
        self.consumers[who] = Consumer::ASLEEP;
        self.topic.retain(|message| message.place != Place::Forgotten(who));
        for message in &mut self.topic {
            if message.place.is_with(who) {
                message.place = place;
            }
        }
    }
}
