//! Behaviour of the newer generation only.

use serde_json::{Value, json};

use super::{
    broker::{Broker, Topic},
    stream::Stream,
    wire::Reply,
};

cases! {
    g3: [
        a_cumulative_ack_takes_what_is_all_held,
        a_cumulative_ack_refuses_what_is_not_all_held,
        a_cumulative_ack_leaves_what_is_below_the_commit,
        a_single_ack_reaches_past_a_message_of_an_open_connection,
        an_ack_is_on_disk_a_moment_later,
        redeliveries_come_in_a_random_order,
        the_limits_can_be_asked_for,
        created_topics_are_counted_by_their_names,
    ],
}

const NOT_HELD: (u16, &str) = (409, "FAILED_PRECONDITION");

async fn ack_cumulative(topic: &Topic, owner: &str, offset: u64) -> Reply {
    topic.settle("ack-cumulative", json!({ "owner": owner, "partition": 0, "offset": offset })).await
}

#[track_caller]
fn is_not_held(reply: &Reply) {
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((reply.status, body["error"].as_str().unwrap()), NOT_HELD, "{}", reply.body);
}

/// The ack may come in JSON or by query. Each ack here begins where the one before it ends.
async fn a_cumulative_ack_takes_what_is_all_held(broker: Broker) {
    let topic = broker.topic(1).await;
    let held = broker.limit().min(4) as u64;
    topic.fill(held as usize).await;
    let mut stream = topic.consume("o", 30_000).await;
    stream.take(held as usize).await;
    ack_cumulative(&topic, "o", 0).await.is(204, "");
    let last = held - 1;
    let query = format!("?topic={}&group=g&owner=o&partition=0&offset={last}", topic.name);
    broker.wire.post(&format!("/v1/ack-cumulative{query}"), "").await.is(204, "");
    let lag = topic.metric("consumer_lag", r#"group="g",partition="0""#).await;
    assert_eq!((lag, topic.in_flight().await), (Some(0), Some(0)));
}

/// Two consumers: the first has the even offsets, the second the odd ones.
async fn two_consumers(topic: &Topic) -> (Stream, Stream) {
    let mut dead = topic.consume("dead", 60_000).await;
    assert!(dead.is_silent_for(100).await, "it is the first");
    let mut alive = topic.consume("alive", 60_000).await;
    assert!(alive.is_silent_for(100).await);
    topic.fill(20).await;
    assert!(dead.offsets(10).await.into_iter().eq((0..20).step_by(2)));
    assert!(alive.offsets(10).await.into_iter().eq((1..20).step_by(2)));
    (dead, alive)
}

/// It is refused if a message below its offset belongs to another owner, or is not in flight.
async fn a_cumulative_ack_refuses_what_is_not_all_held(broker: Broker) {
    let Some(()) = enough_in_flight(&broker) else { return };
    let topic = broker.topic(1).await;
    let _open = two_consumers(&topic).await;
    for offset in [1, 19, 20] {
        is_not_held(&ack_cumulative(&topic, "alive", offset).await);
    }
    ack_cumulative(&topic, "dead", 0).await.is(204, "");
    ack_cumulative(&topic, "alive", 1).await.is(204, "");
}

/// Messages that were acked past stay in flight, and need their own ack.
async fn a_cumulative_ack_leaves_what_is_below_the_commit(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.fill(2).await;
    let mut stream = topic.consume("o", 30_000).await;
    stream.take(2).await;
    topic.ack("o", 1).await;
    ack_cumulative(&topic, "o", 0).await.is(204, "");
    assert_eq!(topic.in_flight().await, Some(1));
    topic.ack("o", 0).await;
    assert_eq!(topic.in_flight().await, Some(0));
}

fn enough_in_flight(broker: &Broker) -> Option<()> {
    if broker.limit() < 20 {
        println!("skipped: this broker was started with a limit of {} in flight", broker.limit());
        return None;
    }
    Some(())
}

/// How accepted work was lost: a dead consumer's connection stays open, the living one acks what it holds, and the broker
/// is killed. What the dead one held is never delivered again.
async fn a_single_ack_reaches_past_a_message_of_an_open_connection(broker: Broker) {
    let Some(broker) = broker.ours("kills its broker") else { return };
    let topic = broker.topic(1).await;
    let _open = two_consumers(&topic).await;
    topic.ack("alive", 19).await;
    broker.acks_are_on_disk(&topic, 19).await;
    let _broker = broker.restart().await;
    let mut next = topic.consume("next", 30_000).await;
    assert!(next.is_silent_for(500).await);
}

/// If the broker is killed at once, the acked message comes back. If it is killed a moment later, the message does not.
async fn an_ack_is_on_disk_a_moment_later(broker: Broker) {
    let Some(broker) = broker.ours("kills its broker") else { return };
    let topic = broker.topic(1).await;
    topic.fill(2).await;
    topic.consume("o", 30_000).await.take(2).await;
    topic.ack("o", 0).await;
    let broker = broker.restart().await;
    assert_eq!(topic.consume("o", 30_000).await.offsets(2).await, [0, 1]);
    topic.ack("o", 0).await;
    broker.acks_are_on_disk(&topic, 0).await;
    let _broker = broker.restart().await;
    assert_eq!(topic.consume("o", 30_000).await.next().await.offset, 1);
}

/// First deliveries ascend. It is practically impossible that twenty redeliveries ascend by chance.
async fn redeliveries_come_in_a_random_order(broker: Broker) {
    let Some(()) = enough_in_flight(&broker) else { return };
    let topic = broker.topic(1).await;
    topic.fill(20).await;
    let mut stream = topic.consume("o", 1000).await;
    let mut offsets = async || {
        let mut offsets = Vec::new();
        while offsets.len() < 20 {
            offsets.push(stream.next().await.offset);
        }
        offsets
    };
    assert!(offsets().await.is_sorted());
    let mut again = offsets().await;
    assert!(!again.is_sorted(), "{again:?}");
    again.sort_unstable();
    assert!(again.into_iter().eq(0..20));
}

async fn the_limits_can_be_asked_for(broker: Broker) {
    let reply = broker.wire.get("/v1/config").await;
    let config: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(config["max_inflight"], broker.limit());
    assert_eq!(config["max_partition_bytes"], broker.profile.max_bytes());
}

/// So a topic's name in `/metrics` does not mean that the topic is consumed.
async fn created_topics_are_counted_by_their_names(broker: Broker) {
    let topic = broker.topic(1).await;
    let metrics = broker.wire.get("/metrics").await.body;
    let name = format!("topic=\"{}\"", topic.name);
    assert!(metrics.lines().any(|line| line.starts_with("topic_created_total{") && line.contains(&name)));
}
