//! JSON bodies, decoded as Go decodes them.

use super::broker::Broker;

cases! {
    both: [
        a_field_may_be_in_any_case_and_the_last_one_wins,
        repeated_objects_merge,
        the_first_error_is_told,
        half_a_surrogate_pair_is_replaced,
    ],
}

/// Every occurrence of a field is decoded. `null` changes no string.
async fn a_field_may_be_in_any_case_and_the_last_one_wins(broker: Broker) {
    let topic = broker.topic(1).await;
    let mut stream = topic.consume("o", 30_000).await;
    for (fields, value) in [
        (r#""VALUE":"a""#, "a"),
        (r#""value":"a","Value":"b""#, "b"),
        (r#""Value":"a","value":"b""#, "b"),
        (r#""value":"a","value":null"#, "a"),
        // The long s is another case of `s`.
        ("\"value\":\"a\",\"envelope\":{\"\u{17f}tep_id\":\"s\"}", "a"),
    ] {
        let body = format!(r#"{{"topic":"wrong","topic":"{}",{fields}}}"#, topic.name);
        assert_eq!(broker.wire.post("/v1/produce", &body).await.status, 200, "{fields}");
        let delivery = stream.next().await;
        assert_eq!(delivery.value, value, "{fields}");
        topic.ack("o", delivery.offset).await;
    }
}

/// An envelope or a retry policy that is given twice has the fields of both; `null` unsets it.
async fn repeated_objects_merge(broker: Broker) {
    let topic = broker.topic(1).await;
    let mut stream = topic.consume("o", 30_000).await;
    for (envelopes, merged) in [
        (
            r#""envelope":{"run_id":"r","step_id":"s"},"Envelope":{"step_id":"t","tenant_id":"u"}"#,
            r#","envelope":{"run_id":"r","step_id":"t","tenant_id":"u"}}"#,
        ),
        (
            r#""envelope":{"retry_policy":{"max_attempts":3}},"envelope":{"retry_policy":{"backoff_ms":5}}"#,
            r#","envelope":{"retry_policy":{"max_attempts":3,"backoff_ms":5}}}"#,
        ),
        (
            r#""envelope":{"run_id":"r","partition_override":0,"partition_override":null}"#,
            r#","envelope":{"run_id":"r"}}"#,
        ),
        (r#""envelope":{"run_id":"r"},"envelope":null"#, "}"),
    ] {
        let body = format!(r#"{{"topic":"{}","value":"v",{envelopes}}}"#, topic.name);
        assert_eq!(broker.wire.post("/v1/produce", &body).await.status, 200, "{envelopes}");
        let delivery = stream.next().await;
        assert!(delivery.line.ends_with(merged), "{envelopes}: {}", delivery.line);
        assert_eq!(delivery.line.contains("envelope"), merged != "}", "{}", delivery.line);
        topic.ack("o", delivery.offset).await;
    }
}

/// Only the first error is reported, whatever is wrong after it. But a text that is not JSON is refused
/// before its fields are checked.
async fn the_first_error_is_told(broker: Broker) {
    let field = "json: cannot unmarshal";
    for (body, message) in [
        (
            r#"{"key":1,"foo":2,"value":3}"#,
            &*format!("{field} number into Go struct field ProduceRequest.key of type string"),
        ),
        (r#"{"foo":2,"key":1}"#, r#"json: unknown field \"foo\""#),
        (
            r#"{"envelope":{"partition_override":1.5}}"#,
            &format!(
                "{field} number 1.5 into Go struct field Envelope.envelope.partition_override of type int"
            ),
        ),
        (
            r#"{"Envelope":{"Retry_Policy":{"MAX_ATTEMPTS":"x"}}}"#,
            &format!(
                "{field} string into Go struct field RetryPolicy.envelope.retry_policy.max_attempts of type int"
            ),
        ),
        (r#"{"foo":1,"#, "unexpected EOF"),
        (r#"{"foo":[1 2]}"#, "invalid character '2' after array element"),
        (r#"{"foo":tru1}"#, "invalid character '1' in literal true (expecting 'e')"),
        (r#"{"foo":-x}"#, "invalid character 'x' in numeric literal"),
        (r#"{"foo":1.x}"#, "invalid character 'x' after decimal point in numeric literal"),
        (r#"{"foo":01}"#, "invalid character '1' after object key:value pair"),
        (r#"{"foo":"\x"}"#, "invalid character 'x' in string escape code"),
        ("{\"foo\":\"\u{1}\"}", r"invalid character '\\x01' in string literal"),
        (r#"{"foo",1}"#, "invalid character ',' after object key"),
        (r#"{"a":1,}"#, "invalid character '}' looking for beginning of object key string"),
    ] {
        broker.wire.post("/v1/produce", body).await.refuses(&format!("invalid json body: {message}"));
    }
    let deep = "[".repeat(10_001);
    let message = "invalid json body: invalid character '[' exceeded max depth";
    broker.wire.post("/v1/produce", &deep).await.refuses(message);
}

async fn half_a_surrogate_pair_is_replaced(broker: Broker) {
    let topic = broker.topic(1).await;
    let mut stream = topic.consume("o", 30_000).await;
    for (written, read) in [
        (r"\ud83d\ude00", "\u{1f600}"),
        (r"\ud83d", "\u{fffd}"),
        (r"\ud83dx\ude00", "\u{fffd}x\u{fffd}"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
        (r"\\\ud83d\\\ude00\/\b\f", "\\\u{fffd}\\\u{fffd}/\u{8}\u{c}"),
    ] {
        let body = format!(r#"{{"topic":"{}","value":"{written}"}}"#, topic.name);
        assert_eq!(broker.wire.post("/v1/produce", &body).await.status, 200, "{written}");
        let delivery = stream.next().await;
        assert_eq!(delivery.value, read, "{written}");
        topic.ack("o", delivery.offset).await;
    }
}
