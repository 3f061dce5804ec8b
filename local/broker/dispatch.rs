//! First deliveries: from the partitions to the groups' streams, as far as there are free slots.

use super::group::{Group, InFlight};
use super::profile::Order;
use super::topic::{Partition, Topic};
use super::turn::{Choice, Place, Turn};

impl Topic {
    /// Delivers messages to every group that has a stream with free slots.
    pub(super) fn dispatch(&mut self, name: &str, turn: &mut Turn<'_>) {
        for (group_name, group) in &mut self.groups {
            for (number, partition) in self.partitions.iter().enumerate() {
                let place = Place { topic: name, group: group_name, partition: number };
                if !group.streams.is_empty() {
                    dispatch_partition(place, group, partition, turn);
                }
            }
        }
    }
}

fn dispatch_partition(place: Place<'_>, group: &mut Group, partition: &Partition, turn: &mut Turn<'_>) {
    let delivered_before = turn.effects.deliveries.len();
    loop {
        let progress = group.progress(place.partition);
        let next = *progress.next.get_or_insert_with(|| partition.first_after(progress.committed));
        if progress.in_flight.len() >= turn.profile.max_in_flight {
            break;
        }
        let Some(message) = partition.get(next) else { break };
        let choice = turn.choose(place, group, message);
        let progress = group.progress(place.partition);
        match choice {
            Ok(Choice::To(stream)) => {
                let entry = InFlight {
                    message: message.clone(),
                    owner: stream.owner.clone(),
                    sent_at: turn.now,
                    attempts: 1,
                    last_error: progress.errors.remove(&message.offset).unwrap_or_default(),
                    not_before: None,
                };
                turn.deliver(&stream, &entry);
                progress.in_flight.insert(message.offset, entry);
            }
            Ok(Choice::Done) => turn.settle(place, progress, message.offset),
            Ok(Choice::Later) => break,
            // A lease that a keyed message can't have: the message waits, and so do all messages after it.
            Err(refusal) => {
                let error = format!("idem_begin_failed: {refusal}");
                turn.record_error(place, message.offset, &error);
                progress.errors.insert(message.offset, error);
                break;
            }
        }
        progress.next = Some(next + 1);
    }
    if let Order::MostlyAscending { overtakes_one_in, .. } = turn.profile.order {
        let fresh = &mut turn.effects.deliveries[delivered_before..];
        if fresh.len() == 2 && turn.dice.one_in(overtakes_one_in) {
            fresh.swap(0, 1);
        }
    }
}
