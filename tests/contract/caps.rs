//! Caps: how much a partition takes before it pushes back.

use serde_json::json;

use super::{
    broker::{Broker, Topic, metric},
    wire::Reply,
};

#[track_caller]
fn is_full(reply: &Reply, reason: &str) {
    reply.is(
        429,
        &format!(
            r#"{{"error":"RESOURCE_EXHAUSTED","message":"producer overload: {reason}","reason":"{reason}","retry_after_ms":1000}}"#
        ),
    );
    assert_eq!(reply.header("retry-after"), Some("1"));
}

async fn one_more(topic: &Topic) -> Reply {
    topic.produce(json!({ "value": "m" })).await
}

async fn bytes(topic: &Topic, count: usize) -> Reply {
    topic.produce(json!({ "value": "x".repeat(count) })).await
}

/// Transcript 13: nobody reads, so it fills up for good; other partitions have room of their own.
#[tokio::test]
async fn the_101st_message_of_a_partition_is_refused() {
    let broker = Broker::any().await;
    let topic = broker.topic(2).await;
    topic.fill(100).await;
    is_full(&one_more(&topic).await, "partition_buffer_full");
    topic.take(json!({ "value": "m", "envelope": { "partition_override": 1 } })).await;
    is_full(&one_more(&topic).await, "partition_buffer_full");
}

/// Transcript 13: an ack frees a place. A second group counts from its first ack on, and then the slower one rules.
#[tokio::test]
async fn the_slowest_group_that_has_acked_counts() {
    let broker = Broker::any().await;
    let topic = broker.topic(1).await;
    topic.fill(100).await;
    let mut stream = topic.consume("o", 30_000).await;
    assert_eq!(stream.offsets(2).await, [0, 1]);
    is_full(&one_more(&topic).await, "partition_buffer_full");
    topic.ack("o", 0).await;
    assert_eq!(one_more(&topic).await.status, 200);
    is_full(&one_more(&topic).await, "partition_buffer_full");

    assert_eq!(stream.next().await.offset, 2);
    topic.ack("o", 1).await;
    topic.ack("o", 2).await;
    let mut slow = topic.consume_in("slow", "s", 30_000).await;
    assert_eq!(slow.offsets(2).await, [0, 1]);
    assert_eq!(one_more(&topic).await.status, 200, "slow has acked nothing");
    topic.ack_in("slow", "s", 0).await;
    is_full(&one_more(&topic).await, "partition_buffer_full");
}

/// Transcript 13: keys and values must stay below 65,536 bytes together.
#[tokio::test]
async fn a_partition_has_room_for_65_535_bytes() {
    let broker = Broker::any().await;
    let full = "partition_buffer_bytes_full";
    let topic = broker.topic(1).await;
    is_full(&bytes(&topic, 65_536).await, full);
    assert_eq!(bytes(&topic, 65_535).await.status, 200);
    is_full(&bytes(&topic, 1).await, full);

    let topic = broker.topic(1).await;
    assert_eq!(bytes(&topic, 65_530).await.status, 200);
    is_full(&topic.produce(json!({ "key": "123", "value": "456" })).await, full);
    topic.take(json!({ "key": "12", "value": "345" })).await;
    is_full(&bytes(&topic, 1).await, full);
}

/// Transcript 13: the largest message there can be is delivered whole.
#[tokio::test]
async fn the_largest_message_is_delivered() {
    let broker = Broker::any().await;
    let topic = broker.topic(1).await;
    assert_eq!(bytes(&topic, 65_535).await.status, 200);
    let mut stream = topic.consume("o", 30_000).await;
    assert_eq!(stream.next().await.value.len(), 65_535);
}

/// Transcript 13: refusals are counted by their reason.
#[tokio::test]
async fn refusals_are_counted() {
    let broker = Broker::any().await;
    let topic = broker.topic(1).await;
    let sample = r#"produce_rejected_total{reason="partition_buffer_bytes_full"}"#;
    let before = metric(&broker.wire, sample).await.unwrap_or(0);
    bytes(&topic, 65_536).await;
    assert!(metric(&broker.wire, sample).await > Some(before));
}
