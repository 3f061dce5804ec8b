//! Where a message goes: partition, offset, and another topic.

use serde_json::json;

use super::broker::{Broker, Topic};

async fn places(topic: &Topic, count: usize) -> Vec<(u64, u64, String)> {
    let mut stream = topic.consume("o", 30_000).await;
    let taken = stream.take(count).await.into_iter();
    taken.map(|delivery| (delivery.partition, delivery.offset, delivery.value)).collect()
}

/// Transcript 11: FNV-1a-32 of the key, modulo the number of partitions; no key is partition 0. Offsets are counted by
/// topic, so that a partition's have gaps.
#[tokio::test]
async fn a_key_chooses_the_partition_and_the_topic_counts_the_offsets() {
    let broker = Broker::any().await;
    let topic = broker.topic(4).await;
    for key in ["", "alpha", "beta", "gamma", "delta", "order-1"] {
        topic.take(json!({ "key": key, "value": format!("k={key}") })).await;
    }
    let expected = [
        (0, 0, "k="),
        (1, 4, "k=delta"),
        (1, 5, "k=order-1"),
        (2, 3, "k=gamma"),
        (3, 1, "k=alpha"),
        (3, 2, "k=beta"),
    ];
    let expected = expected.map(|(partition, offset, value)| (partition, offset, value.to_owned()));
    assert_eq!(places(&topic, 6).await, expected);
}

/// Transcript 11: a key does not matter to it, and neither end of its range is open.
#[tokio::test]
async fn a_partition_override_wins_over_the_key() {
    let broker = Broker::any().await;
    let topic = broker.topic(4).await;
    topic.take(json!({ "value": "p2", "envelope": { "partition_override": 2 } })).await;
    topic.take(json!({ "key": "alpha", "value": "p0", "envelope": { "partition_override": 0 } })).await;
    for partition in [-1, 4] {
        let message = json!({ "value": "v", "envelope": { "partition_override": partition } });
        topic.produce(message).await.refuses("partition_override out of range");
    }
    assert_eq!(places(&topic, 2).await, [(0, 1, "p0".to_owned()), (2, 0, "p2".to_owned())]);
}

/// Transcript 11: the answer names the topic that was asked for, which need not even exist.
#[tokio::test]
async fn a_target_topic_wins_over_the_topic() {
    let broker = Broker::any().await;
    let (asked, target) = (broker.topic(1).await, broker.topic(1).await);
    let ghost = Topic { wire: broker.wire.clone(), name: Broker::name() };
    asked.take(json!({ "value": "a", "envelope": { "target_topic": target.name } })).await;
    ghost.take(json!({ "value": "b", "envelope": { "target_topic": target.name } })).await;
    assert_eq!(places(&target, 2).await, [(0, 0, "a".to_owned()), (0, 1, "b".to_owned())]);
    let nowhere = json!({ "value": "x", "envelope": { "target_topic": ghost.name } });
    asked.produce(nowhere).await.refuses("topic does not exist (create it first)");
}
