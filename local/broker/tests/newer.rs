//! The newer generation, with the simulated clock.

use jiff::Timestamp;

use super::super::profile::Profile;
use super::super::record::Record;
use super::super::refusal::Refusal;
use super::super::state::State;
use super::clock::{Clock, said};

/// A broker with this many messages, all delivered to owner `o`.
fn delivered(messages: i64) -> Clock {
    let mut clock = Clock::of(Profile::G3);
    for number in 0..messages {
        clock.produce(&format!("m{number}"), None).unwrap();
    }
    clock.consume("o", 3000);
    clock
}

fn ack_cumulative(clock: &mut Clock, owner: &str, offset: i64) -> Result<(), Refusal> {
    clock.state.ack_cumulative(clock.now, &Clock::receipt(owner, offset))
}

#[test]
fn thirty_two_are_in_flight_and_first_deliveries_ascend() {
    let mut clock = delivered(40);
    let offsets: Vec<i64> =
        clock.state.take_effects().deliveries.iter().map(|sent| sent.message.offset).collect();
    assert_eq!(offsets, (0..32).collect::<Vec<_>>());
    clock.ack("o", 0).unwrap();
    assert_eq!(clock.delivered(), [said(0, 32, 1, "")]);
}

#[test]
fn the_limit_in_flight_can_be_set() {
    let mut state = State::new(Profile::G3.with_max_in_flight(3), 1);
    state.create_topic("t", 1).unwrap();
    let mut clock = Clock { state, now: Timestamp::UNIX_EPOCH, records: Vec::new() };
    for _ in 0..5 {
        clock.produce("m", None).unwrap();
    }
    clock.consume("o", 3000);
    assert_eq!(clock.delivered().len(), 3);
}

/// Every order of three messages occurs.
#[test]
fn redeliveries_come_in_a_random_order() {
    let mut clock = delivered(3);
    clock.delivered();
    let mut orders = std::collections::BTreeSet::new();
    for _ in 0..100 {
        clock.sleep(3000);
        clock.state.redeliver(clock.now);
        let sent = clock.state.take_effects().deliveries;
        let mut order: Vec<i64> = sent.iter().map(|sent| sent.message.offset).collect();
        orders.insert(order.clone());
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2]);
    }
    assert_eq!(orders.len(), 6);
}

#[test]
fn a_cumulative_ack_needs_everything_up_to_it() {
    let mut clock = delivered(3);
    clock.produce("m3", None).unwrap();
    clock.delivered();
    clock.records.clear();
    assert_eq!(ack_cumulative(&mut clock, "o", 4), Err(Refusal::NotAllHeld), "4 is not in flight");
    assert_eq!(ack_cumulative(&mut clock, "other", 1), Err(Refusal::NotAllHeld), "they are o's");
    ack_cumulative(&mut clock, "o", 1).unwrap();
    clock.delivered();
    assert!(matches!(clock.records[..], [Record::Commit { offset: 1, .. }]), "{:?}", clock.records);
    assert_eq!(ack_cumulative(&mut clock, "other", 1), Ok(()), "it is done, for every owner");
    assert_eq!(clock.ack("o", 0), Err(Refusal::NotInFlight));
    ack_cumulative(&mut clock, "o", 3).unwrap();
    let group = &clock.state.topics["t"].groups["g"];
    assert_eq!((group.committed(0), group.partitions[0].in_flight.len()), (Some(3), 0));
}

/// It answers success and does nothing: only a plain ack ends such a message.
#[test]
fn a_cumulative_ack_leaves_what_is_below_the_commit() {
    let mut clock = delivered(2);
    clock.delivered();
    clock.ack("o", 1).unwrap();
    clock.records.clear();
    ack_cumulative(&mut clock, "o", 0).unwrap();
    let in_flight = |clock: &Clock| clock.state.topics["t"].groups["g"].partitions[0].in_flight.len();
    assert_eq!((in_flight(&clock), clock.records.len()), (1, 0));
    clock.ack("o", 0).unwrap();
    assert_eq!(in_flight(&clock), 0);
}

/// A message below it belongs to another owner with an open connection: nothing may be committed.
#[test]
fn a_cumulative_ack_does_not_reach_past_another_owners_message() {
    let mut clock = Clock::of(Profile::G3);
    clock.consume("dead", 60_000);
    clock.consume("alive", 60_000);
    for _ in 0..4 {
        clock.produce("m", None).unwrap();
    }
    let delivered = clock.delivered();
    assert_eq!(delivered, [said(0, 0, 1, ""), said(0, 2, 1, ""), said(1, 1, 1, ""), said(1, 3, 1, "")]);
    for offset in [1, 3] {
        assert_eq!(ack_cumulative(&mut clock, "alive", offset), Err(Refusal::NotAllHeld));
    }
    clock.ack("alive", 3).unwrap();
    let committed = clock.state.topics["t"].groups["g"].committed(0);
    assert_eq!(committed, Some(3), "a single ack is a high-water mark as ever");
}

#[test]
fn a_log_of_the_other_generation_is_refused() {
    let offsets = |profile: Profile| {
        let mut clock = Clock::of(profile);
        clock.produce("m0", None).unwrap();
        clock.delivered();
        clock.records
    };
    for (written_by, read_by) in [(Profile::G0, Profile::G3), (Profile::G3, Profile::G0)] {
        let mut state = State::new(read_by, 1);
        let replayed: Result<Vec<()>, _> = offsets(written_by)
            .into_iter()
            .map(|record| state.replay(Timestamp::UNIX_EPOCH, record))
            .collect();
        assert!(replayed.is_err(), "{} on a log of {}", read_by.name(), written_by.name());
        let mut state = State::new(written_by, 1);
        for record in offsets(written_by) {
            state.replay(Timestamp::UNIX_EPOCH, record).unwrap();
        }
    }
}
