//! Ends: killed, stopped, and with a log that ends too soon.

use std::{
    fs,
    io::Write,
    net::Ipv4Addr,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;

use super::broker::Broker;

/// Transcript 16: half a record at the end of the log, and the broker does not start.
#[tokio::test]
async fn a_torn_last_line_refuses_to_start() {
    let Some(broker) = Broker::own("tears a log").await else { return };
    broker.topic(1).await.fill(1).await;
    let torn = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.torn", Broker::name()));
    let mut log = fs::File::create(&torn).unwrap();
    for line in broker.log().unwrap() {
        writeln!(log, "{line}").unwrap();
        log.write_all(&line.as_bytes()[..line.len() / 2]).unwrap();
    }
    let refused =
        local::broker::Broker::start((Ipv4Addr::LOCALHOST, 0).into(), &torn, local::broker::Profile::G0)
            .await;
    fs::remove_file(&torn).unwrap();
    let refused = refused.unwrap_err();
    assert!(format!("{refused:#}").contains("failed to replay WAL"), "{refused:#}");
}

/// Transcript 22: SIGTERM waits 5 s for a stream that is open, and for nothing else.
#[tokio::test]
async fn a_graceful_stop_waits_for_streams() {
    let Some(broker) = Broker::own("stops its broker").await else { return };
    broker.topic(1).await;
    let since = Instant::now();
    broker.stop().await;
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());

    let Some(broker) = Broker::own("stops its broker").await else { return };
    let topic = broker.topic(1).await;
    let mut stream = topic.consume("o", 30_000).await;
    assert!(stream.is_silent_for(100).await);
    let since = Instant::now();
    broker.stop().await;
    let took = since.elapsed();
    assert!((4500..7000).contains(&took.as_millis()), "{took:?}");
    assert!(stream.next_or_end().await.is_none());
}

/// Transcript 16: what was answered before a kill is there after it; and a kill answers nothing more, not even an error.
#[tokio::test]
async fn a_kill_loses_nothing_that_was_answered() {
    let Some(mut broker) = Broker::own("kills its broker").await else { return };
    for round in 0..4 {
        let topic = broker.topic(8).await;
        let producers: Vec<_> = (0..8)
            .map(|partition| {
                let wire = broker.wire.clone();
                let envelope = json!({ "partition_override": partition });
                let message = json!({ "topic": topic.name, "value": "m", "envelope": envelope }).to_string();
                tokio::spawn(async move {
                    let mut answered = 0;
                    while let Ok(reply) = wire.try_call("POST", "/v1/produce", "", &message).await {
                        match reply.status {
                            200 => answered += 1,
                            400 | 429 => break, // the restarted broker: the partition is gone, or full
                            other => panic!("{other}: {}", reply.body),
                        }
                    }
                    answered
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(5 + 9 * round)).await; // the moment is what is tested
        broker = broker.restart().await;
        let mut answered = 0;
        for producer in producers {
            answered += producer.await.unwrap();
        }
        let kept = broker.log().unwrap().iter().filter(|line| line.contains(&topic.name)).count();
        assert!((answered..=answered + 8).contains(&kept), "{answered} answered, {kept} kept");
    }
}
