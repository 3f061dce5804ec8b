//! Leases: when an unacked message is redelivered, and to which stream.

use std::time::Instant;

use serde_json::json;

use super::{
    broker::{Broker, Topic},
    stream::Stream,
};

cases! {
    both: [
        an_expired_lease_is_redelivered,
        a_lease_is_looked_at_every_tick,
        a_message_with_a_key_is_never_delivered_on_such_a_lease,
        a_backoff_delays_what_a_lease_would_redeliver,
        the_same_owner_waits_for_the_whole_lease,
        a_new_owner_waits_for_two_seconds,
        a_new_owner_waits_for_the_whole_lease_of_a_message_with_a_key,
        a_dead_consumer_holds_its_places,
    ],
}

fn keyed(key: &str) -> serde_json::Value {
    json!({ "value": "m", "envelope": { "idempotency_key": key } })
}

/// The message is redelivered again and again, even on the stream that may still be working on it.
async fn an_expired_lease_is_redelivered(broker: Broker) {
    let (plain, with_key) = (broker.topic(1).await, broker.topic(1).await);
    plain.fill(1).await;
    with_key.take(keyed("k")).await;
    for topic in [plain, with_key] {
        let mut stream = topic.consume("o", 1000).await;
        let first = stream.next().await;
        assert_eq!((first.attempts, first.last_error.as_str()), (1, ""));
        for attempts in 2..4 {
            let since = Instant::now();
            let again = stream.next().await;
            broker.came_on_time(since, 1000);
            assert_eq!((again.offset, again.attempts), (0, attempts));
            assert_eq!(again.last_error, "ack_timeout");
        }
    }
}

/// A lease shorter than a tick is over at every tick, and at every nack, of whatever topic.
async fn a_lease_is_looked_at_every_tick(broker: Broker) {
    let Some(broker) = broker.ours("needs a broker on which nobody else nacks") else { return };
    let topic = broker.topic(1).await;
    topic.fill(1).await;
    let mut stream = topic.consume("o", 100).await;
    assert_eq!(stream.next().await.attempts, 1);
    assert_eq!(stream.next().await.attempts, 2);
    let since = Instant::now();
    for attempts in 3..11 {
        assert_eq!(stream.next().await.attempts, attempts);
    }
    broker.came_on_time(since, 8 * broker.profile.tick().as_millis() as u64);
}

/// Such a lease is under 250 ms or over 10 minutes. The messages behind wait too. A later delivery on a proper lease
/// has the reason as its last error.
async fn a_message_with_a_key_is_never_delivered_on_such_a_lease(broker: Broker) {
    for lease_ms in [100, 249, 600_001] {
        let topic = broker.topic(1).await;
        topic.take(keyed("k")).await;
        topic.fill(1).await;
        let mut stream = topic.consume("o", lease_ms).await;
        assert!(stream.is_silent_for(600).await, "{lease_ms}");
        stream.close().await;
        let mut proper = topic.consume("o", 5000).await;
        let taken = proper.take(2).await;
        let error = "idem_begin_failed: idempotency: invalid lease duration";
        assert_eq!((taken[0].attempts, taken[0].last_error.as_str()), (1, error));
        assert_eq!((taken[1].offset, taken[1].last_error.as_str()), (1, ""));
    }
}

/// The backoff is counted from the last delivery, and doubles.
async fn a_backoff_delays_what_a_lease_would_redeliver(broker: Broker) {
    let topic = broker.topic(1).await;
    let policy = json!({ "max_attempts": 10, "backoff_ms": 1000, "max_backoff_ms": 1500 });
    topic.take(json!({ "value": "m", "envelope": { "retry_policy": policy } })).await;
    let mut stream = topic.consume("o", 500).await;
    stream.next().await;
    for gap_ms in [500, 1000, 1500, 1500] {
        let since = Instant::now();
        stream.next().await;
        broker.came_on_time(since, gap_ms);
    }
}

/// A consumer gets one message on a lease of 5 s, and dies without acking it. Returns when it got the message.
async fn dies_holding_one(topic: &Topic) -> Instant {
    let mut stream = topic.consume("A", 5000).await;
    stream.next().await;
    let since = Instant::now();
    stream.close().await;
    since
}

async fn comes_back(broker: &Broker, mut stream: Stream, since: Instant, after_ms: u64) {
    let again = stream.next().await;
    broker.came_on_time(since, after_ms);
    assert_eq!((again.attempts, again.last_error.as_str()), (2, "ack_timeout"));
}

/// A closed connection releases nothing. The same owner waits for the whole lease.
async fn the_same_owner_waits_for_the_whole_lease(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.fill(1).await;
    let since = dies_holding_one(&topic).await;
    comes_back(&broker, topic.consume("A", 5000).await, since, 5000).await;
}

/// An owner without a stream has the default lease, so another owner waits for 2 s only.
async fn a_new_owner_waits_for_two_seconds(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.fill(1).await;
    let since = dies_holding_one(&topic).await;
    comes_back(&broker, topic.consume("B", 5000).await, since, 2000).await;
}

/// With an idempotency key, a message does not come back after 2 s.
async fn a_new_owner_waits_for_the_whole_lease_of_a_message_with_a_key(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.take(keyed("k")).await;
    let since = dies_holding_one(&topic).await;
    comes_back(&broker, topic.consume("B", 5000).await, since, 5000).await;
}

/// Until a dead consumer's leases end, its messages count as in flight, and nothing else is delivered.
async fn a_dead_consumer_holds_its_places(broker: Broker) {
    let topic = broker.topic(1).await;
    let limit = broker.limit();
    topic.fill(limit + 1).await;
    let mut dead = topic.consume("A", 3000).await;
    assert!(dead.offsets(limit).await.into_iter().eq(0..limit as u64));
    let since = Instant::now();
    dead.close().await;
    let mut alive = topic.consume("A", 3000).await;
    assert!(alive.is_silent_for(2000).await);
    assert_eq!(topic.in_flight().await, Some(limit as u64));
    let back = alive.take(limit).await;
    broker.came_on_time(since, 3000);
    let back = back.iter().map(|delivery| (delivery.offset, delivery.attempts));
    assert!(back.eq((0..limit as u64).map(|offset| (offset, 2))));
    topic.ack("A", 0).await;
    assert_eq!(alive.next().await.offset, limit as u64);
}
