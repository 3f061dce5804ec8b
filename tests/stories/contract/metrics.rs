//! `/metrics`.

use super::broker::Broker;

cases! {
    both: [
        lag_and_what_is_in_flight_by_topic_group_and_partition,
        a_topic_that_nobody_reads_has_no_lag,
        metrics_may_be_posted_for,
    ],
}

/// The broker's series, each with its help and type, in the Prometheus text format.
async fn lag_and_what_is_in_flight_by_topic_group_and_partition(broker: Broker) {
    let topic = broker.topic(2).await;
    let limit = broker.limit();
    topic.fill(limit + 2).await;
    let mut stream = topic.consume("o", 30_000).await;
    stream.take(limit).await;
    topic.ack("o", 0).await;
    assert_eq!(stream.next().await.offset, limit as u64);
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
        format!("consumer_lag{{group=\"g\",partition=\"0\",topic=\"{}\"}} {}\n", topic.name, limit + 1),
        format!("consumer_lag{{group=\"g\",partition=\"1\",topic=\"{}\"}} 0\n", topic.name),
        format!("inflight_messages{{group=\"g\",partition=\"0\",topic=\"{}\"}} {limit}\n", topic.name),
        format!("inflight_messages{{group=\"g\",partition=\"1\",topic=\"{}\"}} 0\n", topic.name),
    ] {
        assert!(metrics.body.contains(&expected), "{expected} is not in\n{}", metrics.body);
    }
}

/// A topic without a group has no series; it has them from its group's first request on.
async fn a_topic_that_nobody_reads_has_no_lag(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.fill(1).await;
    assert_eq!(topic.in_flight().await, None);
    assert_eq!(topic.metric("consumer_lag", r#"group="g",partition="0""#).await, None);
    let mut stream = topic.consume("o", 30_000).await;
    stream.next().await;
    assert_eq!(topic.in_flight().await, Some(1));
}

/// The method does not matter.
async fn metrics_may_be_posted_for(broker: Broker) {
    assert_eq!(broker.wire.post("/metrics", "").await.status, 200);
}
