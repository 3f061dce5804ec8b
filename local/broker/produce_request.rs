//! The arguments of a produce request: strict in JSON, lenient in the query (transcript 02).

use jiff::Timestamp;
use serde_json::Value;

use super::deadline::Deadline;
use super::go_json::Fields;
use super::message::{Envelope, Message, RetryPolicy};
use super::request::{Arguments, Query, parse};

/// `POST /v1/produce`: the topic, not trimmed, and the message (transcript 02).
pub(super) fn produce(arguments: &Arguments) -> Result<(String, Message), String> {
    let (topic, message) = match arguments {
        Arguments::Json(body) => parse(body, |value| {
            let fields = Fields::of(value, "ProduceRequest", &["topic", "key", "value", "envelope"])?;
            let (topic, key, value) =
                (fields.string("topic")?, fields.string("key")?, fields.string("value")?);
            let envelope = json_envelope(&fields)?;
            Ok((topic, Message { key, value, envelope, ..Message::default() }))
        })?,
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

fn json_envelope(request: &Fields<'_>) -> Result<Option<Envelope>, String> {
    let known = [
        "run_id",
        "step_id",
        "parent_step_id",
        "tenant_id",
        "idempotency_key",
        "target_topic",
        "deadline",
        "retry_policy",
        "partition_override",
    ];
    let Some(fields) = request.object("envelope", "Envelope", &known)? else { return Ok(None) };
    let deadline = match fields.get("deadline") {
        None => None,
        Some(Value::String(text)) => Some(Deadline::try_from(text.clone())?),
        Some(_) => return Err("Time.UnmarshalJSON: input is not a JSON string".to_owned()),
    };
    let known = ["max_attempts", "backoff_ms", "max_backoff_ms"];
    let retry_policy = match fields.object("retry_policy", "RetryPolicy", &known)? {
        None => None,
        Some(policy) => Some(RetryPolicy {
            max_attempts: policy.integer("max_attempts", "int")?.unwrap_or(0),
            backoff_ms: policy.integer("backoff_ms", "int64")?.unwrap_or(0),
            max_backoff_ms: policy.integer("max_backoff_ms", "int64")?.unwrap_or(0),
        }),
    };
    Ok(Some(Envelope {
        run_id: fields.string("run_id")?,
        step_id: fields.string("step_id")?,
        parent_step_id: fields.string("parent_step_id")?,
        tenant_id: fields.string("tenant_id")?,
        idempotency_key: fields.string("idempotency_key")?,
        target_topic: fields.string("target_topic")?,
        deadline,
        retry_policy,
        partition_override: fields.integer("partition_override", "int")?,
    }))
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
    let text = query.get("deadline_ms");
    if text.is_empty() {
        return Ok(None);
    }
    let ms = text.parse().ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    ms.map(|at| Some(Deadline::from(at)))
        .ok_or_else(|| format!("invalid deadline_ms: strconv.ParseInt: parsing {text:?}: invalid syntax"))
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
