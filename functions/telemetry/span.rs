//! One span, as it is recorded.

use std::time::Instant;

use serde_json::Value;

use crate::trace::Traceparent;

/// A span's kind, with OTLP's number.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A request received.
    Server = 2,
    /// A request sent.
    Client = 3,
    /// A message processed.
    Consumer = 5,
}

/// A span that has ended.
#[derive(Debug)]
pub struct Span<'a> {
    /// The span's trace and its own id.
    pub trace: Traceparent,
    /// The parent span.
    pub parent: Option<Traceparent>,
    /// Its kind.
    pub kind: Kind,
    /// What the span is about, from a small set of names.
    pub name: String,
    /// When it began. It ends when it is recorded.
    pub began: Instant,
    /// Attributes: no data that was sent, and no secrets.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed.
    pub error: Option<&'a str>,
}
