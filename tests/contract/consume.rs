//! Consume: streams that say nothing until there is something to say.

use std::time::Instant;

use serde_json::json;

use super::broker::{Broker, came_on_time};

/// Transcript 03.
#[tokio::test]
async fn what_cannot_be_consumed_is_refused() {
    let broker = Broker::any().await;
    let name = broker.topic(1).await.name;
    let required = "topic, group, and owner are required";
    for (query, message) in [
        (String::new(), required),
        (format!("?topic={name}"), required),
        (format!("?topic={name}&group=g"), required),
        ("?group=g&owner=o".to_owned(), required),
        (format!("?topic={}&group=g&owner=o", Broker::name()), "topic does not exist"),
        (format!("?topic={name}&group=g&owner=o&lease_ms=x"), "invalid lease_ms"),
        (format!("?topic={name}&group=g&owner=o&lease_ms=-1"), "invalid lease_ms"),
    ] {
        broker.wire.get(&format!("/v1/consume{query}")).await.refuses(message);
    }
    let body = json!({ "topic": name, "group": "g", "owner": "o", "x": 1 }).to_string();
    let unknown = r#"invalid json body: json: unknown field \"x\""#;
    broker.wire.call("GET", "/v1/consume", &body).await.refuses(unknown);
}

/// Transcript 03: not even the headers come before the first message does.
#[tokio::test]
async fn headers_are_withheld_until_the_first_message() {
    let broker = Broker::any().await;
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

/// Transcript 20: there is no heartbeat and no end; 75 s were seen. A connection between requests lives for 5 s.
#[tokio::test]
async fn an_idle_stream_stays_open() {
    let broker = Broker::any().await;
    let topic = broker.topic(1).await;
    let mut stream = topic.consume("o", 30_000).await;
    let mut refused = broker.wire.consume("?topic=", "").await;
    refused.head().await.unwrap();
    let since = Instant::now();
    refused.read_to_end().await;
    came_on_time(since, 5000);
    assert!(stream.is_silent_for(1500).await);
    topic.fill(1).await;
    assert_eq!(stream.next().await.offset, 0);
}

/// Transcript 03: a lease of 0, or none, is one of 2 s.
#[tokio::test]
async fn the_default_lease_is_two_seconds() {
    let broker = Broker::any().await;
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
        came_on_time(since, 2000);
    }
}

/// Transcript 03: oddly, a GET may have its arguments in a JSON body.
#[tokio::test]
async fn arguments_may_come_in_a_body() {
    let broker = Broker::any().await;
    let topic = broker.topic(1).await;
    topic.fill(1).await;
    let body = json!({ "topic": topic.name, "group": "g", "owner": "o", "lease_ms": 5000 }).to_string();
    let mut stream = broker.wire.consume("", &body).await;
    assert_eq!(stream.next().await.value, "m0");
}
