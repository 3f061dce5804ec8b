//! Ends: killed, stopped, and with a log that ends too soon.

use std::{
    fs,
    io::Write,
    net::Ipv4Addr,
    ops::Range,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;

use super::broker::Broker;

cases! {
    both: [
        a_torn_last_line_refuses_to_start,
        a_kill_loses_nothing_that_was_answered,
    ],
    g0: [a_graceful_stop_waits_5_s_for_a_stream],
    g3: [a_graceful_stop_waits_6_5_s_for_a_stream],
}

/// With half a record at the end of its log, the broker does not start.
async fn a_torn_last_line_refuses_to_start(broker: Broker) {
    let Some(broker) = broker.ours("tears a log") else { return };
    broker.topic(1).await.fill(1).await;
    let torn = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.torn", Broker::name()));
    let mut log = fs::File::create(&torn).unwrap();
    for line in broker.log().unwrap() {
        writeln!(log, "{line}").unwrap();
        log.write_all(&line.as_bytes()[..line.len() / 2]).unwrap();
    }
    let refused = local::broker::Broker::start((Ipv4Addr::LOCALHOST, 0).into(), &torn, broker.profile).await;
    fs::remove_file(&torn).unwrap();
    let refused = refused.unwrap_err();
    assert!(format!("{refused:#}").contains("failed to replay WAL"), "{refused:#}");
}

async fn a_graceful_stop_waits_5_s_for_a_stream(broker: Broker) {
    takes_to_stop(broker, 4500..6400).await;
}

async fn a_graceful_stop_waits_6_5_s_for_a_stream(broker: Broker) {
    takes_to_stop(broker, 6000..8500).await;
}

/// SIGTERM waits for a stream that is open, and for nothing else.
async fn takes_to_stop(broker: Broker, with_a_stream_ms: Range<u128>) {
    let Some(broker) = broker.ours("stops its broker") else { return };
    let another = broker.another().await;
    broker.topic(1).await;
    let since = Instant::now();
    broker.stop().await;
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());

    let broker = another;
    let topic = broker.topic(1).await;
    let mut stream = topic.consume("o", 30_000).await;
    assert!(stream.is_silent_for(100).await);
    let since = Instant::now();
    broker.stop().await;
    let took = since.elapsed();
    assert!(with_a_stream_ms.contains(&took.as_millis()), "{took:?}");
    assert!(stream.next_or_end().await.is_none());
}

/// What was answered before a kill is there after it. Once it is killed, a broker answers nothing more, not
/// even an error.
async fn a_kill_loses_nothing_that_was_answered(broker: Broker) {
    let Some(mut broker) = broker.ours("kills its broker") else { return };
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
        let log = broker.log().unwrap();
        let kept = log.iter().filter(|line| line.contains(&topic.name) && line.contains("message")).count();
        assert!((answered..=answered + 8).contains(&kept), "{answered} answered, {kept} kept");
    }
}
