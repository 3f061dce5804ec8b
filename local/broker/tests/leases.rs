//! Leases, backoffs and nacks.

use super::super::refusal::Refusal;
use super::clock::{Clock, retry, said};

/// A message is redelivered each time that its lease expires, even to the stream that has it.
#[test]
fn an_expired_lease_is_redelivered() {
    let mut clock = Clock::new();
    clock.produce("m0", None).unwrap();
    clock.consume("o", 1000);
    assert_eq!(clock.delivered(), [said(0, 0, 1, "")]);
    assert_eq!(clock.tick_until_delivered(), (1000, vec![said(0, 0, 2, "ack_timeout")]));
    assert_eq!(clock.tick_until_delivered(), (1000, vec![said(0, 0, 3, "ack_timeout")]));
}

/// A new owner gets a dead one's messages after 2 s, then holds them with its own lease; the same owner gets them only after the full lease.
#[test]
fn a_new_owner_waits_two_seconds_and_the_same_owner_the_whole_lease() {
    for (second, waits) in [("B", 2000), ("A", 8000)] {
        let mut clock = Clock::new();
        clock.produce("m0", None).unwrap();
        let first = clock.consume("A", 8000);
        clock.delivered();
        clock.state.unsubscribe("t", "g", first);
        clock.consume(second, 8000);
        assert_eq!(clock.tick_until_delivered(), (waits, vec![said(1, 0, 2, "ack_timeout")]));
        assert_eq!(clock.tick_until_delivered(), (8000, vec![said(1, 0, 3, "ack_timeout")]));
    }
}

/// In-flight messages stay in flight while there is no stream, and keep their slots.
#[test]
fn a_dead_consumer_holds_its_places() {
    let mut clock = Clock::new();
    for value in ["m0", "m1", "m2"] {
        clock.produce(value, None).unwrap();
    }
    let first = clock.consume("A", 6000);
    clock.delivered();
    clock.state.unsubscribe("t", "g", first);
    clock.consume("A", 6000);
    let (waited, back) = clock.tick_until_delivered();
    assert_eq!((waited, back), (6000, vec![said(1, 0, 2, "ack_timeout"), said(1, 1, 2, "ack_timeout")]));
}

/// 500 ms lease, then backoffs of 1, 2, 4 and 4 s, counted from the last delivery.
#[test]
fn backoff_delays_redelivery() {
    let mut clock = Clock::new();
    clock.produce("mb", retry(10, 1000, 4000)).unwrap();
    clock.consume("b", 500);
    clock.delivered();
    let gaps: Vec<i64> = (0..5).map(|_| clock.tick_until_delivered().0).collect();
    assert_eq!(gaps, [500, 1000, 2000, 4000, 4000]);
}

/// A nack redelivers at once, to the next stream in turn, whatever the backoff is.
#[test]
fn a_nack_redelivers_at_once() {
    let mut clock = Clock::new();
    clock.produce("m0", retry(10, 1000, 4000)).unwrap();
    clock.consume("o1", 30_000);
    clock.consume("o2", 30_000);
    assert_eq!(clock.delivered(), [said(0, 0, 1, "")]);
    clock.nack("o1", 0, "boom").unwrap();
    assert_eq!(clock.delivered(), [said(0, 0, 2, "boom")]);
    clock.nack("o1", 0, "").unwrap();
    assert_eq!(clock.delivered(), [said(1, 0, 3, "boom | nack")]);
    assert_eq!(clock.nack("o1", 0, "late"), Err(Refusal::NotOwner));
}
