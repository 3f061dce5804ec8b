//! Restarts: what a killed broker keeps, and what it loses.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    broker::{Broker, Topic},
    stream::Stream,
};

cases! {
    both: [
        leases_and_attempts_are_forgotten,
        a_commit_is_a_high_water_mark,
        a_successors_hasty_ack_loses_its_predecessors_message,
        a_successor_that_holds_its_acks_loses_nothing,
        produce_keys_are_remembered,
    ],
    g0: [topics_live_by_their_messages],
    g3: [topics_are_kept_with_their_partitions],
}

const KILLS: &str = "kills its broker";

fn in_partition(partition: u32) -> Value {
    json!({ "value": "x", "envelope": { "partition_override": partition } })
}

/// After a restart, topics without a message are gone. A partition count is the highest partition that holds
/// a message + 1. It can't be raised again, although a request for that is answered 201.
async fn topics_live_by_their_messages(broker: Broker) {
    let Some(broker) = broker.ours(KILLS) else { return };
    let (_empty, part, full) = (broker.topic(3).await, broker.topic(4).await, broker.topic(2).await);
    part.take(in_partition(1)).await;
    full.take(in_partition(1)).await;
    let broker = broker.restart().await;
    let mut names = [&part.name, &full.name];
    names.sort();
    let list = format!(r#"{{"topics":["{}","{}"]}}"#, names[0], names[1]);
    broker.wire.get("/v1/topics").await.is(200, &list);
    let body = json!({ "name": part.name, "partitions": 4 }).to_string();
    for _ in 0..2 {
        part.produce(in_partition(3)).await.refuses("partition_override out of range");
        part.take(in_partition(1)).await;
        assert_eq!(broker.wire.post("/v1/topics", &body).await.status, 201);
    }
}

/// Topics are in the log, the empty one too, and with all their partitions.
async fn topics_are_kept_with_their_partitions(broker: Broker) {
    let Some(broker) = broker.ours(KILLS) else { return };
    let (empty, part) = (broker.topic(3).await, broker.topic(4).await);
    part.take(in_partition(1)).await;
    let broker = broker.restart().await;
    let mut names = [&empty.name, &part.name];
    names.sort();
    let list = format!(r#"{{"topics":["{}","{}"]}}"#, names[0], names[1]);
    broker.wire.get("/v1/topics").await.is(200, &list);
    empty.take(in_partition(2)).await;
    part.take(in_partition(3)).await;
}

/// Leases and attempts are forgotten, last errors are not: a new owner gets unacked messages at once, even if
/// they have idempotency keys. Offsets continue.
async fn leases_and_attempts_are_forgotten(broker: Broker) {
    let Some(broker) = broker.ours(KILLS) else { return };
    let topic = broker.topic(1).await;
    for number in 0..4 {
        let policy = json!({ "max_attempts": 9, "backoff_ms": 10 });
        let envelope = json!({ "idempotency_key": format!("i{number}"), "retry_policy": policy });
        topic.take(json!({ "value": "m", "envelope": envelope })).await;
    }
    let mut stream = topic.consume("o", 30_000).await;
    let at_once = broker.limit().min(4);
    stream.take(at_once).await;
    topic.ack("o", 0).await;
    broker.acks_are_on_disk(&topic, 0).await;
    if at_once < 4 {
        assert_eq!(stream.next().await.attempts, 1);
    }
    topic.nack("o", 1, "why").await;
    assert_eq!(stream.next().await.attempts, 2);

    let broker = broker.restart().await;
    assert!(stream.next_or_end().await.is_none(), "the kill cut it");
    let mut stream = topic.consume("new", 30_000).await;
    let since = Instant::now();
    let taken = stream.take(broker.limit().min(3)).await;
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    let unacked =
        taken.iter().map(|delivery| (delivery.offset, delivery.attempts, delivery.last_error.as_str()));
    assert!(unacked.eq([(1, 1, "why"), (2, 1, ""), (3, 1, "")].into_iter().take(taken.len())));
    topic.fill(1).await;
    topic.ack("new", 1).await;
    topic.ack("new", 2).await;
    assert_eq!(stream.take(4 - taken.len()).await.pop().unwrap().offset, 4);
}

/// Message 1 is acked before 0, then the broker gets SIGKILL: 0 is never delivered again.
async fn a_commit_is_a_high_water_mark(broker: Broker) {
    let Some(broker) = broker.ours(KILLS) else { return };
    let topic = broker.topic(1).await;
    topic.fill(4).await;
    let mut stream = topic.consume("o", 30_000).await;
    stream.take(broker.limit().min(4)).await;
    topic.ack("o", 1).await;
    broker.acks_are_on_disk(&topic, 1).await;
    let _broker = broker.restart().await;
    let mut stream = topic.consume("o", 30_000).await;
    assert_eq!(stream.offsets(2).await, [2, 3]);
}

/// Consumer A gets 0 and 1, acks 0 and dies. Then B connects, and gets 2 at once.
async fn b_after_a(topic: &Topic) -> Stream {
    topic.fill(2).await;
    let mut a = topic.consume("A", 30_000).await;
    assert_eq!(a.offsets(2).await, [0, 1]);
    topic.ack("A", 0).await;
    a.close().await;
    topic.fill(1).await;
    let mut b = topic.consume("B", 30_000).await;
    assert_eq!(b.next().await.offset, 2);
    b
}

/// B acks 2 at once, and the broker is killed: message 1, which A had not acked, is lost.
async fn a_successors_hasty_ack_loses_its_predecessors_message(broker: Broker) {
    let Some(broker) = broker.ours(KILLS) else { return };
    let topic = broker.topic(1).await;
    let _b = b_after_a(&topic).await;
    topic.ack("B", 2).await;
    broker.acks_are_on_disk(&topic, 2).await;
    let _broker = broker.restart().await;
    let mut c = topic.consume("C", 30_000).await;
    assert!(c.is_silent_for(500).await);
}

/// B holds its ack for 2.5 s, and gets message 1 meanwhile: both survive.
async fn a_successor_that_holds_its_acks_loses_nothing(broker: Broker) {
    let Some(broker) = broker.ours(KILLS) else { return };
    let topic = broker.topic(1).await;
    let since = Instant::now();
    let mut b = b_after_a(&topic).await;
    let back = b.next().await;
    assert_eq!((back.offset, back.attempts), (1, 2));
    broker.came_on_time(since, 2000);
    let _broker = broker.restart().await;
    let mut c = topic.consume("C", 30_000).await;
    let taken = c.take(2).await;
    let taken =
        taken.iter().map(|delivery| (delivery.offset, delivery.attempts, delivery.last_error.as_str()));
    assert!(taken.eq([(1, 1, "ack_timeout"), (2, 1, "")]));
}

/// Produce keys are rebuilt from the messages.
async fn produce_keys_are_remembered(broker: Broker) {
    let Some(broker) = broker.ours(KILLS) else { return };
    let topic = broker.topic(1).await;
    let keyed = json!({ "value": "first", "envelope": { "idempotency_key": "K" } });
    topic.take(keyed.clone()).await;
    let _broker = broker.restart().await;
    topic.take(keyed).await;
    topic.fill(1).await;
    let mut stream = topic.consume("o", 30_000).await;
    let values: Vec<String> = stream.take(2).await.into_iter().map(|delivery| delivery.value).collect();
    assert_eq!(values, ["first", "m0"]);
}
