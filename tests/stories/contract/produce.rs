//! Produce: what is taken, what is refused, and what a consumer then reads.

use serde_json::json;

use super::broker::Broker;

cases! {
    both: [
        a_message_is_produced_in_json_or_by_query,
        these_oddities_are_taken,
        a_parameter_that_can_not_be_read_is_missing,
        an_unknown_field_is_refused,
        topic_and_value_are_required,
        a_missing_topic_is_a_bad_request,
        what_is_malformed_is_refused,
    ],
    g0: [a_consumer_reads_these_lines_with_a_routing],
    g3: [a_consumer_reads_these_lines_without_a_routing],
}

/// `topic` in the answer is as the request wrote it.
async fn a_message_is_produced_in_json_or_by_query(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.take(json!({ "key": "k", "value": "v1" })).await;
    let query = format!("/v1/produce?topic={}&key=k&value=v2", topic.name);
    let produced = format!(r#"{{"status":"produced","topic":"{}"}}"#, topic.name);
    broker.wire.post(&query, "").await.is(200, &produced);
    let mut stream = topic.consume("o", 30_000).await;
    let values: Vec<String> = stream.take(2).await.into_iter().map(|delivery| delivery.value).collect();
    assert_eq!(values, ["v1", "v2"]);
}

/// Accepted are a null envelope, a retry policy without attempts, and unknown parameters in a query.
async fn these_oddities_are_taken(broker: Broker) {
    let topic = broker.topic(1).await;
    topic.take(json!({ "value": "v", "envelope": null })).await;
    topic.take(json!({ "value": "v", "envelope": { "retry_policy": { "backoff_ms": 50 } } })).await;
    for extra in
        ["retry_jitter_ms=5&nonsense=1", "retry_max_attempts=0", "deadline_rfc3339=2099-01-01T00:00:00Z"]
    {
        let query = format!("/v1/produce?topic={}&value=v&{extra}", topic.name);
        assert_eq!(broker.wire.post(&query, "").await.status, 200, "{extra}");
    }
}

/// What Go can't read (`url.ParseQuery`) counts as missing.
async fn a_parameter_that_can_not_be_read_is_missing(broker: Broker) {
    let topic = broker.topic(1).await;
    for unreadable in ["value=%", "value=%zz", "value=%4", "value=v;x=1"] {
        let query = format!("/v1/produce?topic={}&{unreadable}", topic.name);
        broker.wire.post(&query, "").await.refuses("topic and value are required");
    }
    let readable = format!("/v1/produce?topic={}&x=%&value=%41", topic.name);
    assert_eq!(broker.wire.post(&readable, "").await.status, 200);
}

/// JSON is strict, at any depth.
async fn an_unknown_field_is_refused(broker: Broker) {
    let topic = broker.topic(1).await;
    for message in [
        json!({ "value": "v", "foo": 1 }),
        json!({ "value": "v", "envelope": { "foo": 1 } }),
        json!({ "value": "v", "envelope": { "retry_policy": { "foo": 1 } } }),
    ] {
        topic.produce(message).await.refuses(r#"invalid json body: json: unknown field \"foo\""#);
    }
}

/// A value is a string, and not an empty one.
async fn topic_and_value_are_required(broker: Broker) {
    let topic = broker.topic(1).await;
    let required = "topic and value are required";
    for body in ["", "{}", r#"{"value":"v"}"#] {
        broker.wire.post("/v1/produce", body).await.refuses(required);
    }
    topic.produce(json!({})).await.refuses(required);
    topic.produce(json!({ "value": "" })).await.refuses(required);
    broker.wire.post(&format!("/v1/produce?topic={}", topic.name), "").await.refuses(required);
    for (value, found) in [(json!({ "a": 1 }), "object"), (json!(5), "number")] {
        topic.produce(json!({ "value": value })).await.refuses(&format!(
            "invalid json body: json: cannot unmarshal {found} into Go struct field ProduceRequest.value of type string"
        ));
    }
}

/// 400, not 404; and a topic's name is not trimmed here.
async fn a_missing_topic_is_a_bad_request(broker: Broker) {
    let topic = broker.topic(1).await;
    for name in [Broker::name(), format!(" {} ", topic.name)] {
        let body = json!({ "topic": name, "value": "v" }).to_string();
        broker.wire.post("/v1/produce", &body).await.refuses("topic does not exist (create it first)");
    }
}

async fn what_is_malformed_is_refused(broker: Broker) {
    let topic = broker.topic(1).await;
    let no_time = |text: &str| {
        format!(
            r#"parsing time \"{text}\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"{text}\" as \"2006\""#
        )
    };
    let syntax = "invalid json body: invalid character 'b' looking for beginning of object key string";
    broker.wire.post("/v1/produce", "{bad").await.refuses(syntax);
    let array = "invalid json body: json: cannot unmarshal array into Go value of type v1.ProduceRequest";
    broker.wire.post("/v1/produce", "[]").await.refuses(array);
    let deadline = json!({ "value": "v", "envelope": { "deadline": "x" } });
    topic.produce(deadline).await.refuses(&format!("invalid json body: {}", no_time("x")));
    for (query, message) in [
        ("partition_override=-1", "invalid partition_override"),
        ("partition_override=x", "invalid partition_override"),
        ("deadline_ms=abc", r#"invalid deadline_ms: strconv.ParseInt: parsing \"abc\": invalid syntax"#),
        ("deadline_rfc3339=abc", &format!("invalid deadline_rfc3339: {}", no_time("abc"))),
        ("retry_max_attempts=x", "invalid retry_max_attempts"),
        ("retry_max_attempts=-1", "invalid retry_max_attempts"),
        ("retry_backoff_ms=-1&retry_max_attempts=1", "invalid retry_backoff_ms"),
        ("retry_backoff_ms=10", r"retry_max_attempts must be \u003e 0 when using retry backoff params"),
    ] {
        let query = format!("/v1/produce?topic={}&value=v&{query}", topic.name);
        broker.wire.post(&query, "").await.refuses(message);
    }
}

/// Every message has a routing of the broker's test router.
async fn a_consumer_reads_these_lines_with_a_routing(broker: Broker) {
    reads_these_lines(broker, r#""routing":{"label":"test-label","meta":{"source":"router"}},"#).await;
}

async fn a_consumer_reads_these_lines_without_a_routing(broker: Broker) {
    reads_these_lines(broker, "").await;
}

/// Whole lines, with their envelopes. Each message is in a partition of its own, because generations count
/// offsets in two ways.
async fn reads_these_lines(broker: Broker, routing: &str) {
    let topic = broker.topic(3).await;
    topic
        .take(json!({ "key": "k", "value": "a<b>&\u{2028}\u{e9}", "envelope": { "partition_override": 0 } }))
        .await;
    let policy = json!({ "max_attempts": 3, "backoff_ms": 100, "max_backoff_ms": 1000 });
    let ids = json!({
        "run_id": "r", "step_id": "s", "parent_step_id": "ps", "tenant_id": "tn", "idempotency_key": "ik",
        "deadline": "2099-01-01T00:00:00Z", "partition_override": 1, "retry_policy": policy,
    });
    topic.take(json!({ "value": "v2", "envelope": ids })).await;
    let query = "run_id=r&step_id=s&parent_step_id=ps&tenant=tn&idem_key=ik2&deadline_ms=4070908800000\
        &partition_override=2&retry_max_attempts=3&retry_backoff_ms=100&retry_max_backoff_ms=1000";
    let produced = broker.wire.post(&format!("/v1/produce?topic={}&value=v3&{query}", topic.name), "").await;
    assert_eq!(produced.status, 200, "{}", produced.body);
    let line = |partition: u32, offset: u64, value: &str, key: &str| {
        format!(
            r#"{{"partition":{partition},"offset":{offset},"attempts":1,"key":"","value":"{value}","last_error":"",{routing}"envelope":{{"run_id":"r","step_id":"s","parent_step_id":"ps","tenant_id":"tn","idempotency_key":"{key}","deadline":"2099-01-01T00:00:00Z","retry_policy":{{"max_attempts":3,"backoff_ms":100,"max_backoff_ms":1000}},"partition_override":{partition}}}}}"#
        )
    };
    let mut stream = topic.consume("o", 30_000).await;
    let taken = stream.take(3).await;
    let offsets: Vec<u64> = taken.iter().map(|delivery| delivery.offset).collect();
    let lines: Vec<String> = taken.into_iter().map(|delivery| delivery.line).collect();
    let first = format!(
        r#"{{"partition":0,"offset":0,"attempts":1,"key":"k","value":"a\u003cb\u003e\u0026\u2028é","last_error":"",{routing}"envelope":{{"partition_override":0}}}}"#
    );
    assert_eq!(lines, [first, line(1, offsets[1], "v2", "ik"), line(2, offsets[2], "v3", "ik2")]);
}
