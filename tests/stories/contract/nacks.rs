//! Nacks: they redeliver at once, whatever the retry policy says.

use std::time::Instant;

use serde_json::json;

use super::{
    broker::{Broker, Topic},
    stream::Stream,
};

cases! {
    both: [
        a_nack_redelivers_at_once_and_reasons_pile_up,
        a_nack_ignores_the_backoff,
        a_nack_goes_to_the_next_stream,
        what_cannot_be_nacked_is_refused,
    ],
}

/// The message is redelivered at once, with all reasons so far, joined. A nack without a reason has the
/// reason `nack`.
async fn a_nack_redelivers_at_once_and_reasons_pile_up(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.fill(1).await;
    let mut stream = topic.consume("o", 30_000).await;
    assert_eq!(stream.next().await.attempts, 1);
    let place = format!("?topic={}&group=g&owner=o&partition=0&offset=0", topic.name);
    for (query, attempts, said) in [
        ("&reason=boom", 2, "boom"),
        ("&reason=bang", 3, "boom | bang"),
        ("", 4, "boom | bang | nack"),
        ("&reason=%20q%20", 5, "boom | bang | nack | q"),
    ] {
        broker.wire.post(&format!("/v1/nack{place}{query}"), "").await.is(204, "");
        let again = stream.next().await;
        assert_eq!((again.offset, again.attempts, again.last_error.as_str()), (0, attempts, said));
    }
    topic.nack("o", 0, "json").await;
    assert_eq!(stream.next().await.last_error, "boom | bang | nack | q | json");
    nacks_wait_for_nothing(&broker, &topic, &mut stream).await;
}

/// Asserts that redeliveries after nacks do not wait for ticks. If they did, each would take one tick, since
/// each follows the one before it.
async fn nacks_wait_for_nothing(broker: &Broker, topic: &Topic, stream: &mut Stream) {
    let (nacks, since) = (20, Instant::now());
    for _ in 0..nacks {
        topic.nack("o", 0, "n").await;
        stream.next().await;
    }
    assert!(
        since.elapsed() < nacks * broker.profile.tick() / 2,
        "{nacks} redeliveries in {:?}",
        since.elapsed()
    );
}

async fn a_nack_ignores_the_backoff(broker: Broker) {
    let topic = broker.topic(1).await;
    let policy = json!({ "max_attempts": 100, "backoff_ms": 4000, "max_backoff_ms": 8000 });
    topic.take(json!({ "value": "m", "envelope": { "retry_policy": policy } })).await;
    let mut stream = topic.consume("o", 30_000).await;
    stream.next().await;
    nacks_wait_for_nothing(&broker, &topic, &mut stream).await;
}

/// Redeliveries are round-robin, also with an idempotency key. The old owner's ack is refused.
async fn a_nack_goes_to_the_next_stream(broker: Broker) {
    let topic = broker.topic(1).await;
    let mut first = topic.consume("o1", 30_000).await;
    assert!(first.is_silent_for(100).await, "it is the first");
    let mut second = topic.consume("o2", 30_000).await;
    assert!(second.is_silent_for(100).await);
    topic.take(json!({ "value": "m", "envelope": { "idempotency_key": "K" } })).await;
    assert_eq!(first.next().await.attempts, 1);
    topic.nack("o1", 0, "r1").await;
    assert_eq!(second.next().await.last_error, "r1");
    let place = json!({ "owner": "o1", "partition": 0, "offset": 0 });
    let not_owner = r#"{"error":"FAILED_PRECONDITION","message":"not owner"}"#;
    topic.settle("nack", place).await.is(409, not_owner);
    topic.nack("o2", 0, "r2").await;
    let back = first.next().await;
    assert_eq!((back.attempts, back.last_error.as_str()), (3, "r1 | r2"));
}

async fn what_cannot_be_nacked_is_refused(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.fill(1).await;
    let place = json!({ "owner": "o", "partition": 0, "offset": 5 });
    topic.settle("nack", place).await.refuses("message is not in-flight");
    let unknown = json!({ "owner": "o", "partition": 0, "offset": 0, "x": 1 });
    topic.settle("nack", unknown).await.refuses("unknown field: x");
}
