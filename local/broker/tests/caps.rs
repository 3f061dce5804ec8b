//! Caps, by count and by bytes.

use jiff::SignedDuration;

use super::super::refusal::{Cap, Refusal};
use super::super::state::Receipt;
use super::clock::Clock;

/// 100 messages, then a 429; the slowest group counts, once it has acked.
#[test]
fn caps_by_count_and_by_the_slowest_group() {
    let mut clock = Clock::new();
    for _ in 0..100 {
        clock.produce("m", None).unwrap();
    }
    let full = Err(Refusal::Overloaded(Cap::Messages));
    assert_eq!(clock.produce("m", None), full);
    clock.consume("o", 30_000);
    clock.ack("o", 0).unwrap();
    clock.ack("o", 1).unwrap();
    clock.produce("m", None).unwrap();
    clock.state.subscribe(clock.now, "t", "slow", "s", SignedDuration::from_secs(30)).unwrap();
    clock.produce("m", None).unwrap();
    let first = Receipt { group: "slow".into(), ..Clock::receipt("s", 0) };
    clock.state.ack(clock.now, &first).unwrap();
    assert_eq!(clock.produce("m", None), full);
}

/// Keys and values of unacked messages stay below 65,536 bytes.
#[test]
fn caps_by_bytes() {
    let full = Err(Refusal::Overloaded(Cap::Bytes));
    let mut clock = Clock::new();
    assert_eq!(clock.produce(&"x".repeat(65_536), None), full);
    clock.produce(&"x".repeat(65_530), None).unwrap();
    clock.produce("12345", None).unwrap();
    assert_eq!(clock.produce("z", None), full);
    clock.consume("o", 30_000);
    clock.ack("o", 0).unwrap();
    clock.produce(&"x".repeat(65_530), None).unwrap();
    assert_eq!(clock.produce("z", None), full);
}
