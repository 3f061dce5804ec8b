//! Groups: limits in flight, round-robin, high-water marks, and an order that is not guaranteed.

use jiff::{SignedDuration, Timestamp};

use super::super::message::Message;
use super::super::profile::Profile;
use super::super::record::Record;
use super::super::state::State;
use super::clock::{Clock, said};

/// Two in flight per group, however many streams; each ack makes room for the next stream in turn.
#[test]
fn two_in_flight_and_round_robin_over_streams() {
    let mut clock = Clock::new();
    for owner in ["x", "x", "y"] {
        clock.consume(owner, 30_000);
    }
    for value in 0..6 {
        clock.produce(&format!("m{value}"), None).unwrap();
    }
    assert_eq!(clock.delivered(), [said(0, 0, 1, ""), said(1, 1, 1, "")]);
    clock.ack("x", 0).unwrap();
    assert_eq!(clock.delivered(), [said(2, 2, 1, "")]);
    clock.ack("x", 1).unwrap();
    assert_eq!(clock.delivered(), [said(0, 3, 1, "")]);
}

/// The high-water mark only moves up, and only a move is recorded.
#[test]
fn the_high_water_mark_never_moves_down() {
    let mut clock = Clock::new();
    clock.produce("m0", None).unwrap();
    clock.produce("m1", None).unwrap();
    clock.consume("o", 30_000);
    clock.delivered();
    clock.records.clear();
    clock.ack("o", 1).unwrap();
    clock.ack("o", 0).unwrap();
    clock.delivered();
    assert!(matches!(clock.records[..], [Record::Commit { offset: 1, .. }]), "{:?}", clock.records);
    assert_eq!(clock.state.topics["t"].groups["g"].partitions[0].committed, Some(1));
}

/// Of two messages delivered together, the second is rarely but sometimes first.
#[test]
fn delivery_order_is_not_guaranteed() {
    let mut state = State::new(Profile::G0, 7);
    let lease = SignedDuration::from_secs(30);
    let overtaken = (0..3000).filter(|number| {
        let topic = format!("t{number}");
        state.create_topic(&topic, 1).unwrap();
        for value in ["a", "b"] {
            let message = Message { value: value.into(), ..Message::default() };
            state.produce(Timestamp::UNIX_EPOCH, &topic, message).unwrap();
        }
        state.subscribe(Timestamp::UNIX_EPOCH, &topic, "g", "o", lease).unwrap();
        let sent = state.take_effects().deliveries;
        sent[0].message.offset > sent[1].message.offset
    });
    let overtaken = overtaken.count();
    assert!((1..60).contains(&overtaken), "{overtaken} of 3000");
}
