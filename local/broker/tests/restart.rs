//! Ends and beginnings: what a killed broker keeps, and what it loses.

use std::io::Write;
use std::time::{Duration, Instant};

use super::client::{Fixture, try_call};
use crate::broker::Broker;

/// Transcript 16: empty topics vanish, partition counts shrink and cannot be raised again.
#[tokio::test]
async fn topics_live_by_their_messages() {
    let broker = Fixture::start().await;
    broker.topic("empty", 3).await;
    broker.topic("p4", 4).await;
    broker.produce(r#"{"topic":"p4","value":"x","envelope":{"partition_override":1}}"#).await;
    let broker = broker.restart().await;
    assert_eq!(broker.get("/v1/topics").await.body, "{\"topics\":[\"p4\"]}\n");
    broker.topic("p4", 4).await;
    let third = r#"{"topic":"p4","value":"x","envelope":{"partition_override":3}}"#;
    assert_eq!(broker.post("/v1/produce", third).await.status, 400);
    broker.produce(r#"{"topic":"p4","value":"x","envelope":{"partition_override":1}}"#).await;
    broker.broker.kill().await;
}

/// Transcript 16: leases and attempts are forgotten, last errors are not: a new owner gets what is unacked at
/// once, though its messages have idempotency keys.
#[tokio::test]
async fn leases_and_attempts_are_forgotten() {
    let broker = Fixture::start().await;
    broker.topic("t", 1).await;
    for number in 0..4 {
        let envelope = format!(r#"{{"idempotency_key":"i{number}","retry_policy":{{"max_attempts":9}}}}"#);
        broker.produce(&format!(r#"{{"topic":"t","value":"m","envelope":{envelope}}}"#)).await;
    }
    let mut stream = broker.consume("topic=t&group=g&owner=o&lease_ms=30000").await;
    assert_eq!(stream.pair().await, [(0, 1), (1, 1)]);
    assert_eq!(broker.ack("g", "o", 0, 0).await.status, 204);
    assert_eq!(stream.offset().await, (2, 1));
    let nack = "/v1/nack?topic=t&group=g&owner=o&partition=0&offset=1&reason=why";
    assert_eq!(broker.post(nack, "").await.status, 204);
    assert_eq!(stream.offset().await, (1, 2));

    let broker = broker.restart().await;
    assert_eq!(stream.next().await, None, "the kill severed it");
    let mut stream = broker.consume("topic=t&group=g&owner=new&lease_ms=30000").await;
    let mut pair = [stream.next().await.unwrap(), stream.next().await.unwrap()];
    pair.sort_by_key(|line| line["offset"].as_i64());
    let pair = pair.map(|line| {
        (line["offset"].as_i64(), line["attempts"].as_i64(), line["last_error"].as_str().map(str::to_owned))
    });
    assert_eq!(pair, [(Some(1), Some(1), Some("why".into())), (Some(2), Some(1), Some(String::new()))]);
    broker.produce(r#"{"topic":"t","value":"again","envelope":{"idempotency_key":"i3"}}"#).await;
    assert!(
        broker
            .get("/metrics")
            .await
            .body
            .contains("consumer_lag{group=\"g\",partition=\"0\",topic=\"t\"} 3\n")
    );
    broker.broker.kill().await;
}

/// Transcript 05: 2 acked before 1, then kill -9: 1 is never delivered again.
#[tokio::test]
async fn a_commit_is_a_high_water_mark() {
    let broker = Fixture::start().await;
    broker.topic("t", 1).await;
    for _ in 0..6 {
        broker.produce(r#"{"topic":"t","value":"m"}"#).await;
    }
    let mut stream = broker.consume("topic=t&group=g&owner=o&lease_ms=30000").await;
    stream.pair().await;
    assert_eq!(broker.ack("g", "o", 0, 1).await.status, 204);
    assert_eq!(stream.offset().await, (2, 1));
    let broker = broker.restart().await;
    let mut stream = broker.consume("topic=t&group=g&owner=o&lease_ms=30000").await;
    assert_eq!(stream.pair().await, [(2, 1), (3, 1)]);
    broker.broker.kill().await;
}

/// Transcript 23: a predecessor's unacked message is lost to its successor's hasty ack.
#[tokio::test]
async fn a_successors_hasty_ack_loses_its_predecessors_message() {
    let broker = Fixture::start().await;
    broker.topic("t", 1).await;
    for _ in 0..3 {
        broker.produce(r#"{"topic":"t","value":"m"}"#).await;
    }
    let mut a = broker.consume("topic=t&group=g&owner=A&lease_ms=30000").await;
    a.pair().await;
    a.close().await;
    assert_eq!(broker.ack("g", "A", 0, 0).await.status, 204);
    let mut b = broker.consume("topic=t&group=g&owner=B&lease_ms=30000").await;
    assert_eq!(b.offset().await, (2, 1));
    assert_eq!(broker.ack("g", "B", 0, 2).await.status, 204);
    let broker = broker.restart().await;
    let mut c = broker.consume("topic=t&group=g&owner=C&lease_ms=30000").await;
    assert!(c.is_silent_for(500).await);
    broker.broker.kill().await;
}

/// Transcript 16: half a record at the end of the log, and the broker does not start.
#[tokio::test]
async fn a_torn_last_line_refuses_to_start() {
    let broker = Fixture::start().await;
    broker.topic("t", 1).await;
    broker.produce(r#"{"topic":"t","value":"m"}"#).await;
    let (addr, wal) = (broker.addr(), broker.wal());
    let Fixture { broker, .. } = &broker;
    assert_eq!(broker.url(), format!("http://{addr}"));
    let copy = wal.with_extension("copy");
    std::fs::copy(&wal, &copy).unwrap();
    std::fs::OpenOptions::new().append(true).open(&copy).unwrap().write_all(b"{\"type\":\"mess").unwrap();
    let refused = Broker::start(([127, 0, 0, 1], 0).into(), &copy).await.unwrap_err();
    assert!(format!("{refused:#}").contains("failed to replay WAL"), "{refused:#}");
}

/// Transcript 22: SIGTERM ends at once when nothing is open, and after 5 s when a stream is.
#[tokio::test]
async fn a_graceful_stop_waits_for_streams() {
    let broker = Fixture::start().await;
    broker.topic("t", 1).await;
    let since = Instant::now();
    broker.broker.stop().await;
    assert!(since.elapsed() < Duration::from_secs(2));

    let broker = Fixture::start().await;
    broker.topic("t", 1).await;
    let mut stream = broker.consume("topic=t&group=g&owner=o").await;
    assert!(stream.is_silent_for(50).await);
    let since = Instant::now();
    broker.broker.stop().await;
    assert!((4500..7000).contains(&since.elapsed().as_millis()), "{:?}", since.elapsed());
    assert_eq!(stream.raw_line().await, None);
}

/// A client that goes away is unsubscribed at once, whether or not it was ever sent anything.
#[tokio::test]
async fn a_closed_stream_is_given_nothing() {
    let broker = Fixture::start().await;
    broker.topic("t", 1).await;
    let mut first = broker.consume("topic=t&group=g&owner=a&lease_ms=30000").await;
    assert!(first.is_silent_for(100).await);
    first.close().await;
    let mut second = broker.consume("topic=t&group=g&owner=b&lease_ms=30000").await;
    assert!(second.is_silent_for(100).await);
    for offset in 0..2 {
        broker.produce(r#"{"topic":"t","value":"m"}"#).await;
        assert_eq!(second.offset().await, (offset, 1));
    }
    second.close().await;
    let mut third = broker.consume("topic=t&group=g2&owner=c&lease_ms=30000").await;
    assert_eq!(third.pair().await, [(0, 1), (1, 1)]);
    broker.broker.kill().await;
}

/// A kill answers nothing more, not even an error, and what was answered before it is on disk.
#[tokio::test]
async fn a_kill_loses_nothing_that_was_answered() {
    let mut broker = Fixture::start().await;
    for round in 0..5 {
        let topic = format!("t{round}");
        broker.topic(&topic, 8).await;
        let addr = broker.addr();
        let producers: Vec<_> = (0..8)
            .map(|partition| {
                let envelope = format!(r#"{{"partition_override":{partition}}}"#);
                let body = format!(r#"{{"topic":"{topic}","value":"m","envelope":{envelope}}}"#);
                tokio::spawn(async move {
                    let mut answered = 0;
                    while let Ok(reply) = try_call(addr, "POST", "/v1/produce", &body).await {
                        match reply.status {
                            200 => answered += 1,
                            400 | 429 => break, // the restarted broker: the topic is gone, or full
                            other => panic!("{other}: {}", reply.body),
                        }
                    }
                    answered
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(5 + 7 * round)).await; // the moment is what is tested
        broker = broker.restart().await;
        let mut answered = 0;
        for producer in producers {
            answered += producer.await.unwrap();
        }
        let log = std::fs::read_to_string(broker.wal()).unwrap();
        let kept = log.lines().filter(|line| line.contains(&format!("\"topic\":\"{topic}\""))).count();
        assert!((answered..=answered + 8).contains(&kept), "{answered} answered, {kept} kept");
    }
    broker.broker.kill().await;
}
