//! Dead letters.

use jiff::SignedDuration;

use super::super::message::Message;
use super::super::record::Record;
use super::super::refusal::{Cap, Refusal};
use super::clock::{Clock, retry, said};

/// After the last attempt a copy goes to `dlq.t`, without the policy, and the message is done.
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

/// With `dlq.t` full, the message keeps its place and is not redelivered, and each tick writes one more record.
#[test]
fn a_full_dead_letter_topic_wedges_the_message() {
    let mut clock = Clock::new();
    clock.state.create_topic("dlq.t", 1).unwrap();
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
