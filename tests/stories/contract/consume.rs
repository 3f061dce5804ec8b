//! Consume: streams that send nothing before the first message.

use std::time::Instant;

use serde_json::json;

use super::broker::Broker;

cases! {
    both: [
        what_cannot_be_consumed_is_refused,
        headers_are_withheld_until_the_first_message,
        an_idle_stream_stays_open,
        the_default_lease_is_two_seconds,
        arguments_may_come_in_a_body,
    ],
    g0: [a_missing_topic_is_refused],
    g3: [a_missing_topic_is_refused_by_its_name],
}

async fn what_cannot_be_consumed_is_refused(broker: Broker) {
    let name = broker.topic(1).await.name;
    let required = "topic, group, and owner are required";
    for (query, message) in [
        (String::new(), required),
        (format!("?topic={name}"), required),
        (format!("?topic={name}&group=g"), required),
        ("?group=g&owner=o".to_owned(), required),
        (format!("?topic={name}&group=g&owner=o&lease_ms=x"), "invalid lease_ms"),
        (format!("?topic={name}&group=g&owner=o&lease_ms=-1"), "invalid lease_ms"),
    ] {
        broker.wire.get(&format!("/v1/consume{query}")).await.refuses(message);
    }
    let body = json!({ "topic": name, "group": "g", "owner": "o", "x": 1 }).to_string();
    let unknown = r#"invalid json body: json: unknown field \"x\""#;
    broker.wire.call("GET", "/v1/consume", &body).await.refuses(unknown);
}

async fn a_missing_topic_is_refused(broker: Broker) {
    let query = format!("?topic={}&group=g&owner=o", Broker::name());
    broker.wire.get(&format!("/v1/consume{query}")).await.refuses("topic does not exist");
}

async fn a_missing_topic_is_refused_by_its_name(broker: Broker) {
    let topic = broker.missing_topic();
    let reply = broker.wire.get(&format!("/v1/consume?topic={}&group=g&owner=o", topic.name)).await;
    reply.refuses(&format!("topic not found: {}", topic.name));
}

/// Not even the headers come before the first message does.
async fn headers_are_withheld_until_the_first_message(broker: Broker) {
    let topic = broker.topic(1).await;
    let mut stream = topic.consume("o", 30_000).await;
    assert!(stream.is_silent_for(500).await);
    topic.fill(1).await;
    assert_eq!(stream.next().await.offset, 0);
    let head = stream.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("\r\ncontent-type: application/x-ndjson; charset=utf-8\r\n"), "{head}");
    assert!(head.contains("\r\ntransfer-encoding: chunked\r\n"), "{head}");
}

/// There is no heartbeat and no end; 75 s were observed. An idle connection without a stream is closed after 5 s.
async fn an_idle_stream_stays_open(broker: Broker) {
    let topic = broker.topic(1).await;
    let mut stream = topic.consume("o", 30_000).await;
    let mut refused = broker.wire.consume("?topic=", "").await;
    refused.head().await.unwrap();
    let since = Instant::now();
    refused.read_to_end().await;
    broker.came_on_time(since, 5000);
    assert!(stream.is_silent_for(1500).await);
    topic.fill(1).await;
    assert_eq!(stream.next().await.offset, 0);
}

/// A request for a lease of 0, or without a lease, gets one of 2 s.
async fn the_default_lease_is_two_seconds(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.fill(1).await;
    let mut zero = topic.consume_in("zero", "o", 0).await;
    let mut none = broker.wire.consume(&format!("?topic={}&group=none&owner=o", topic.name), "").await;
    for stream in [&mut zero, &mut none] {
        assert_eq!(stream.next().await.attempts, 1);
    }
    let since = Instant::now();
    for stream in [&mut zero, &mut none] {
        let again = stream.next().await;
        assert_eq!((again.attempts, again.last_error.as_str()), (2, "ack_timeout"));
        broker.came_on_time(since, 2000);
    }
}

/// Unusually, a GET may have its arguments in a JSON body.
async fn arguments_may_come_in_a_body(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.fill(1).await;
    let body = json!({ "topic": topic.name, "group": "g", "owner": "o", "lease_ms": 5000 }).to_string();
    let mut stream = broker.wire.consume("", &body).await;
    assert_eq!(stream.next().await.value, "m0");
}
