//! The two kinds of ack (`broker/client.rs`, `consumer/acks.rs`): what the broker does with them, and what the consumer does after
//! its answer, or without one.

use super::{
    action::{Action, Steps},
    message::{Job, Message, Phase, Place, Who},
    rule::Rule,
    state::State,
};

impl Steps<'_> {
    /// `/v1/ack`: carried out if the message is in flight with us; refused if it is with another stream; nothing is left to do
    /// if it is not in flight.
    pub(super) fn ack_one(&mut self, who: Who, index: usize) {
        let Job { effect, offset, old, .. } = self.state.consumers[who].jobs[index];
        let message = self.state.topic.iter().find(|message| message.offset == offset);
        let is_refused = match message.map(|message| message.place) {
            Some(Place::Queued | Place::Forgotten(_)) | None => false,
            Some(Place::Orphan) => !old,
            Some(place) => old || !place.is_with(who),
        };
        let world = *self.world;
        self.add(Action::Ack { who, effect, offset }, |state| {
            state.consumers[who].void_count(&world);
            if is_refused {
                state.job(who, index).phase = Phase::Refused;
                return;
            }
            state.commit_offset(offset);
            state.consumers[who].acked(index);
        });
        if !is_refused {
            self.unanswered_ack(who, (index, index), offset, |state| state.commit_offset(offset));
        }
        self.unanswered_ack(who, (index, index), 0, |_| {});
    }

    /// `/v1/ack-cumulative`. A refused ack changes nothing, and is sent again. But if an earlier ack got no answer and may
    /// have been carried out, nothing has to wait for these messages.
    pub(super) fn ack_up_to(&mut self, who: Who, first: usize, last: usize) {
        let (world, jobs) = (*self.world, &self.state.consumers[who].jobs);
        let offset = jobs[last].offset;
        let was_asked = jobs[last].asked;
        let run: Vec<u8> = jobs[first..=last].iter().map(|job| job.offset).collect();
        if self.state.is_whole(who, offset) {
            self.add(Action::AckUpTo { who, offset }, |state| {
                state.commit_up_to(who, offset);
                state.consumers[who].void_count(&world);
                state.consumers[who].acked_up_to(offset, world.keeps(Rule::RedeliveredAckedAlone));
            });
            // The broker acks one after the other, and may stop in between.
            for up_to in run {
                self.unanswered_ack(who, (first, last), up_to, |state| state.commit_up_to(who, up_to));
            }
        } else if was_asked {
            self.add(Action::AckRefused { who, offset }, |state| {
                state.consumers[who].void_count(&world);
                (first..=last).for_each(|index| state.job(who, index).phase = Phase::Refused);
            });
        }
        self.unanswered_ack(who, (first, last), 0, |_| {});
    }

    /// An ack gets no answer. It was carried out up to an offset; 0: not at all.
    fn unanswered_ack(
        &mut self,
        who: Who,
        (first, last): (usize, usize),
        carried_out_up_to: u8,
        carry_out: impl Fn(&mut State),
    ) {
        if self.state.faults.lost_acks == 0 {
            return;
        }
        let (world, offset) = (*self.world, self.state.consumers[who].jobs[last].offset);
        self.add(Action::AckUnanswered { who, offset, carried_out_up_to }, |state| {
            state.faults.lost_acks -= 1;
            carry_out(state);
            let consumer = &mut state.consumers[who];
            consumer.void_count(&world);
            if world.keeps(Rule::LostAckSentAgain) {
                consumer.jobs[first..=last].iter_mut().for_each(|job| job.asked = true);
            } else {
                consumer.jobs.drain(first..=last);
            }
        });
    }
}

impl State {
    /// `/v1/ack`: every lower offset is passed over.
    fn commit_offset(&mut self, offset: u8) {
        let is_it = |message: &Message| message.offset == offset && message.place.is_in_flight();
        if self.topic.iter().any(is_it) {
            self.topic.retain(|message| message.offset != offset);
            self.committed = self.committed.max(offset);
        }
    }

    /// Whether the broker carries out a cumulative ack: everything from the high-water mark to this offset is in flight with this
    /// consumer. Messages at or below the mark are not checked.
    fn is_whole(&self, who: Who, offset: u8) -> bool {
        let is_asked = |message: &&Message| {
            message.offset > self.committed
                && message.offset <= offset
                && !matches!(message.place, Place::Forgotten(_))
        };
        self.topic.iter().filter(is_asked).all(|message| message.place.is_with(who))
    }

    /// `/v1/ack-cumulative`. Messages at or below the high-water mark stay in flight.
    fn commit_up_to(&mut self, who: Who, offset: u8) {
        let committed = self.committed;
        let is_acked = |message: &Message| message.offset > committed && message.offset <= offset;
        self.topic.retain(|message| !(is_acked(message) && message.place == Place::With(who)));
        let on_the_way = self.topic.iter_mut().filter(|message| {
            is_acked(message) && matches!(message.place, Place::OnTheWay { to, .. } if to == who)
        });
        on_the_way.for_each(|message| message.place = Place::Forgotten(who));
        self.committed = self.committed.max(offset);
    }
}
