//! Responses that providers expect: to handshakes, and as a success.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{Key, Scheme};

/// A complete response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The Content-Type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// A GET request, which has no signature.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its query string.
    pub query: &'a str,
}

impl Answer {
    /// The response to a request without the expected token, or from an address that the provider does not use.
    #[must_use]
    pub fn forbidden() -> Self {
        Self { status: StatusCode::FORBIDDEN, ..Self::text("") }
    }

    pub(super) fn text(body: &str) -> Self {
        Self { status: StatusCode::OK, content_type: "text/plain", body: body.to_owned() }
    }

    pub(super) fn json(body: &Value) -> Self {
        Self { status: StatusCode::OK, content_type: "application/json", body: body.to_string() }
    }
}

/// The response that a provider accepts as a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Success {
    /// Any 2xx, so the caller can choose the most informative one.
    Any,
    /// 200, with any body.
    Ok,
    /// Exactly this response.
    Only(Answer),
}

/// The response to a verified request that is a handshake and not an event. `body` is its JSON, and `key` is the key that verified it.
#[must_use]
pub fn handshake(scheme: &Scheme, body: &Value, key: &Key) -> Option<Answer> {
    (scheme.provider.handshake)(body, key)
}

/// The response to a GET; `None` if the provider sends none. For providers that send a token, the request must contain `token`, and is
/// refused if that is `None`.
#[must_use]
pub fn challenge(scheme: &Scheme, request: &Asked<'_>, token: Option<&Key>) -> Option<Answer> {
    (scheme.provider.challenge)(request, token)
}

/// The response that the provider accepts as a success.
#[must_use]
pub fn success(scheme: &Scheme) -> Success {
    (scheme.provider.success)()
}
