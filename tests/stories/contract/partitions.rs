//! Where a message goes: partition, offset, and another topic.

use serde_json::json;

use super::broker::{Broker, Topic};

cases! {
    both: [
        a_partition_override_wins_over_the_key,
        a_target_topic_wins_over_the_topic,
    ],
    g0: [a_key_chooses_the_partition_and_the_topic_counts_the_offsets],
    g3: [a_key_chooses_the_partition_and_the_partition_counts_the_offsets],
}

async fn places(topic: &Topic, count: usize) -> Vec<(u64, u64, String)> {
    let mut stream = topic.consume("o", 30_000).await;
    let taken = stream.take(count).await.into_iter();
    taken.map(|delivery| (delivery.partition, delivery.offset, delivery.value)).collect()
}

/// FNV-1a-32 of the key, modulo the number of partitions; no key is partition 0.
const BY_KEY: [(u64, &str); 6] =
    [(0, ""), (1, "delta"), (1, "order-1"), (2, "gamma"), (3, "alpha"), (3, "beta")];

/// Messages with these keys have these offsets, in the order of [`BY_KEY`].
async fn keys_have_offsets(broker: Broker, offsets: [u64; 6]) {
    let topic = broker.topic(4).await;
    for key in ["", "alpha", "beta", "gamma", "delta", "order-1"] {
        topic.take(json!({ "key": key, "value": format!("k={key}") })).await;
    }
    let expected = BY_KEY.into_iter().zip(offsets);
    let expected = expected.map(|((partition, key), offset)| (partition, offset, format!("k={key}")));
    assert_eq!(places(&topic, 6).await, expected.collect::<Vec<_>>());
}

/// Offsets are counted by topic, so that a partition's have gaps.
async fn a_key_chooses_the_partition_and_the_topic_counts_the_offsets(broker: Broker) {
    keys_have_offsets(broker, [0, 4, 5, 3, 1, 2]).await;
}

/// Offsets are counted by partition, from 0.
async fn a_key_chooses_the_partition_and_the_partition_counts_the_offsets(broker: Broker) {
    keys_have_offsets(broker, [0, 0, 1, 0, 0, 1]).await;
}

/// The override holds whatever the key is. Numbers below and above the topic's partitions are refused.
async fn a_partition_override_wins_over_the_key(broker: Broker) {
    let topic = broker.topic(4).await;
    topic.take(json!({ "value": "p2", "envelope": { "partition_override": 2 } })).await;
    topic.take(json!({ "key": "alpha", "value": "p0", "envelope": { "partition_override": 0 } })).await;
    for partition in [-1, 4] {
        let message = json!({ "value": "v", "envelope": { "partition_override": partition } });
        topic.produce(message).await.refuses("partition_override out of range");
    }
    let places = places(&topic, 2).await.into_iter().map(|(partition, _, value)| (partition, value));
    assert!(places.eq([(0, "p0".to_owned()), (2, "p2".to_owned())]));
}

/// The answer names the topic that was asked for, which need not even exist.
async fn a_target_topic_wins_over_the_topic(broker: Broker) {
    let (asked, target) = (broker.topic(1).await, broker.topic(1).await);
    let ghost = broker.missing_topic();
    asked.take(json!({ "value": "a", "envelope": { "target_topic": target.name } })).await;
    ghost.take(json!({ "value": "b", "envelope": { "target_topic": target.name } })).await;
    assert_eq!(places(&target, 2).await, [(0, 0, "a".to_owned()), (0, 1, "b".to_owned())]);
    let nowhere = json!({ "value": "x", "envelope": { "target_topic": ghost.name } });
    asked.produce(nowhere).await.refuses("topic does not exist (create it first)");
}
