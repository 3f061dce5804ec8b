//! Deadlines: checked only at produce.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::broker::Broker;

cases! {
    both: [
        a_past_deadline_is_refused,
        a_deadline_is_not_enforced_at_delivery,
        a_deadline_that_is_no_time_is_refused,
        odd_times_are_read_as_go_reads_them,
        milliseconds_may_be_out_of_range_or_overflow,
    ],
}

fn due(deadline: &str) -> Value {
    json!({ "value": "v", "envelope": { "deadline": deadline } })
}

/// The deadline is checked before everything else, even before the topic's existence.
async fn a_past_deadline_is_refused(broker: Broker) {
    let topic = broker.topic(1).await;
    let nowhere = broker.missing_topic();
    let passed = "message deadline exceeded";
    for topic in [&topic, &nowhere] {
        topic.produce(due("2020-01-01T00:00:00Z")).await.refuses(passed);
        for query in ["deadline_ms=1000", "deadline_rfc3339=2020-01-01T00:00:00Z"] {
            let query = format!("/v1/produce?topic={}&value=v&{query}", topic.name);
            broker.wire.post(&query, "").await.refuses(passed);
        }
    }
}

/// A message that was produced in time is delivered at any time, with its deadline as it was given.
async fn a_deadline_is_not_enforced_at_delivery(broker: Broker) {
    let topic = broker.topic(1).await;
    let soon = Timestamp::now() + SignedDuration::from_millis(1000);
    topic.take(due(&soon.to_string())).await;
    topic.take(due("2099-01-01T02:00:00+02:00")).await;
    while Timestamp::now() <= soon {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let mut stream = topic.consume("o", 30_000).await;
    for (delivery, deadline) in
        stream.take(2).await.iter().zip([soon.to_string(), "2099-01-01T02:00:00+02:00".to_owned()])
    {
        assert!(
            delivery.line.ends_with(&format!(r#""envelope":{{"deadline":"{deadline}"}}}}"#)),
            "{}",
            delivery.line
        );
    }
}

/// The end of the year 9999, a comma, ten digits of a fraction, an hour of one digit.
async fn odd_times_are_read_as_go_reads_them(broker: Broker) {
    let topic = broker.topic(1).await;
    let mut stream = topic.consume("o", 30_000).await;
    for (given, told) in [
        ("9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59-23:59"),
        ("2099-01-01T00:00:00,50Z", "2099-01-01T00:00:00.5Z"),
        ("2099-01-01T00:00:00.1234567891Z", "2099-01-01T00:00:00.123456789Z"),
        ("2099-01-01T1:00:00Z", "2099-01-01T01:00:00Z"),
    ] {
        topic.take(due(given)).await;
        let delivery = stream.next().await;
        assert!(delivery.line.contains(&format!(r#""deadline":"{told}""#)), "{given}: {}", delivery.line);
        topic.ack("o", delivery.offset).await;
    }
}

/// Go converts them to nanoseconds, which overflow: a deadline in the year 2554 is read as one in 1970.
async fn milliseconds_may_be_out_of_range_or_overflow(broker: Broker) {
    let topic = broker.topic(1).await;
    let produce = async |ms: &str| {
        let query = format!("/v1/produce?topic={}&value=v&deadline_ms={ms}", topic.name);
        broker.wire.post(&query, "").await
    };
    let parsing = r"invalid deadline_ms: strconv.ParseInt: parsing";
    let ms = "9223372036854775808";
    produce(ms).await.refuses(&format!(r#"{parsing} \"{ms}\": value out of range"#));
    produce("18446744074000").await.refuses("message deadline exceeded");
    assert_eq!(produce("22500000000000").await.status, 200);
}

/// Only RFC 3339 is accepted, and none of the forms that other parsers accept besides.
async fn a_deadline_that_is_no_time_is_refused(broker: Broker) {
    let topic = broker.topic(1).await;
    for (deadline, why) in [
        ("x", "cannot parse 'x' as '2006'"),
        ("2099-01-01", "cannot parse '' as 'T'"),
        ("2099-01-01t00:00:00Z", "cannot parse 't00:00:00Z' as 'T'"),
        ("2099-01-01 00:00:00Z", "cannot parse ' 00:00:00Z' as 'T'"),
        ("2099-01-01T00:00:00", "cannot parse '' as 'Z07:00'"),
        ("2099-01-01T00:00:00z", "cannot parse 'z' as 'Z07:00'"),
        ("2099-01-01T00:00:00+0200", "cannot parse '+0200' as 'Z07:00'"),
    ] {
        let layout = r#"as \"2006-01-02T15:04:05Z07:00\""#;
        let why = why.replace('\'', r#"\""#);
        let parsing = format!(r#"invalid json body: parsing time \"{deadline}\""#);
        topic.produce(due(deadline)).await.refuses(&format!("{parsing} {layout}: {why}"));
    }
    for (deadline, what) in [
        ("2099-13-01T00:00:00Z", "month"),
        ("2099-02-30T00:00:00Z", "day"),
        ("2099-01-01T25:00:00Z", "hour"),
        ("2099-01-01T00:00:60Z", "second"),
        ("2099-01-01T00:00:00+25:00", "time zone offset hour"),
    ] {
        let parsing = format!(r#"invalid json body: parsing time \"{deadline}\""#);
        topic.produce(due(deadline)).await.refuses(&format!("{parsing}: {what} out of range"));
    }
}
