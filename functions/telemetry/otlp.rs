//! Spans in OTLP's JSON encoding (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>): ids in hex, and 64-bit numbers as text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::span::Span;

/// The status of a span that failed.
const ERROR: u8 = 2;

/// The body of an export request.
pub(super) fn document(service: &str, spans: Vec<Value>) -> Value {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    json!({ "resourceSpans": [{
        "resource": { "attributes": [attribute("service.name", &json!(service)), attribute("service.version", &json!(version))] },
        "scopeSpans": [{ "scope": { "name": name, "version": version }, "spans": spans }],
    }] })
}

/// A span with this end time.
pub(super) fn span(span: &Span<'_>, end: SystemTime) -> Value {
    let end = end.duration_since(UNIX_EPOCH).unwrap_or_default();
    let attributes: Vec<_> = span.attributes.iter().map(|(name, value)| attribute(name, value)).collect();
    let mut json = json!({
        "traceId": span.trace.trace_id(),
        "spanId": span.trace.span_id(),
        "name": span.name,
        "kind": span.kind as u8,
        "startTimeUnixNano": nanoseconds(end.saturating_sub(span.began.elapsed())),
        "endTimeUnixNano": nanoseconds(end),
        "attributes": attributes,
    });
    if let Some(parent) = &span.parent {
        json["parentSpanId"] = parent.span_id().into();
    }
    if let Some(error) = span.error {
        json["status"] = json!({ "code": ERROR, "message": error });
    }
    json
}

fn nanoseconds(since_1970: Duration) -> String {
    since_1970.as_nanos().to_string()
}

fn attribute(name: &str, value: &Value) -> Value {
    let value = match value {
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::String(text) => json!({ "stringValue": text }),
        other => json!({ "stringValue": other.to_string() }),
    };
    json!({ "key": name, "value": value })
}
