//! The JSON on the wire. The broker refuses unknown fields at any depth, so requests have exactly these.
//! Unknown fields of its answers are ignored, since versions differ.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /v1/topics`
#[derive(Serialize)]
pub(super) struct CreateTopic<'a> {
    pub(super) name: &'a str,
    pub(super) partitions: u32,
}

/// `POST /v1/produce`
#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) topic: &'a str,
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    pub(super) envelope: Envelope<'a>,
}

/// For people who look at the broker, which does not use these two fields itself.
#[derive(Serialize)]
pub(super) struct Envelope<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) run_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) step_id: &'a str,
}

/// `POST /v1/ack`
#[derive(Serialize)]
pub(super) struct Ack<'a> {
    pub(super) topic: &'a str,
    pub(super) group: &'a str,
    pub(super) owner: &'a str,
    pub(super) partition: u32,
    pub(super) offset: u64,
}

/// The answer to `GET /v1/topics`.
#[derive(Deserialize)]
pub(super) struct Topics {
    /// Go writes an empty list as `null` by default.
    topics: Option<Vec<Topic>>,
}

/// A topic in the list: its name, or an object with one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Topic {
    Name(String),
    Object { name: String },
}

impl Topics {
    pub(super) fn names(self) -> Vec<String> {
        let name = |topic| match topic {
            Topic::Name(name) | Topic::Object { name } => name,
        };
        self.topics.unwrap_or_default().into_iter().map(name).collect()
    }
}

/// One line of a stream. What an ack needs is required; the rest may be missing.
#[derive(Deserialize)]
pub(super) struct Line {
    pub(super) partition: u32,
    pub(super) offset: u64,
    #[serde(default)]
    pub(super) attempts: Option<u32>,
    #[serde(default)]
    key: Value,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    last_error: Value,
}

impl Line {
    /// Key, value and last error.
    pub(super) fn texts(self) -> [String; 3] {
        [self.key, self.value, self.last_error].map(text)
    }
}

/// A string as it is, anything else as JSON, `null` as empty.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The body of the broker's own errors: `{"error": code, "message": text, ...}`.
#[derive(Default)]
pub(super) struct Refusal {
    pub(super) message: Option<String>,
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    /// Reads any body; a proxy's HTML gives empty fields.
    pub(super) fn read(body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return Self::default() };
        let text = |field: &str| body.get(field)?.as_str().map(str::to_owned);
        Self {
            message: text("message").or_else(|| text("error")),
            retry_after: body.get("retry_after_ms").and_then(Value::as_u64).map(Duration::from_millis),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn names(list: Value) -> Vec<String> {
        serde_json::from_value::<Topics>(list).unwrap().names()
    }

    #[test]
    fn topics_are_strings_or_objects_or_nothing() {
        assert_eq!(names(json!({"topics": ["a", "b"]})), ["a", "b"]);
        assert_eq!(names(json!({"topics": [{"name": "a", "partitions": 3}, "b"], "more": 1})), ["a", "b"]);
        assert_eq!(names(json!({"topics": null})), [""; 0]);
    }

    #[test]
    fn a_line_needs_a_place_and_no_more() {
        let line: Line =
            serde_json::from_str(r#"{"partition":1,"offset":7,"value":{"a":1},"new":[]}"#).unwrap();
        assert_eq!((line.partition, line.offset, line.attempts), (1, 7, None));
        assert_eq!(line.texts(), ["", r#"{"a":1}"#, ""]);
        assert!(serde_json::from_str::<Line>(r#"{"partition":1,"value":"v"}"#).is_err());
        assert!(serde_json::from_str::<Line>(r#"{"partition":-1,"offset":7}"#).is_err());
    }

    #[test]
    fn an_error_may_be_a_brokers_a_proxys_or_nothing() {
        let full = br#"{"error":"RESOURCE_EXHAUSTED","message":"producer overload","retry_after_ms":1000}"#;
        let full = Refusal::read(full);
        assert_eq!(full.message.as_deref(), Some("producer overload"));
        assert_eq!(full.retry_after, Some(Duration::from_secs(1)));
        assert_eq!(Refusal::read(br#"{"error":"NOT_FOUND"}"#).message.as_deref(), Some("NOT_FOUND"));
        assert_eq!(Refusal::read(b"404 page not found\n").message, None);
    }

    proptest! {
        #[test]
        fn no_line_and_no_error_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Refusal::read(&bytes);
            let _ = serde_json::from_slice::<Line>(&bytes).map(Line::texts);
        }
    }
}
