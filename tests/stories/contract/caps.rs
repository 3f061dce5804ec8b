//! Caps: how much a partition takes before it refuses messages.

use serde_json::json;

use super::{
    broker::{Broker, Topic, metric},
    wire::Reply,
};

cases! {
    both: [
        one_message_too_many_in_a_partition_is_refused,
        the_slowest_group_that_has_acked_counts,
        a_large_message_is_delivered,
        refusals_are_counted,
    ],
    g0: [a_partition_has_room_for_65_535_bytes],
    g3: [a_partition_has_room_for_less_than_4_mib],
}

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

/// Nobody reads, so the partition fills up for good. Other partitions have room of their own.
async fn one_message_too_many_in_a_partition_is_refused(broker: Broker) {
    let topic = broker.topic(2).await;
    topic.fill(broker.profile.max_messages()).await;
    is_full(&one_more(&topic).await, "partition_buffer_full");
    topic.take(json!({ "value": "m", "envelope": { "partition_override": 1 } })).await;
    is_full(&one_more(&topic).await, "partition_buffer_full");
}

/// An ack frees a place. A second group counts from its first ack on, and then the slower group decides.
async fn the_slowest_group_that_has_acked_counts(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.fill(broker.profile.max_messages()).await;
    let limit = broker.limit();
    let mut stream = topic.consume("o", 30_000).await;
    assert!(stream.offsets(limit).await.into_iter().eq(0..limit as u64));
    is_full(&one_more(&topic).await, "partition_buffer_full");
    topic.ack("o", 0).await;
    assert_eq!(one_more(&topic).await.status, 200);
    is_full(&one_more(&topic).await, "partition_buffer_full");

    assert_eq!(stream.next().await.offset, limit as u64);
    topic.ack("o", 1).await;
    topic.ack("o", 2).await;
    let mut slow = topic.consume_in("slow", "s", 30_000).await;
    assert_eq!(slow.next().await.offset, 0);
    assert_eq!(one_more(&topic).await.status, 200, "slow has acked nothing");
    topic.ack_in("slow", "s", 0).await;
    is_full(&one_more(&topic).await, "partition_buffer_full");
}

/// Keys and values must stay below 65,536 bytes together.
async fn a_partition_has_room_for_65_535_bytes(broker: Broker) {
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

/// A partition takes 256 KiB in one message and more, but not 4 MiB.
async fn a_partition_has_room_for_less_than_4_mib(broker: Broker) {
    let topic = broker.topic(1).await;
    is_full(&bytes(&topic, 4 << 20).await, "partition_buffer_bytes_full");
    for count in [65_536, 256 << 10, 3 << 20] {
        assert_eq!(bytes(&topic, count).await.status, 200, "{count}");
    }
    is_full(&bytes(&topic, 1 << 20).await, "partition_buffer_bytes_full");
}

/// A large message is delivered whole. In the first generation there is no larger one.
async fn a_large_message_is_delivered(broker: Broker) {
    let topic = broker.topic(1).await;
    let largest = if broker.profile.max_bytes() > 65_536 { 1 << 20 } else { 65_535 };
    assert_eq!(bytes(&topic, largest).await.status, 200);
    let mut stream = topic.consume("o", 30_000).await;
    assert_eq!(stream.next().await.value.len(), largest);
}

/// Refusals are counted by their reason.
async fn refusals_are_counted(broker: Broker) {
    let topic = broker.topic(1).await;
    let sample = r#"produce_rejected_total{reason="partition_buffer_bytes_full"}"#;
    let before = metric(&broker.wire, sample).await.unwrap_or(0);
    bytes(&topic, broker.profile.max_bytes()).await;
    assert!(metric(&broker.wire, sample).await > Some(before));
}
