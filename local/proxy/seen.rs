//! The requests recorded by a fault proxy.

use axum::http::HeaderMap;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

/// How much of a body is kept.
const KEPT: usize = 256 << 10;

/// A request and its result.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its number in this proxy, from 0.
    pub index: usize,
    /// When it was received.
    pub at: Timestamp,
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// Its query.
    pub query: String,
    /// DynamoDB's operation, such as `PutItem`; else empty.
    pub operation: String,
    /// Its body, cut off if it is very long.
    pub body: Bytes,
    /// Its result.
    pub end: End,
}

/// The result of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Not answered yet.
    Open,
    /// The upstream responded with this status, whether or not the client received it.
    Upstream(u16),
    /// The proxy responded itself, without forwarding.
    Answered(u16),
    /// The proxy cut the connection, without forwarding.
    Cut,
    /// The upstream could not be reached, or disconnected before it responded.
    Unreachable,
}

impl Seen {
    pub(super) fn new(method: &str, path: &str, query: &str, headers: &HeaderMap, body: &Bytes) -> Self {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        Self {
            index: 0,
            at: Timestamp::now(),
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            operation: target.rsplit_once('.').map(|(_, operation)| operation).unwrap_or_default().to_owned(),
            body: body.slice(..body.len().min(KEPT)),
            end: End::Open,
        }
    }

    /// The body as JSON; null if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether the body contains that text.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.body).contains(text)
    }

    /// Whether it is this DynamoDB operation.
    #[must_use]
    pub fn is(&self, operation: &str) -> bool {
        self.operation == operation
    }

    /// Whether it is this method and path.
    #[must_use]
    pub fn goes_to(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }

    /// Whether the upstream responded with a 2xx.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        matches!(self.end, End::Upstream(status) if (200..300).contains(&status))
    }
}
