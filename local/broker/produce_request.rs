//! The arguments of a produce request: strict in JSON, lenient in the query.

use std::num::IntErrorKind;

use super::message::{Envelope, Message, RetryPolicy};
use super::parity::deadline::Deadline;
use super::parity::go_json::{Fields, Struct, Type};
use super::parity::quote::quoted;
use super::request::{Arguments, Query, decode};

const PRODUCE_REQUEST: Struct = Struct {
    name: "ProduceRequest",
    fields: &[
        ("topic", Type::String),
        ("key", Type::String),
        ("value", Type::String),
        ("envelope", Type::OptionalStruct(&ENVELOPE)),
    ],
};

const ENVELOPE: Struct = Struct {
    name: "Envelope",
    fields: &[
        ("run_id", Type::String),
        ("step_id", Type::String),
        ("parent_step_id", Type::String),
        ("tenant_id", Type::String),
        ("idempotency_key", Type::String),
        ("target_topic", Type::String),
        ("deadline", Type::OptionalTime),
        ("retry_policy", Type::OptionalStruct(&RETRY_POLICY)),
        ("partition_override", Type::OptionalInteger("int")),
    ],
};

const RETRY_POLICY: Struct = Struct {
    name: "RetryPolicy",
    fields: &[
        ("max_attempts", Type::Integer("int")),
        ("backoff_ms", Type::Integer("int64")),
        ("max_backoff_ms", Type::Integer("int64")),
    ],
};

/// `POST /v1/produce`: the topic, not trimmed, and the message.
pub(super) fn produce(arguments: &Arguments) -> Result<(String, Message), String> {
    let (topic, message) = match arguments {
        Arguments::Json(body) => {
            let mut fields = decode(body, &PRODUCE_REQUEST)?;
            let envelope = fields.object("envelope").map(json_envelope);
            let (topic, key, value) = (fields.string("topic"), fields.string("key"), fields.string("value"));
            (topic, Message { key, value, envelope, ..Message::default() })
        }
        Arguments::Query(query) => {
            let envelope = Some(query_envelope(query)?).filter(|envelope| *envelope != Envelope::default());
            let (key, value) = (query.raw("key").to_owned(), query.raw("value").to_owned());
            (query.raw("topic").to_owned(), Message { key, value, envelope, ..Message::default() })
        }
    };
    if topic.trim().is_empty() || message.value.is_empty() {
        return Err("topic and value are required".to_owned());
    }
    Ok((topic, message))
}

fn json_envelope(mut fields: Fields) -> Envelope {
    Envelope {
        run_id: fields.string("run_id"),
        step_id: fields.string("step_id"),
        parent_step_id: fields.string("parent_step_id"),
        tenant_id: fields.string("tenant_id"),
        idempotency_key: fields.string("idempotency_key"),
        target_topic: fields.string("target_topic"),
        deadline: fields.time("deadline"),
        retry_policy: fields.object("retry_policy").map(|policy| RetryPolicy {
            max_attempts: policy.integer("max_attempts").unwrap_or(0),
            backoff_ms: policy.integer("backoff_ms").unwrap_or(0),
            max_backoff_ms: policy.integer("max_backoff_ms").unwrap_or(0),
        }),
        partition_override: fields.integer("partition_override"),
    }
}

fn query_envelope(query: &Query) -> Result<Envelope, String> {
    let either = |name, alias| match query.get(name) {
        "" => query.get(alias).to_owned(),
        given => given.to_owned(),
    };
    let partition_override: Option<i64> = query.integer("partition_override")?;
    if partition_override.is_some_and(|partition| partition < 0) {
        return Err("invalid partition_override".to_owned());
    }
    Ok(Envelope {
        run_id: query.get("run_id").to_owned(),
        step_id: query.get("step_id").to_owned(),
        parent_step_id: query.get("parent_step_id").to_owned(),
        tenant_id: either("tenant_id", "tenant"),
        idempotency_key: either("idempotency_key", "idem_key"),
        target_topic: query.get("target_topic").to_owned(),
        deadline: query_deadline(query)?,
        retry_policy: query_retry_policy(query)?,
        partition_override,
    })
}

fn query_deadline(query: &Query) -> Result<Option<Deadline>, String> {
    let text = query.get("deadline_rfc3339");
    if !text.is_empty() {
        let deadline = Deadline::try_from(text.to_owned());
        return deadline.map(Some).map_err(|error| format!("invalid deadline_rfc3339: {error}"));
    }
    match query.get("deadline_ms") {
        "" => Ok(None),
        text => match text.parse() {
            Ok(ms) => Ok(Some(Deadline::of_millis(ms))),
            Err(error) => {
                let why = match error.kind() {
                    IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
                    _ => "invalid syntax",
                };
                Err(format!("invalid deadline_ms: strconv.ParseInt: parsing {}: {why}", quoted(text)))
            }
        },
    }
}

fn query_retry_policy(query: &Query) -> Result<Option<RetryPolicy>, String> {
    let number = |name| match query.integer::<i64>(name) {
        Ok(Some(negative)) if negative < 0 => Err(format!("invalid {name}")),
        other => other,
    };
    let (max_attempts, backoff_ms, max_backoff_ms) =
        (number("retry_max_attempts")?, number("retry_backoff_ms")?, number("retry_max_backoff_ms")?);
    let policy = RetryPolicy {
        max_attempts: max_attempts.unwrap_or(0),
        backoff_ms: backoff_ms.unwrap_or(0),
        max_backoff_ms: max_backoff_ms.unwrap_or(0),
    };
    if (backoff_ms.is_some() || max_backoff_ms.is_some()) && policy.max_attempts == 0 {
        return Err("retry_max_attempts must be > 0 when using retry backoff params".to_owned());
    }
    Ok(Some(policy).filter(|policy| *policy != RetryPolicy::default()))
}
