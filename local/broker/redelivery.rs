//! Second and later deliveries: overdue messages at every tick, and at once after a nack.

use jiff::{SignedDuration, Timestamp};

use super::group::Group;
use super::profile::Order;
use super::topic::Topic;
use super::turn::{Choice, Place, Turn, join_errors};

/// A message that has used up its attempts, to be moved to the dead-letter topic.
#[derive(Debug)]
pub(super) struct Exhausted {
    pub(super) topic: String,
    pub(super) group: String,
    pub(super) partition: usize,
    pub(super) offset: i64,
}

impl Topic {
    /// Redelivers overdue messages in groups that have a stream, and returns those that have used up their attempts.
    pub(super) fn redeliver(&mut self, name: &str, turn: &mut Turn<'_>) -> Vec<Exhausted> {
        let mut exhausted = Vec::new();
        let mut settled = false;
        for (group_name, group) in &mut self.groups {
            if group.streams.is_empty() {
                continue;
            }
            for partition in 0..group.partitions.len() {
                let place = Place { topic: name, group: group_name, partition };
                let mut offsets: Vec<i64> = group.partitions[partition].in_flight.keys().copied().collect();
                match turn.profile.order {
                    Order::MostlyAscending { descends_one_in, .. } => {
                        if turn.dice.one_in(descends_one_in) {
                            offsets.reverse();
                        }
                    }
                    Order::RandomRedeliveries => turn.dice.shuffle(&mut offsets),
                }
                for offset in offsets {
                    match redeliver_one(place, group, offset, turn) {
                        Outcome::Settled => settled = true,
                        Outcome::Exhausted => exhausted.push(Exhausted {
                            topic: name.to_owned(),
                            group: group_name.clone(),
                            partition,
                            offset,
                        }),
                        Outcome::Redelivered | Outcome::NotYet => {}
                    }
                }
            }
        }
        if settled {
            self.dispatch(name, turn);
        }
        exhausted
    }
}

enum Outcome {
    NotYet,
    Redelivered,
    /// The group has committed the message's idempotency key meanwhile.
    Settled,
    Exhausted,
}

fn redeliver_one(place: Place<'_>, group: &mut Group, offset: i64, turn: &mut Turn<'_>) -> Outcome {
    let now = turn.now;
    let Some((owner, sent_at)) = group.partitions[place.partition]
        .in_flight
        .get(&offset)
        .map(|entry| (entry.owner.as_str(), entry.sent_at))
    else {
        return Outcome::NotYet;
    };
    if now.duration_since(sent_at) < group.lease_of(owner) {
        return Outcome::NotYet;
    }
    let Some(entry) = group.partitions[place.partition].in_flight.get_mut(&offset) else {
        return Outcome::NotYet;
    };
    if entry.last_error.is_empty() {
        "ack_timeout".clone_into(&mut entry.last_error);
        turn.counters.timeouts += 1;
        turn.record_error(place, offset, &entry.last_error);
    }
    if entry.not_before.is_some_and(|then| now < then) {
        return Outcome::NotYet;
    }
    let message = entry.message.clone();
    let limit = message.retry_policy().map_or(0, |policy| policy.max_attempts);
    let done = place.key_of(&message).is_some_and(|key| turn.keys.is_committed(&key, now));
    if !done && limit > 0 && entry.attempts >= limit {
        return Outcome::Exhausted;
    }
    let choice = turn.choose(place, group, &message);
    let progress = &mut group.partitions[place.partition];
    let Some(entry) = progress.in_flight.get_mut(&offset) else {
        return Outcome::NotYet;
    };
    match choice {
        Ok(Choice::To(stream)) => {
            stream.owner.clone_into(&mut entry.owner);
            entry.sent_at = now;
            entry.attempts += 1;
            entry.not_before = message.retry_policy().and_then(|policy| {
                let backoff = policy.backoff_ms(entry.attempts - 1);
                (backoff > 0).then(|| later(now, backoff))
            });
            turn.deliver(&stream, entry);
            turn.counters.redeliveries += 1;
            Outcome::Redelivered
        }
        Ok(Choice::Done) => {
            turn.settle(place, progress, offset);
            Outcome::Settled
        }
        Ok(Choice::Later) => Outcome::NotYet,
        Err(refusal) => {
            join_errors(&mut entry.last_error, &format!("idem_begin_failed: {refusal}"));
            turn.record_error(place, offset, &entry.last_error);
            Outcome::NotYet
        }
    }
}

fn later(now: Timestamp, ms: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_millis(ms)).unwrap_or(Timestamp::MAX)
}
