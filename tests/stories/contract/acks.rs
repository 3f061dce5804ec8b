//! Acks: who may send them, for which messages, and how late.

use std::time::Duration;

use serde_json::json;

use super::broker::Broker;

cases! {
    both: [
        an_ack_is_its_owners_and_good_once,
        what_cannot_be_acked_is_refused,
        an_ack_commits_everything_below_it,
        a_late_ack_is_good_until_the_redelivery,
        a_late_ack_with_a_key_has_lost_its_lease,
    ],
}

const NOT_OWNER: &str = r#"{"error":"FAILED_PRECONDITION","message":"not owner"}"#;
const NOT_IN_FLIGHT: &str = "message is not in-flight";

/// The owner's ack is answered 204, from whichever connection (here each call has its own), and the next
/// message is delivered.
async fn an_ack_is_its_owners_and_good_once(broker: Broker) {
    let topic = broker.topic(1).await;
    let limit = broker.limit();
    topic.fill(limit + 4).await;
    let mut stream = topic.consume("o1", 30_000).await;
    assert!(stream.offsets(limit).await.into_iter().eq(0..limit as u64));
    let ack = async |owner: &str, offset: usize| {
        topic.settle("ack", json!({ "owner": owner, "partition": 0, "offset": offset })).await
    };
    ack("other", 0).await.is(409, NOT_OWNER);
    ack("o1", 0).await.is(204, "");
    assert_eq!(stream.next().await.offset, limit as u64);
    ack("o1", 0).await.refuses(NOT_IN_FLIGHT);
    for never_delivered in [limit + 3, 999] {
        ack("o1", never_delivered).await.refuses(NOT_IN_FLIGHT);
    }
    let query = format!("/v1/ack?topic={}&group=g&owner=o1&partition=0&offset=1", topic.name);
    broker.wire.post(&query, "").await.is(204, "");
    assert_eq!(stream.next().await.offset, limit as u64 + 1);
}

async fn what_cannot_be_acked_is_refused(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.fill(1).await;
    for (fields, message) in [
        (json!({ "owner": "o", "partition": 7, "offset": 1 }), "partition out of range"),
        (json!({ "owner": "o", "partition": -1, "offset": 0 }), "partition cannot be negative"),
        (json!({ "owner": "o", "partition": 0, "offset": -1 }), "offset cannot be negative"),
        (json!({ "owner": "o", "partition": "0", "offset": 1 }), "invalid partition"),
        (json!({ "owner": "o", "partition": 0, "offset": "1" }), "invalid offset"),
        (json!({ "partition": 0, "offset": 1 }), "topic, group, and owner are required"),
        (json!({ "owner": "o", "partition": 0, "offset": 1, "x": 1 }), "unknown field: x"),
        (json!({ "owner": "o", "group": "nogroup", "partition": 0, "offset": 0 }), NOT_IN_FLIGHT),
        (json!({ "owner": "o" }), NOT_IN_FLIGHT), // partition and offset are 0 if they are not given
    ] {
        topic.settle("ack", fields).await.refuses(message);
    }
    let elsewhere = broker.missing_topic();
    let fields = json!({ "owner": "o", "partition": 0, "offset": 0 });
    elsewhere.settle("ack", fields).await.refuses("topic does not exist");
    let syntax = "invalid json body: invalid character 'b' looking for beginning of object key string";
    broker.wire.post("/v1/ack", "{bad").await.refuses(syntax);
    for (place, message) in [
        ("", "partition and offset are required"),
        ("&partition=0", "partition and offset are required"),
        ("&partition=x&offset=1", "invalid partition"),
        ("&partition=0&offset=x", "invalid offset"),
    ] {
        let query = format!("/v1/ack?topic={}&group=g&owner=o{place}", topic.name);
        broker.wire.post(&query, "").await.refuses(message);
    }
}

/// The second message in flight is acked first, and neither of the two counts as lag any more.
async fn an_ack_commits_everything_below_it(broker: Broker) {
    let topic = broker.topic(1).await;
    let limit = broker.limit();
    topic.fill(limit + 4).await;
    let mut stream = topic.consume("o", 30_000).await;
    assert!(stream.offsets(limit).await.into_iter().eq(0..limit as u64));
    topic.ack("o", 1).await;
    assert_eq!(stream.next().await.offset, limit as u64);
    let lag = topic.metric("consumer_lag", r#"group="g",partition="0""#).await;
    assert_eq!((lag, topic.in_flight().await), (Some(limit as u64 + 2), Some(limit as u64)));
}

/// The lease is over, but no stream is open, so the message is not redelivered yet: the ack succeeds.
async fn a_late_ack_is_good_until_the_redelivery(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.fill(1).await;
    let mut stream = topic.consume("o", 300).await;
    stream.next().await;
    stream.close().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    topic.ack("o", 0).await;
}

/// With an idempotency key, a late ack fails. A late nack still succeeds, and its error says what was lost.
/// Once another owner has the message, the old owner's ack is answered 409.
async fn a_late_ack_with_a_key_has_lost_its_lease(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.take(json!({ "value": "m", "envelope": { "idempotency_key": "k" } })).await;
    let mut stream = topic.consume("o", 300).await;
    stream.next().await;
    stream.close().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let place = json!({ "owner": "o", "partition": 0, "offset": 0 });
    topic.settle("ack", place.clone()).await.refuses("idempotency: lease lost or expired");
    topic.nack("o", 0, "late").await;
    let mut stream = topic.consume("o2", 30_000).await;
    let again = stream.next().await;
    let lost = "late | idem_fail_failed: idempotency: lease lost or expired";
    assert_eq!((again.attempts, again.last_error.as_str()), (2, lost));
    topic.settle("ack", place).await.is(409, NOT_OWNER);
}
