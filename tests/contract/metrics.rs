//! `/metrics`.

use super::broker::Broker;

/// Transcript 15: the broker's series, each with its help and type, in the Prometheus text format.
#[tokio::test]
async fn lag_and_what_is_in_flight_by_topic_group_and_partition() {
    let broker = Broker::any().await;
    let topic = broker.topic(2).await;
    topic.fill(4).await;
    let mut stream = topic.consume("o", 30_000).await;
    assert_eq!(stream.offsets(2).await, [0, 1]);
    topic.ack("o", 0).await;
    assert_eq!(stream.next().await.offset, 2);
    let metrics = broker.wire.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    let kind = metrics.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/plain; version=0.0.4; charset=utf-8"), "{kind}");
    for expected in [
        "# HELP consumer_lag Consumer lag per topic/group/partition (messages after committed offset).\n\
         # TYPE consumer_lag gauge\n"
            .to_owned(),
        "# HELP inflight_messages Current number of in-flight messages per topic/group/partition.\n\
         # TYPE inflight_messages gauge\n"
            .to_owned(),
        format!("consumer_lag{{group=\"g\",partition=\"0\",topic=\"{}\"}} 3\n", topic.name),
        format!("consumer_lag{{group=\"g\",partition=\"1\",topic=\"{}\"}} 0\n", topic.name),
        format!("inflight_messages{{group=\"g\",partition=\"0\",topic=\"{}\"}} 2\n", topic.name),
        format!("inflight_messages{{group=\"g\",partition=\"1\",topic=\"{}\"}} 0\n", topic.name),
    ] {
        assert!(metrics.body.contains(&expected), "{expected} is not in\n{}", metrics.body);
    }
}

/// Transcript 15: a topic without a group has no series; it has them from its group's first request on.
#[tokio::test]
async fn a_topic_that_nobody_reads_has_no_lag() {
    let broker = Broker::any().await;
    let topic = broker.topic(1).await;
    topic.fill(1).await;
    assert!(!broker.wire.get("/metrics").await.body.contains(&topic.name));
    let mut stream = topic.consume("o", 30_000).await;
    stream.next().await;
    assert_eq!(topic.in_flight().await, Some(1));
}

/// Transcript 14: whatever the method.
#[tokio::test]
async fn metrics_may_be_posted_for() {
    let broker = Broker::any().await;
    assert_eq!(broker.wire.post("/metrics", "").await.status, 200);
}
