//! Idempotency keys, on the state machine alone.

use jiff::SignedDuration;

use super::super::message::Envelope;
use super::super::refusal::Refusal;
use super::clock::{Clock, said};

fn keyed(key: &str) -> Option<Envelope> {
    Some(Envelope { idempotency_key: key.to_owned(), ..Envelope::default() })
}

fn held(clock: &Clock) -> usize {
    clock.state.topics["t"].next_offset as usize
}

/// The second produce is dropped even if its value differs or the partition is full. Keys are kept per
/// tenant, and forgotten after 10 minutes.
#[test]
fn a_second_produce_with_a_key_is_dropped() {
    let mut clock = Clock::new();
    clock.produce("first", keyed("K")).unwrap();
    clock.produce(&"x".repeat(70_000), keyed("K")).unwrap();
    assert_eq!(held(&clock), 1);
    let tenant = Some(Envelope { tenant_id: "T2".into(), ..keyed("K").unwrap() });
    clock.produce("tenant2", tenant).unwrap();
    assert_eq!(held(&clock), 2);
    clock.sleep(600_001);
    clock.produce("later", keyed("K")).unwrap();
    assert_eq!(held(&clock), 3);
}

/// A refused produce does not use up its key.
#[test]
fn a_refused_produce_keeps_its_key_free() {
    let mut clock = Clock::new();
    let nowhere = Some(Envelope { partition_override: Some(9), ..keyed("F").unwrap() });
    assert_eq!(clock.produce("bad", nowhere), Err(Refusal::PartitionOverrideOutOfRange));
    clock.produce("good", keyed("F")).unwrap();
    assert_eq!(held(&clock), 1);
}

/// A key whose produce is not on disk yet refuses its repeats.
#[test]
fn a_concurrent_produce_with_a_key_is_refused() {
    let mut clock = Clock::new();
    let message =
        || super::super::message::Message { value: "v".into(), envelope: keyed("K"), ..Default::default() };
    let key = clock.state.produce(clock.now, "t", message()).unwrap().unwrap();
    assert_eq!(clock.state.produce(clock.now, "t", message()), Err(Refusal::KeyInFlight));
    clock.state.produced(clock.now, &key);
    assert_eq!(clock.state.produce(clock.now, "t", message()), Ok(None));
}

/// For a message with a key, even a new owner waits for the whole lease.
#[test]
fn a_keyed_message_waits_for_the_whole_lease() {
    let mut clock = Clock::new();
    clock.produce("m0", keyed("k0")).unwrap();
    let first = clock.consume("A", 8000);
    clock.delivered();
    clock.state.unsubscribe("t", "g", first);
    clock.consume("B", 8000);
    assert_eq!(clock.tick_until_delivered(), (8000, vec![said(1, 0, 2, "ack_timeout")]));
}

/// With a lease under 250 ms or over 10 minutes, a keyed message is never delivered, and neither are the
/// messages behind it.
#[test]
fn keyed_messages_need_a_proper_lease() {
    for lease in [100, 600_001] {
        let mut clock = Clock::new();
        clock.produce("m0", keyed("k0")).unwrap();
        clock.produce("m1", None).unwrap();
        let bad = clock.consume("sh", lease);
        assert_eq!(clock.tick_until_delivered().1, []);
        clock.state.unsubscribe("t", "g", bad);
        clock.consume("sh", 5000);
        let error = "idem_begin_failed: idempotency: invalid lease duration";
        assert_eq!(clock.delivered(), [said(1, 0, 1, error), said(1, 1, 1, "")]);
    }
}

/// A late ack succeeds without a key and fails with one. A late nack with a key redelivers, and the message's
/// last error says that the lease was lost.
#[test]
fn late_acks() {
    for (envelope, acked) in [(None, Ok(())), (keyed("k"), Err(Refusal::LeaseLost))] {
        let mut clock = Clock::new();
        clock.produce("m", envelope).unwrap();
        let stream = clock.consume("o", 1000);
        clock.delivered();
        clock.state.unsubscribe("t", "g", stream);
        clock.sleep(2000);
        assert_eq!(clock.ack("o", 0), acked);
        if acked.is_err() {
            clock.nack("o", 0, "late").unwrap();
            clock.consume("o2", 1000);
            let error = "late | idem_fail_failed: idempotency: lease lost or expired";
            assert_eq!(clock.tick_until_delivered().1, [said(1, 0, 2, error)]);
            assert_eq!(clock.ack("o", 0), Err(Refusal::NotOwner));
        }
    }
}

/// A committed consume key is never forgotten: a later message with it is skipped, and counts as done.
#[test]
fn a_committed_consume_key_skips_its_repeats() {
    let mut clock = Clock::new();
    clock.produce("m", keyed("K")).unwrap();
    clock.consume("o", 1000);
    clock.delivered();
    clock.ack("o", 0).unwrap();
    clock.now += SignedDuration::from_mins(11);
    clock.produce("again", keyed("K")).unwrap();
    assert_eq!(held(&clock), 2);
    assert_eq!(clock.delivered(), []);
    assert_eq!(clock.state.topics["t"].groups["g"].partitions[0].committed, Some(1));
}
