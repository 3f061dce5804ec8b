//! Requests and answers, byte for byte where the transcripts show them.

use super::client::Fixture;

/// Sends each request, and compares status and body with what the real broker answered.
async fn answers(broker: &Fixture, cases: &[(&str, &str, &str, u16, &str)]) {
    for (method, path, body, status, text) in cases {
        let reply = match *method {
            "POST" => broker.post(path, body).await,
            other => broker.call(other, path).await,
        };
        assert_eq!((reply.status, reply.body.trim_end()), (*status, *text), "{method} {path} {body}");
        assert_eq!(reply.header("x-request-id").map(str::len), Some(24));
    }
}

fn invalid(message: &str) -> String {
    format!(r#"{{"error":"INVALID_ARGUMENT","message":"{message}"}}"#)
}

/// Transcript 01.
#[tokio::test]
async fn topics() {
    let broker = Fixture::start().await;
    let created = |name, n| format!(r#"{{"status":"created","name":"{name}","partitions":{n}}}"#);
    let unknown = invalid(r#"invalid json body: json: unknown field \"foo\""#);
    let syntax =
        invalid("invalid json body: invalid character 'b' looking for beginning of object key string");
    let mismatch = invalid(
        "invalid json body: json: cannot unmarshal string into Go struct field TopicsCreateRequest.partitions of type int",
    );
    answers(
        &broker,
        &[
            ("GET", "/v1/topics", "", 200, r#"{"topics":[]}"#),
            ("POST", "/v1/topics", r#"{"name":"a","partitions":3}"#, 201, &created("a", 3)),
            ("POST", "/v1/topics", r#"{"name":"b"}"#, 201, &created("b", 1)),
            ("POST", "/v1/topics?name=c&partitions=2", "", 201, &created("c", 2)),
            ("POST", "/v1/topics", r#"{"name":"a","partitions":7}"#, 201, &created("a", 7)),
            ("POST", "/v1/topics", r#"{"name":""}"#, 400, &invalid("name is required")),
            ("POST", "/v1/topics", r#"{"name":"z","partitions":-1}"#, 400, &invalid("invalid partitions")),
            ("POST", "/v1/topics", r#"{"name":"z","partitions":0}"#, 201, &created("z", 1)),
            ("POST", "/v1/topics", r#"{"name":"y","foo":1}"#, 400, &unknown),
            ("POST", "/v1/topics", "{bad", 400, &syntax),
            ("POST", "/v1/topics?name=q&partitions=x", "", 400, &invalid("invalid partitions")),
            ("POST", "/v1/topics", "", 400, &invalid("name is required")),
            ("POST", "/v1/topics", r#"{"name":"y","partitions":"3"}"#, 400, &mismatch),
            ("POST", "/v1/topics", r#"{"name":"  sp ace/../x  "}"#, 201, &created("sp ace/../x", 1)),
            ("POST", "/v1/topics?name=fromquery", r#"{"name":"frombody"}"#, 201, &created("frombody", 1)),
            ("POST", "/v1/topics", r#"{"name":"tg"} trailing"#, 201, &created("tg", 1)),
            ("GET", "/v1/topics", "", 200, r#"{"topics":["a","b","c","frombody","sp ace/../x","tg","z"]}"#),
            ("GET", "/v1/healthz", "", 200, r#"{"status":"ok"}"#),
            ("GET", "/v1/version", "", 200, r#"{"version":"dev","commit":"unknown","wal_enabled":true}"#),
        ],
    )
    .await;
    broker.broker.kill().await;
}

/// Transcripts 02, 10 and 11.
#[tokio::test]
async fn produce_is_refused() {
    let broker = Fixture::start().await;
    broker.topic("t", 2).await;
    let json = |error: &str| invalid(&format!("invalid json body: {error}"));
    let no_time = |text: &str| {
        format!(
            r#"parsing time \"{text}\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"{text}\" as \"2006\""#
        )
    };
    let required = "topic and value are required";
    let wants_string = |found: &str| {
        json(&format!(
            "json: cannot unmarshal {found} into Go struct field ProduceRequest.value of type string"
        ))
    };
    let query = [
        ("value=v&partition_override=-1", "invalid partition_override".to_owned()),
        ("value=v&partition_override=x", "invalid partition_override".to_owned()),
        (
            "value=v&deadline_ms=abc",
            r#"invalid deadline_ms: strconv.ParseInt: parsing \"abc\": invalid syntax"#.to_owned(),
        ),
        ("value=v&deadline_rfc3339=abc", format!("invalid deadline_rfc3339: {}", no_time("abc"))),
        ("value=v&retry_max_attempts=-1", "invalid retry_max_attempts".to_owned()),
        ("value=v&retry_backoff_ms=-1&retry_max_attempts=1", "invalid retry_backoff_ms".to_owned()),
        (
            "value=v&retry_backoff_ms=10",
            r"retry_max_attempts must be \u003e 0 when using retry backoff params".to_owned(),
        ),
        ("value=v&deadline_ms=1000", "message deadline exceeded".to_owned()),
        ("", required.to_owned()),
    ];
    for (query, message) in query {
        answers(&broker, &[("POST", &format!("/v1/produce?topic=t&{query}"), "", 400, &invalid(&message))])
            .await;
    }
    let body = [
        (r#"{"topic":"t","value":"v","foo":1}"#, json(r#"json: unknown field \"foo\""#)),
        (r#"{"topic":"t","value":"v","envelope":{"bar":1}}"#, json(r#"json: unknown field \"bar\""#)),
        (r#"{"topic":"t","value":""}"#, invalid(required)),
        (r#"{"topic":"t","value":{"a":1}}"#, wants_string("object")),
        (r#"{"topic":"t","value":5}"#, wants_string("number")),
        ("[]", json("json: cannot unmarshal array into Go value of type v1.ProduceRequest")),
        (r#"{"topic":"nope","value":"v"}"#, invalid("topic does not exist (create it first)")),
        (r#"{"topic":" t ","value":"v"}"#, invalid("topic does not exist (create it first)")),
        (r#"{"topic":"t","value":"v","envelope":{"deadline":"x"}}"#, json(&no_time("x"))),
        (
            r#"{"topic":"t","value":"v","envelope":{"partition_override":-1}}"#,
            invalid("partition_override out of range"),
        ),
        (
            r#"{"topic":"t","value":"v","envelope":{"partition_override":9}}"#,
            invalid("partition_override out of range"),
        ),
        (
            r#"{"topic":"nope","value":"v","envelope":{"deadline":"2020-01-01T00:00:00Z"}}"#,
            invalid("message deadline exceeded"),
        ),
        (
            r#"{"topic":"t","value":"x","envelope":{"target_topic":"zz"}}"#,
            invalid("topic does not exist (create it first)"),
        ),
    ];
    for (body, text) in body {
        answers(&broker, &[("POST", "/v1/produce", body, 400, &text)]).await;
    }
    broker.broker.kill().await;
}

/// Transcripts 02 and 10: the lines as a consumer reads them, envelopes and all.
#[tokio::test]
async fn a_consumer_reads_these_lines() {
    let broker = Fixture::start().await;
    broker.topic("t", 2).await;
    broker.produce(r#"{"topic":"t","key":"k","value":"v1","envelope":{"partition_override":0}}"#).await;
    broker
        .produce(r#"{"topic":"t","value":"v2","envelope":{"run_id":"r","step_id":"s","parent_step_id":"ps","tenant_id":"tn","idempotency_key":"ik","deadline":"2099-01-01T02:00:00+02:00","partition_override":1,"retry_policy":{"max_attempts":3,"backoff_ms":100,"max_backoff_ms":1000}}}"#)
        .await;
    let query = "run_id=r&step_id=s&parent_step_id=ps&tenant=tn&idem_key=ik2&deadline_ms=4070908800000&partition_override=1&retry_max_attempts=3&retry_backoff_ms=100&retry_max_backoff_ms=1000&nonsense=1";
    assert_eq!(broker.post(&format!("/v1/produce?topic=t&value=v4&{query}"), "").await.status, 200);
    let mut stream = broker.consume("topic=t&group=g&owner=o&lease_ms=30000").await;
    let mut lines = Vec::new();
    for _ in 0..3 {
        lines.push(stream.text().await.unwrap());
    }
    lines.sort();
    let routing = r#""last_error":"","routing":{"label":"test-label","meta":{"source":"router"}}"#;
    let rest = r#""retry_policy":{"max_attempts":3,"backoff_ms":100,"max_backoff_ms":1000},"partition_override":1}}"#;
    let ids =
        r#""envelope":{"run_id":"r","step_id":"s","parent_step_id":"ps","tenant_id":"tn","idempotency_key""#;
    assert_eq!(
        lines,
        [
            format!(
                r#"{{"partition":0,"offset":0,"attempts":1,"key":"k","value":"v1",{routing},"envelope":{{"partition_override":0}}}}"#
            ),
            format!(
                r#"{{"partition":1,"offset":1,"attempts":1,"key":"","value":"v2",{routing},{ids}:"ik","deadline":"2099-01-01T02:00:00+02:00",{rest}"#
            ),
            format!(
                r#"{{"partition":1,"offset":2,"attempts":1,"key":"","value":"v4",{routing},{ids}:"ik2","deadline":"2099-01-01T00:00:00Z",{rest}"#
            ),
        ]
    );
    broker.broker.kill().await;
}

/// Transcript 11: the partition is FNV-1a-32 of the key, offsets are the topic's, and target_topic wins.
#[tokio::test]
async fn partitions_and_target_topics() {
    let broker = Fixture::start().await;
    broker.topic("a", 4).await;
    broker.topic("b", 1).await;
    for key in ["", "alpha", "beta", "gamma", "delta", "order-1"] {
        broker.produce(&format!(r#"{{"topic":"a","key":"{key}","value":"k={key}"}}"#)).await;
    }
    broker.produce(r#"{"topic":"ghost","value":"via-ghost","envelope":{"target_topic":"b"}}"#).await;
    let mut stream = broker.consume("topic=a&group=g&owner=o&lease_ms=30000").await;
    let mut places = Vec::new();
    for _ in 0..6 {
        let line = stream.next().await.unwrap();
        places.push((line["partition"].as_i64().unwrap(), line["offset"].as_i64().unwrap()));
    }
    places.sort_unstable();
    assert_eq!(places, [(0, 0), (1, 4), (1, 5), (2, 3), (3, 1), (3, 2)]);
    let mut stream = broker.consume("topic=b&group=g&owner=o").await;
    assert_eq!(stream.next().await.unwrap()["value"], "via-ghost");
    broker.broker.kill().await;
}

/// Transcript 03: refusals, and headers that wait for the first message.
#[tokio::test]
async fn consume_sends_nothing_before_the_first_message() {
    let broker = Fixture::start().await;
    broker.topic("t", 1).await;
    let required = invalid("topic, group, and owner are required");
    let no_topic = invalid("topic does not exist");
    for (query, text) in [
        ("", &required),
        ("?topic=t&group=g", &required),
        ("?topic=nope&group=g&owner=o", &no_topic),
        ("?topic=t&group=g&owner=o&lease_ms=x", &invalid("invalid lease_ms")),
        ("?topic=t&group=g&owner=o&lease_ms=-1", &invalid("invalid lease_ms")),
    ] {
        answers(&broker, &[("GET", &format!("/v1/consume{query}"), "", 400, text)]).await;
    }
    let mut stream = broker.consume("topic=t&group=g&owner=o").await;
    assert!(stream.is_silent_for(400).await);
    broker.produce(r#"{"topic":"t","value":"a\u003cb"}"#).await;
    assert_eq!(stream.raw_line().await.unwrap(), "HTTP/1.1 200 OK");
    assert!(stream.text().await.unwrap().contains(r#""value":"a\u003cb""#));
    broker.broker.kill().await;
}

/// Transcript 03: `lease_ms=0` is the default of 2 s, and then the ack_timeout comes within a tick.
#[tokio::test]
async fn a_lease_runs_out_on_the_real_clock() {
    let broker = Fixture::start().await;
    broker.topic("t", 1).await;
    broker.produce(r#"{"topic":"t","value":"v"}"#).await;
    let mut stream = broker.consume("topic=t&group=g&owner=o&lease_ms=300").await;
    assert_eq!(stream.offset().await, (0, 1));
    let since = std::time::Instant::now();
    let again = stream.next().await.unwrap();
    assert_eq!((again["attempts"].as_i64(), again["last_error"].as_str()), (Some(2), Some("ack_timeout")));
    assert!((250..1500).contains(&since.elapsed().as_millis()), "{:?}", since.elapsed());
    broker.broker.kill().await;
}

/// Transcript 05.
#[tokio::test]
async fn acks() {
    let broker = Fixture::start().await;
    broker.topic("t", 1).await;
    for _ in 0..6 {
        broker.produce(r#"{"topic":"t","value":"m"}"#).await;
    }
    let mut stream = broker.consume("topic=t&group=g&owner=o1&lease_ms=30000").await;
    assert_eq!(stream.pair().await, [(0, 1), (1, 1)]);
    let not_owner = r#"{"error":"FAILED_PRECONDITION","message":"not owner"}"#;
    let not_in_flight = invalid("message is not in-flight");
    let ack = |fields: &str| format!(r#"{{"topic":"t","group":"g",{fields}}}"#);
    let required = invalid("topic, group, and owner are required");
    let cases = [
        (ack(r#""owner":"other","partition":0,"offset":0"#), 409, not_owner.to_owned()),
        (ack(r#""owner":"o1","partition":0,"offset":0"#), 204, String::new()),
        (ack(r#""owner":"o1","partition":0,"offset":0"#), 400, not_in_flight.clone()),
        (ack(r#""owner":"o1","partition":0,"offset":5"#), 400, not_in_flight.clone()),
        (ack(r#""owner":"o1","partition":7,"offset":1"#), 400, invalid("partition out of range")),
        (ack(r#""owner":"o1","partition":0,"offset":-1"#), 400, invalid("offset cannot be negative")),
        (ack(r#""owner":"o1","partition":-1,"offset":0"#), 400, invalid("partition cannot be negative")),
        (ack(r#""partition":0,"offset":1"#), 400, required),
        (ack(r#""owner":"o1","x":1"#), 400, invalid("unknown field: x")),
        (ack(r#""owner":"o1","partition":"0","offset":1"#), 400, invalid("invalid partition")),
        (ack(r#""owner":"o1""#), 400, not_in_flight.clone()),
    ];
    for (body, status, text) in cases {
        answers(&broker, &[("POST", "/v1/ack", &body, status, &text)]).await;
    }
    let query = "/v1/ack?topic=t&group=g&owner=o1";
    answers(&broker, &[("POST", query, "", 400, &invalid("partition and offset are required"))]).await;
    assert_eq!(stream.offset().await, (2, 1), "the ack made room");
    broker.broker.kill().await;
}

/// Transcript 13: the 429 in full.
#[tokio::test]
async fn a_full_partition_answers_429() {
    let broker = Fixture::start().await;
    broker.topic("b", 1).await;
    let value = "x".repeat(65_536);
    let reply = broker.post("/v1/produce", &format!(r#"{{"topic":"b","value":"{value}"}}"#)).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("1")));
    let reason = "partition_buffer_bytes_full";
    let text = format!(
        r#"{{"error":"RESOURCE_EXHAUSTED","message":"producer overload: {reason}","reason":"{reason}","retry_after_ms":1000}}"#
    );
    assert_eq!(reply.body, format!("{text}\n"));
    let metrics = broker.get("/metrics").await.body;
    assert!(
        metrics.contains("produce_rejected_total{reason=\"partition_buffer_bytes_full\"} 1\n"),
        "{metrics}"
    );
    broker.broker.kill().await;
}

/// Transcript 14.
#[tokio::test]
async fn methods_and_routes() {
    let broker = Fixture::start().await;
    let not_allowed = r#"{"error":"METHOD_NOT_ALLOWED","message":"method not allowed"}"#;
    for (method, path, allow) in [
        ("GET", "/v1/produce", "POST"),
        ("PUT", "/v1/topics", "GET, POST"),
        ("OPTIONS", "/v1/topics", "GET, POST"),
        ("POST", "/v1/consume", "GET"),
        ("GET", "/v1/ack", "POST"),
        ("GET", "/v1/nack", "POST"),
        ("POST", "/v1/healthz", "GET"),
    ] {
        answers(&broker, &[(method, path, "", 405, not_allowed)]).await;
        assert_eq!(broker.call(method, path).await.header("allow"), Some(allow));
    }
    let versioned = r#"{"error":"NOT_FOUND","message":"use /v1/* endpoints"}"#;
    answers(
        &broker,
        &[
            ("GET", "/", "", 404, versioned),
            ("GET", "/healthz", "", 404, versioned),
            ("GET", "/v2/topics", "", 404, versioned),
            ("GET", "/v1/", "", 404, "404 page not found"),
            ("GET", "/v1/nope", "", 404, "404 page not found"),
            ("GET", "/v1/topics/", "", 404, "404 page not found"),
            ("GET", "/v1", "", 301, r#"<a href="/v1/">Moved Permanently</a>."#),
            ("GET", "/v1//topics", "", 301, r#"<a href="/v1/topics">Moved Permanently</a>."#),
        ],
    )
    .await;
    let plain = broker.get("/v1/nope").await;
    assert_eq!(plain.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(broker.get("/v1").await.header("location"), Some("/v1/"));
    assert_eq!(broker.call("HEAD", "/v1/healthz").await.status, 405);
    broker.broker.kill().await;
}

/// Transcript 15.
#[tokio::test]
async fn metrics() {
    let broker = Fixture::start().await;
    broker.topic("t", 2).await;
    assert_eq!(broker.get("/metrics").await.body, "");
    for _ in 0..4 {
        broker.produce(r#"{"topic":"t","value":"m"}"#).await;
    }
    let mut stream = broker.consume("topic=t&group=g&owner=o&lease_ms=30000").await;
    stream.pair().await;
    assert_eq!(broker.ack("g", "o", 0, 0).await.status, 204);
    stream.offset().await;
    let metrics = broker.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let lag = "# HELP consumer_lag Consumer lag per topic/group/partition (messages after committed offset).\n\
               # TYPE consumer_lag gauge\n\
               consumer_lag{group=\"g\",partition=\"0\",topic=\"t\"} 3\n\
               consumer_lag{group=\"g\",partition=\"1\",topic=\"t\"} 0\n";
    assert!(metrics.body.starts_with(lag), "{}", metrics.body);
    assert!(metrics.body.contains("inflight_messages{group=\"g\",partition=\"0\",topic=\"t\"} 2\n"));
    broker.broker.kill().await;
}

/// A connection between requests lasts 5 s, a consuming one as long as it likes (transcript 20: 75 s).
#[tokio::test]
async fn idle_connections_are_closed_but_not_streams() {
    let broker = Fixture::start().await;
    broker.topic("t", 1).await;
    let mut refused = broker.consume("topic=nope&group=g&owner=o").await;
    let mut stream = broker.consume("topic=t&group=g&owner=o").await;
    assert_eq!(refused.raw_line().await.as_deref(), Some("HTTP/1.1 400 Bad Request"));
    let since = std::time::Instant::now();
    while refused.raw_line().await.is_some() {}
    assert!((4500..7000).contains(&since.elapsed().as_millis()), "{:?}", since.elapsed());
    assert!(stream.is_silent_for(500).await);
    broker.produce(r#"{"topic":"t","value":"late"}"#).await;
    assert_eq!(stream.offset().await, (0, 1));
    broker.broker.kill().await;
}
