//! Retry policies, and the topics to which messages go when their attempts are used up.

use std::time::{Duration, Instant};

use serde_json::json;

use super::broker::Broker;

/// How often `/metrics` is looked at.
const LOOK: Duration = Duration::from_millis(50);

cases! {
    both: [
        max_attempts_deliveries_then_a_copy,
        a_copy_for_each_group_whose_leases_ran_out,
        a_full_dead_letter_topic_keeps_the_message_in_flight,
        a_dead_letter_topic_with_room_again_takes_it,
    ],
}

/// N deliveries, then a copy without the retry policy, whose attempts and error start anew.
async fn max_attempts_deliveries_then_a_copy(broker: Broker) {
    let topic = broker.topic(2).await;
    let policy = json!({ "max_attempts": 2 });
    let envelope = json!({ "run_id": "r1", "idempotency_key": "pk", "retry_policy": policy });
    topic.take(json!({ "key": "k", "value": "poison", "envelope": envelope })).await;
    let mut stream = topic.consume("o", 30_000).await;
    assert_eq!(stream.next().await.attempts, 1);
    topic.nack("o", 0, "r1").await;
    assert_eq!(stream.next().await.attempts, 2);
    topic.nack("o", 0, "r2").await;
    let mut letters = topic.dead_letters().consume("o", 30_000).await;
    let line = letters.next().await.line;
    let start = r#"{"partition":0,"offset":0,"attempts":1,"key":"k","value":"poison","last_error":"","#;
    assert!(line.starts_with(start), "{line}");
    assert!(line.ends_with(r#""envelope":{"run_id":"r1","idempotency_key":"pk"}}"#), "{line}");
    let place = json!({ "owner": "o", "partition": 0, "offset": 0 });
    topic.settle("ack", place).await.refuses("message is not in-flight");
    assert_eq!(topic.metric("consumer_lag", r#"group="g",partition="0""#).await, Some(0));
    assert_eq!(topic.metric("dlq_messages_total", r#"reason="max_attempts_reached""#).await, Some(1));
    let list = broker.wire.get("/v1/topics").await.body;
    assert!(list.contains(&format!("\"dlq.{}\"", topic.name)), "{list}");
}

/// Expired leases use up attempts too. Each group that uses up its attempts makes a copy of its own. If the
/// original's envelope had only a retry policy, the copy's envelope is empty.
async fn a_copy_for_each_group_whose_leases_ran_out(broker: Broker) {
    let topic = broker.topic(1).await;
    let mut first = topic.consume_in("g1", "o", 400).await;
    let mut second = topic.consume_in("g2", "o", 400).await;
    let policy = json!({ "max_attempts": 2, "backoff_ms": 10, "max_backoff_ms": 10 });
    topic.take(json!({ "value": "both", "envelope": { "retry_policy": policy } })).await;
    for stream in [&mut first, &mut second] {
        assert_eq!(stream.take(2).await[1].last_error, "ack_timeout");
    }
    let dead_letters = topic.dead_letters();
    let since = Instant::now();
    let buried = r#"reason="max_attempts_reached""#;
    while topic.metric("dlq_messages_total", buried).await != Some(2) {
        assert!(since.elapsed() < 12 * broker.profile.tick(), "no second copy");
        tokio::time::sleep(LOOK).await;
    }
    let mut letters = dead_letters.consume("o", 30_000).await;
    for letter in letters.take(2).await {
        assert_eq!((letter.attempts, letter.value.as_str()), (1, "both"));
        assert!(letter.line.ends_with(r#""envelope":{}}"#), "{}", letter.line);
    }
}

/// The message is neither redelivered nor moved, and keeps its place. The move is tried at every tick, each
/// time with one more record and a longer error.
async fn a_full_dead_letter_topic_keeps_the_message_in_flight(broker: Broker) {
    let topic = broker.topic(1).await;
    let dead_letters = topic.dead_letters();
    dead_letters.create(1).await;
    dead_letters.fill(broker.profile.max_messages()).await;
    topic.take(json!({ "value": "poison", "envelope": { "retry_policy": { "max_attempts": 1 } } })).await;
    let mut stream = topic.consume("o", 400).await;
    assert_eq!(stream.next().await.value, "poison");
    let tick = broker.profile.tick();
    assert!(stream.is_silent_for(600 + tick.as_millis() as u64).await);
    let before = broker.log();
    assert!(stream.is_silent_for(8 * tick.as_millis() as u64).await);
    assert_eq!(topic.in_flight().await, Some(1));
    assert_eq!(topic.metric("consumer_lag", r#"group="g",partition="0""#).await, Some(1));
    assert_eq!(topic.metric("dlq_messages_total", r#"reason="max_attempts_reached""#).await, None);
    let (Some(before), Some(after)) = (before, broker.log()) else {
        println!(
            "skipped: the log of the broker of DRIFTQ_HTTP_URL can't be seen, so its records are not counted"
        );
        return;
    };
    let grown = &after[before.len()..];
    assert!((5..=9).contains(&grown.len()), "8 ticks, {} records", grown.len());
    assert!(
        grown
            .iter()
            .all(|line| line.contains("dlq_publish_failed: producer overload: partition_buffer_full"))
    );
    assert!(grown.is_sorted_by_key(String::len));
}

/// Once the dead-letter topic has room again, the message is moved.
async fn a_dead_letter_topic_with_room_again_takes_it(broker: Broker) {
    let topic = broker.topic(1).await;
    let dead_letters = topic.dead_letters();
    dead_letters.create(1).await;
    dead_letters.fill(broker.profile.max_messages()).await;
    topic.take(json!({ "value": "poison", "envelope": { "retry_policy": { "max_attempts": 1 } } })).await;
    let mut stream = topic.consume("o", 300).await;
    stream.next().await;
    assert!(stream.is_silent_for(300 + 2 * broker.profile.tick().as_millis() as u64).await);
    let mut letters = dead_letters.consume("o", 30_000).await;
    // Of two that are delivered together the second may come first.
    let first = letters.next().await.offset;
    dead_letters.ack("o", first).await;
    let since = Instant::now();
    while topic.in_flight().await != Some(0) {
        assert!(since.elapsed() < Duration::from_secs(3), "it is still in flight");
        tokio::time::sleep(LOOK).await;
    }
}
