//! The rules of time, on the state machine alone: no test here waits.

use jiff::{SignedDuration, Timestamp};

use super::super::message::{Envelope, Message, RetryPolicy};
use super::super::record::Record;
use super::super::refusal::{Cap, Refusal};
use super::super::state::{Receipt, State};

/// A broker with topic `t`, whose clock moves in ticks of 250 ms.
pub(super) struct Clock {
    pub(super) state: State,
    pub(super) now: Timestamp,
    pub(super) records: Vec<Record>,
}

/// What a delivery said: the stream's number, offset, attempts, last error.
pub(super) type Said = (u64, i64, i64, String);

impl Clock {
    pub(super) fn new() -> Self {
        let mut state = State::new(1);
        state.create_topic("t", 1);
        Self { state, now: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000), records: Vec::new() }
    }

    pub(super) fn produce(&mut self, value: &str, envelope: Option<Envelope>) -> Result<(), Refusal> {
        let message = Message { value: value.to_owned(), envelope, ..Message::default() };
        if let Some(key) = self.state.produce(self.now, "t", message)? {
            self.state.produced(self.now, &key);
        }
        Ok(())
    }

    pub(super) fn consume(&mut self, owner: &str, lease_ms: i64) -> super::super::delivery::StreamId {
        let lease = SignedDuration::from_millis(lease_ms);
        self.state.subscribe(self.now, "t", "g", owner, lease).unwrap()
    }

    pub(super) fn receipt(owner: &str, offset: i64) -> Receipt {
        Receipt { topic: "t".into(), group: "g".into(), owner: owner.into(), partition: 0, offset }
    }

    pub(super) fn ack(&mut self, owner: &str, offset: i64) -> Result<(), Refusal> {
        self.state.ack(self.now, &Self::receipt(owner, offset))
    }

    pub(super) fn nack(&mut self, owner: &str, offset: i64, reason: &str) -> Result<(), Refusal> {
        self.state.nack(self.now, &Self::receipt(owner, offset), reason)
    }

    pub(super) fn sleep(&mut self, ms: i64) {
        self.now += SignedDuration::from_millis(ms);
    }

    /// What was delivered since it was last asked, by offset.
    pub(super) fn delivered(&mut self) -> Vec<Said> {
        let effects = self.state.take_effects();
        self.records.extend(effects.records);
        let said = effects.deliveries.into_iter();
        let mut said: Vec<Said> =
            said.map(|sent| (sent.to.0, sent.message.offset, sent.attempts, sent.last_error)).collect();
        said.sort();
        said
    }

    /// Ticks until something is delivered: how long it took, and what it was. At most a minute.
    pub(super) fn tick_until_delivered(&mut self) -> (i64, Vec<Said>) {
        let start = self.now;
        loop {
            self.sleep(250);
            self.state.redeliver(self.now);
            let said = self.delivered();
            let ms = self.now.duration_since(start).as_millis() as i64;
            if !said.is_empty() || ms > 60_000 {
                return (ms, said);
            }
        }
    }
}

fn said(stream: u64, offset: i64, attempts: i64, last_error: &str) -> Said {
    (stream, offset, attempts, last_error.to_owned())
}

fn retry(max_attempts: i64, backoff_ms: i64, max_backoff_ms: i64) -> Option<Envelope> {
    let retry_policy = Some(RetryPolicy { max_attempts, backoff_ms, max_backoff_ms });
    Some(Envelope { retry_policy, ..Envelope::default() })
}

/// Transcript 07: redelivered when the lease is over, again and again, on the stream that has it.
#[test]
fn an_expired_lease_is_redelivered() {
    let mut clock = Clock::new();
    clock.produce("m0", None).unwrap();
    clock.consume("o", 1000);
    assert_eq!(clock.delivered(), [said(0, 0, 1, "")]);
    assert_eq!(clock.tick_until_delivered(), (1000, vec![said(0, 0, 2, "ack_timeout")]));
    assert_eq!(clock.tick_until_delivered(), (1000, vec![said(0, 0, 3, "ack_timeout")]));
}

/// Transcript 08: a new owner has a dead one's messages after 2 s, then holds them by its own lease;
/// the same owner has them only after the full lease.
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

/// Transcript 21: nothing happens to what is in flight while nobody listens, and its places stay taken.
#[test]
fn the_dead_hold_their_places() {
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

/// Transcript 07: 500 ms lease, then backoffs of 1, 2, 4 and 4 s, counted from the last delivery.
#[test]
fn backoff_delays_redelivery() {
    let mut clock = Clock::new();
    clock.produce("mb", retry(10, 1000, 4000)).unwrap();
    clock.consume("b", 500);
    clock.delivered();
    let gaps: Vec<i64> = (0..5).map(|_| clock.tick_until_delivered().0).collect();
    assert_eq!(gaps, [500, 1000, 2000, 4000, 4000]);
}

/// Transcript 06: a nack redelivers at once, to the next stream in turn, whatever the backoff says.
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

/// Transcript 12: after the last attempt a copy goes to `dlq.t`, without the policy, and the message is done.
#[test]
fn exhausted_messages_are_buried() {
    let mut clock = Clock::new();
    clock.produce("slow", retry(3, 500, 800)).unwrap();
    clock.consume("o", 1000);
    clock.delivered();
    assert_eq!(clock.tick_until_delivered().1, [said(0, 0, 2, "ack_timeout")]);
    assert_eq!(clock.tick_until_delivered().1, [said(0, 0, 3, "ack_timeout")]);
    let lease = SignedDuration::from_secs(30);
    clock.sleep(1000);
    clock.state.redeliver(clock.now);
    assert_eq!(clock.delivered(), []);
    clock.state.subscribe(clock.now, "dlq.t", "g", "o", lease).unwrap();
    let sent = clock.state.take_effects().deliveries.remove(0);
    let line = String::from_utf8(sent.line()).unwrap();
    assert!(line.contains(r#""attempts":1,"key":"","value":"slow","last_error":""#), "{line}");
    assert!(line.ends_with("\"envelope\":{}}\n"), "{line}");
    assert_eq!(clock.ack("o", 0), Err(Refusal::NotInFlight));
    assert_eq!(clock.state.dead["t"], 1);
}

/// Transcript 19: with `dlq.t` full the message keeps its place, is not redelivered, and grows a record a tick.
#[test]
fn a_full_dead_letter_topic_wedges_the_message() {
    let mut clock = Clock::new();
    clock.state.create_topic("dlq.t", 1);
    for _ in 0..100 {
        let message = Message { value: "x".into(), ..Message::default() };
        clock.state.produce(clock.now, "dlq.t", message).unwrap();
    }
    clock.produce("poison", retry(1, 0, 0)).unwrap();
    clock.consume("o", 400);
    clock.delivered();
    clock.records.clear();
    for _ in 0..20 {
        clock.sleep(250);
        clock.state.redeliver(clock.now);
    }
    assert_eq!(clock.delivered(), []);
    let errors: Vec<usize> = clock
        .records
        .iter()
        .map(|record| match record {
            Record::Error { last_error, .. } => last_error.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(errors.len(), 20, "ack_timeout, then one a tick from 500 ms on");
    assert!(errors.is_sorted() && errors[19] > 1000);
    assert_eq!(clock.state.rejected[&Cap::Messages], 19);
    assert_eq!(clock.state.topics["t"].groups["g"].partitions[0].in_flight.len(), 1);
}

/// Transcript 04: two in flight for a group, however many streams; each ack makes room for the next in turn.
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

/// Transcript 05: the mark moves up only, and only a move is recorded.
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

/// Transcript 13: 100 messages, then a 429; the slowest group counts, once it has acked.
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

/// Transcript 13: keys and values of unacked messages stay below 65,536 bytes.
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

/// Transcript 18: of two messages sent off together, the second is rarely first, but sometimes.
#[test]
fn delivery_order_is_not_guaranteed() {
    let mut state = State::new(7);
    let lease = SignedDuration::from_secs(30);
    let overtaken = (0..3000).filter(|number| {
        let topic = format!("t{number}");
        state.create_topic(&topic, 1);
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
