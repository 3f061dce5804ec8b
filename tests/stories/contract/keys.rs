//! Idempotency keys of producers.

use serde_json::{Value, json};

use super::broker::{Broker, Topic};

cases! {
    both: [
        a_second_produce_with_a_key_is_dropped,
        a_key_belongs_to_a_tenant_and_a_final_topic,
        the_idempotency_key_header_is_ignored,
        a_refused_produce_does_not_burn_its_key,
        a_concurrent_produce_with_a_key_is_refused,
    ],
}

fn keyed(value: &str) -> Value {
    json!({ "value": value, "envelope": { "idempotency_key": "K" } })
}

async fn values(topic: &Topic, count: usize) -> Vec<String> {
    let mut stream = topic.consume("reader", 30_000).await;
    let values = stream.take(count).await.into_iter().map(|delivery| delivery.value).collect();
    assert!(stream.is_silent_for(300).await, "and no more");
    values
}

/// The second produce is dropped, even with another value, over the caps, or after the first was consumed. Its answer
/// is the same as if it were not dropped.
async fn a_second_produce_with_a_key_is_dropped(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.take(keyed("first")).await;
    topic.take(keyed("second")).await;
    topic.take(keyed(&"x".repeat(broker.profile.max_bytes() + 1000))).await;
    let mut stream = topic.consume("o", 30_000).await;
    assert_eq!(stream.next().await.value, "first");
    topic.ack("o", 0).await;
    topic.take(keyed("third")).await;
    topic.fill(1).await;
    assert_eq!(stream.next().await.value, "m0");
}

/// The scope of a key is its tenant and the topic that the message ends up in.
async fn a_key_belongs_to_a_tenant_and_a_final_topic(broker: Broker) {
    let (topic, other) = (broker.topic(1).await, broker.topic(1).await);
    topic.take(keyed("first")).await;
    topic.take(json!({ "value": "tenant", "envelope": { "idempotency_key": "K", "tenant_id": "T2" } })).await;
    other.take(keyed("other topic")).await;
    let to_topic =
        json!({ "value": "x", "envelope": { "idempotency_key": "K", "target_topic": topic.name } });
    other.take(to_topic).await;
    assert_eq!(values(&topic, 2).await, ["first", "tenant"]);
    assert_eq!(values(&other, 1).await, ["other topic"]);
}

/// Only the key in the envelope counts.
async fn the_idempotency_key_header_is_ignored(broker: Broker) {
    let topic = broker.topic(1).await;
    for value in ["one", "two"] {
        let query = format!("/v1/produce?topic={}&value={value}", topic.name);
        let reply = broker.wire.call_with("POST", &query, "Idempotency-Key: H\r\n", "").await;
        assert_eq!(reply.status, 200);
    }
    assert_eq!(values(&topic, 2).await, ["one", "two"]);
}

/// This holds whether it is refused for its partition, for its topic or by a cap.
async fn a_refused_produce_does_not_burn_its_key(broker: Broker) {
    let topic = broker.topic(1).await;
    let nowhere = json!({ "value": "bad", "envelope": { "idempotency_key": "K", "partition_override": 9 } });
    topic.produce(nowhere).await.refuses("partition_override out of range");
    assert_eq!(topic.produce(keyed(&"x".repeat(broker.profile.max_bytes()))).await.status, 429);
    topic.take(keyed("good")).await;
    assert_eq!(values(&topic, 1).await, ["good"]);
}

/// While one produce is being written, another one with its key is refused. Only one message results.
async fn a_concurrent_produce_with_a_key_is_refused(broker: Broker) {
    let topic = broker.topic(1).await;
    let mut refused = 0;
    let mut rounds = 0;
    while refused == 0 && rounds < 50 {
        let body =
            |envelope: Value| json!({ "topic": topic.name, "value": "v", "envelope": envelope }).to_string();
        let body = body(json!({ "idempotency_key": format!("k{rounds}") }));
        let produces = (0..8).map(|_| {
            let (wire, body) = (broker.wire.clone(), body.clone());
            tokio::spawn(async move { wire.post("/v1/produce", &body).await })
        });
        for produce in produces.collect::<Vec<_>>() {
            let reply = produce.await.unwrap();
            if reply.status != 200 {
                reply.refuses("idempotency: key already in-flight");
                refused += 1;
            }
        }
        rounds += 1;
    }
    assert!(refused > 0, "not one of {rounds} rounds was tight enough");
    let mut stream = topic.consume("o", 30_000).await;
    let first = stream.take(rounds.min(2)).await;
    assert_eq!(first.len(), rounds.min(2));
    assert_eq!(topic.metric("consumer_lag", r#"group="g",partition="0""#).await, Some(rounds as u64));
}
