//! A command: "do this step for this business key, with this input". The value of a message on the topic.
//!
//! It has only the input that its step names, not the webhook's body: a partition holds few bytes of unacked messages
//! (64 KiB at the oldest brokers), and a queue should hold little personal data. Input that would fill more than a
//! quarter of a partition is stored in DynamoDB, and the command carries a [`ClaimCheck`] for it.

pub mod flow;
mod newer;

use std::collections::BTreeMap;

use flow::{Flow, Receipts};
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    effect_id::{EffectId, IdError, RunId, StepId},
    trace::{self, Traceparent},
};

/// A command of up to this many bytes of JSON carries its input at every broker: a quarter of a partition of the oldest
/// ones.
pub const MAX_INLINE: usize = 16 * 1024;
/// No larger command carries its input, however much the broker accepts: it may have to fit into a record, and a DynamoDB
/// item has at most 400 KB.
pub const MOST_INLINE: usize = 128 * 1024;

/// What a step works on: the fields that its `input` table names, by name.
pub type Input = BTreeMap<String, Value>;

/// A command as it stands on the topic, in the due agenda and in a parked record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// The run.
    pub run_id: RunId,
    /// The step.
    pub step: StepId,
    /// The business key.
    pub business_key: String,
    /// The input, or a reference to it.
    pub payload: Payload,
    /// Digest of the input: the same effect with other input is parked, unless it is done already.
    pub input_hash: InputHash,
    /// How many attempts had been counted when this command was written: 0 for a fresh one. The command can
    /// claim the effect only while the count is still the same, so older copies of a retried command are
    /// harmless.
    #[serde(default)]
    pub attempt: u32,
    /// The number of effects of the run, later steps included, so that its completion can be recognised.
    pub of: u32,
    /// When ingest accepted it, or when the last of its predecessors was done.
    pub received_at: Timestamp,
    /// The source, or `api`, for logs and metrics. Older commands have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The trace that it belongs to, for logs and for the third party. Older commands have none, and an unreadable one
    /// is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "trace::lenient")]
    pub traceparent: Option<Traceparent>,
    /// The steps that come after it.
    #[serde(default, skip_serializing_if = "Flow::is_empty")]
    pub flow: Flow,
    /// Fields of the receipts of the steps before it.
    #[serde(default, skip_serializing_if = "Receipts::is_empty")]
    pub receipts: Receipts,
    /// Features that a consumer must understand to execute this command. A consumer that lacks one leaves the
    /// command to a newer consumer, as during a deployment. A new field that must not be ignored is named
    /// here wherever it is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Fields of a newer version. They stay with the command: this version may defer it, and the newer one do it.
    #[serde(flatten, deserialize_with = "newer::fields")]
    pub newer: BTreeMap<String, Value>,
}

/// The input itself, or a reference to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// The input itself.
    Input(Input),
    /// A reference: the input is stored in DynamoDB.
    ClaimCheck(ClaimCheck),
}

/// A reference to input that is stored in DynamoDB, compressed and in chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimCheck {
    /// How many chunks it has.
    pub chunks: u32,
    /// Bytes of JSON before compression.
    pub bytes: u64,
    /// Digest of everything that is stored, if later steps' inputs are stored with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<InputHash>,
}

/// SHA-256 of the input's JSON with sorted keys, in hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InputHash(String);

impl InputHash {
    /// Digests input. Key order does not matter at any depth.
    #[must_use]
    pub fn of(input: &Input) -> Self {
        // serde_json sorts by itself unless some crate in the build turns its `preserve_order` feature on.
        let canonical = if input.values().all(is_sorted) {
            serde_json::to_string(input)
        } else {
            let mut sorted = input.clone();
            sorted.values_mut().for_each(Value::sort_all_objects);
            serde_json::to_string(&sorted)
        };
        // Strings, numbers and maps always serialise.
        Self(hex::encode(digest(&SHA256, canonical.unwrap_or_default().as_bytes())))
    }

    /// The digest in hex.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the keys of all objects in it are in order.
fn is_sorted(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.keys().is_sorted() && fields.values().all(is_sorted),
        Value::Array(items) => items.iter().all(is_sorted),
        _ => true,
    }
}

impl From<String> for InputHash {
    fn from(hex: String) -> Self {
        Self(hex)
    }
}

impl Command {
    /// Whether this version understands everything in `needs`.
    #[must_use]
    pub fn is_understood(&self) -> bool {
        self.needs.iter().all(|need| newer::UNDERSTOOD.contains(&need.as_str()))
    }

    /// The command, with the steps that come after it.
    #[must_use]
    pub fn followed_by(self, flow: Flow) -> Self {
        let needs = if self.receipts.is_empty() { flow.needs() } else { newer::of_chain() };
        Self { flow, needs, ..self }
    }

    /// The effect that it asks for.
    ///
    /// # Errors
    /// See [`EffectId::new`]; a command that this library wrote has a legal one.
    pub fn effect_id(&self) -> Result<EffectId, IdError> {
        EffectId::new(self.run_id.clone(), self.step.clone(), self.business_key.clone())
    }

    /// The JSON of the command. Strings, numbers and maps always serialise.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Most commands fit into this, with their signature.
        let mut json = Vec::with_capacity(1024);
        serde_json::to_writer(&mut json, self)
            .ok()
            .and_then(|()| String::from_utf8(json).ok())
            .unwrap_or_default()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn input(value: Value) -> Input {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_digest_ignores_key_order_and_sees_every_value() {
        let one = input(json!({"a": {"x": 1, "y": [2, 3]}, "b": null}));
        let same: Input = serde_json::from_str(r#"{"b":null,"a":{"y":[2,3],"x":1}}"#).unwrap();
        let other = input(json!({"a": {"x": 1, "y": [3, 2]}, "b": null}));
        assert_eq!(InputHash::of(&one), InputHash::of(&same));
        assert_ne!(InputHash::of(&one), InputHash::of(&other));
    }

    /// A command as it stood on topics and in tables before commands had a source and a trace.
    pub(crate) const OLDER: &str = r#"{"run_id":"stripe.evt_1","step":"s","business_key":"k","payload":{"input":{}},"input_hash":"h","of":1,"received_at":"2026-11-23T12:00:00Z"}"#;

    #[test]
    fn an_older_command_can_be_read_and_a_trace_that_can_not_be_read_is_none() {
        let older: Command = serde_json::from_str(OLDER).unwrap();
        assert_eq!((older.attempt, &older.source, older.traceparent), (0, &None, None));
        for trace in [json!("nonsense"), json!(7), json!({"a": []}), Value::Null] {
            let mut newer: Value = serde_json::from_str(OLDER).unwrap();
            newer["traceparent"] = trace;
            assert_eq!(serde_json::from_value::<Command>(newer).unwrap(), older);
        }
    }

    proptest! {
        #[test]
        fn a_malformed_message_is_an_error_and_never_a_panic(text in "(?s).{0,300}") {
            let _ = serde_json::from_str::<Command>(&text);
        }

        #[test]
        fn a_command_survives_the_topic(key in "(?s).{1,40}", text in "(?s).{0,40}", attempt in 0u32..9) {
            let input = input(json!({"text": text}));
            let command = Command {
                run_id: RunId::escape("stripe.evt").unwrap(),
                step: StepId::try_from("s".to_owned()).unwrap(),
                business_key: key,
                input_hash: InputHash::of(&input),
                payload: Payload::Input(input),
                attempt,
                of: 1,
                received_at: Timestamp::UNIX_EPOCH,
                source: Some("stripe".to_owned()),
                traceparent: Some(Traceparent::new()),
                flow: Flow::default(),
                receipts: Receipts::new(),
                needs: Vec::new(),
                newer: BTreeMap::new(),
            };
            prop_assert_eq!(serde_json::from_str::<Command>(&command.to_json()).unwrap(), command);
        }
    }
}
