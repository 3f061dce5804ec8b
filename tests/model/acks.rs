//! Which acks go (`consumer/drain.rs`, `ack_order.rs`), and what the broker says to them. A count and its answer are one
//! step here; first deliveries ascend, so what is counted stays true.

use super::{
    action::{Action, Steps},
    message::{Job, Phase, Place, Who},
    rule::Rule,
    state::{Consumer, Stream},
    world::{IN_FLIGHT, World},
};

impl Steps<'_> {
    /// The hold is over, if there is one, and the stream neither broken nor lost.
    fn may_ack(&self, who: Who) -> bool {
        self.state.consumers[who].stream == Stream::Open
    }

    /// All that is in flight is ours: we hold as many as there can be, or the broker counts no more.
    pub(super) fn count(&mut self, who: Who) {
        let consumer = &self.state.consumers[who];
        let in_order = self.world.keeps(Rule::AcksInOrder);
        let Some(lowest) = consumer.next_ack(in_order) else { return };
        if !self.may_ack(who) || lowest.offset < consumer.sole || !self.world.counts() {
            return;
        }
        let held = consumer.jobs.iter().filter(|job| !job.old);
        if held.clone().count() >= self.state.in_flight().min(IN_FLIGHT) {
            let last = held.map(|job| job.offset).max().unwrap_or(0);
            self.add(Action::Count { who }, |state| state.consumers[who].sole = last + 1);
        }
    }

    pub(super) fn ack(&mut self, who: Who) {
        for index in 0..self.state.consumers[who].jobs.len() {
            if self.may_be_acked(who, index) {
                self.send_ack(who, index);
            }
        }
    }

    fn may_be_acked(&self, who: Who, index: usize) -> bool {
        let (world, consumer) = (self.world, &self.state.consumers[who]);
        let job = &consumer.jobs[index];
        let on_the_way = |offset| {
            self.state
                .topic
                .iter()
                .any(|message| message.place == Place::OnTheWay(who) && message.offset < offset)
        };
        let holds_up = |lower: &Job| lower.old == job.old && lower.phase != Phase::Refused;
        job.phase == Phase::Settled
            && (self.may_ack(who) || job.old && matches!(consumer.stream, Stream::Silent | Stream::Held))
            && (job.old || job.offset < consumer.sole || !world.counts())
            && !(world.keeps(Rule::AcksInOrder) && consumer.jobs[..index].iter().any(holds_up))
            && !(world.keeps(Rule::OvertakenAwaited) && !world.counts() && on_the_way(job.offset))
    }

    /// Carried out if the message is in flight with us; refused if it is with another, and forgotten if it is in flight no
    /// more. A lost answer counts as carried out.
    fn send_ack(&mut self, who: Who, index: usize) {
        let Job { effect, offset, old, .. } = self.state.consumers[who].jobs[index];
        let ours = if old { Place::Orphan } else { Place::With(who) };
        let place =
            self.state.topic.iter().find(|message| message.offset == offset).map(|message| message.place);
        self.add(Action::Ack { who, effect, offset }, |state| match place {
            Some(place) if place != ours && place != Place::Queued => {
                state.job(who, index).phase = Phase::Refused
            }
            _ => {
                state.consumers[who].jobs.remove(index);
                if place == Some(ours) {
                    state.commit_offset(offset);
                }
            }
        });
        if self.state.faults.unanswered > 0 {
            let action = Action::Unanswered { who, effect, what: Phase::Settled, applied: false };
            self.add(action, |state| {
                state.faults.unanswered -= 1;
                state.consumers[who].jobs.remove(index);
            });
        }
    }
}

impl Consumer {
    /// What is to be acked next, if it is settled.
    fn next_ack(&self, in_order: bool) -> Option<&Job> {
        let is_settled = |job: &&Job| job.phase == Phase::Settled;
        let mut ours = self.jobs.iter().filter(|job| !job.old && job.phase != Phase::Refused);
        if in_order { ours.next().filter(is_settled) } else { ours.find(is_settled) }
    }
}

impl World {
    /// Acks go by the count. Where the broker's metrics can't be had, order and hold are all there is.
    fn counts(&self) -> bool {
        self.counted && self.keeps(Rule::InFlightCounted)
    }

    /// What becomes of a stream with its first message.
    pub(super) fn begun(&self) -> Stream {
        if self.counts() || !self.keeps(Rule::FirstAcksHeld) { Stream::Open } else { Stream::Held }
    }
}
