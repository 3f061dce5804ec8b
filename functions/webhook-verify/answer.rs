//! Answers that providers expect: handshakes, and their own forms of success.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{Key, Scheme};

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The Content-Type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// A GET, which carries no signature.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its query string.
    pub query: &'a str,
}

impl Answer {
    /// For whoever can't show what is asked for, or comes from where the provider never does.
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

/// How a provider is told that its event was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Success {
    /// With any 2xx, so with the one that says most.
    Any,
    /// With 200, whatever the body.
    Ok,
    /// With this and nothing else.
    Only(Answer),
}

/// The answer to a verified request that is no event but asks whether somebody is there. `body` is its JSON and `key` the
/// key that it was verified with.
#[must_use]
pub fn handshake(scheme: &Scheme, body: &Value, key: &Key) -> Option<Answer> {
    (scheme.provider.handshake)(body, key)
}

/// The answer to a GET; `None` if the provider sends none. `token` is what it must show, where it shows one; without one, nobody
/// is answered.
#[must_use]
pub fn challenge(scheme: &Scheme, request: &Asked<'_>, token: Option<&Key>) -> Option<Answer> {
    (scheme.provider.challenge)(request, token)
}

/// How to tell the provider that its event was taken.
#[must_use]
pub fn success(scheme: &Scheme) -> Success {
    (scheme.provider.success)()
}
