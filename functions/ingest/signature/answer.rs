//! What a provider wants to hear: handshakes, and successes of its own.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Key, Scheme, discord, meta, slack, zoom};

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

impl Answer {
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
    match scheme {
        Scheme::Slack => slack::handshake(body),
        Scheme::Zoom => zoom::handshake(body, key),
        Scheme::Discord => discord::handshake(body),
        _ => None,
    }
}

/// The answer to a GET, which carries no signature; `None` if the provider sends none. `query` is its query string and `token`
/// what it must show; without one, nobody is answered.
#[must_use]
pub fn challenge(scheme: &Scheme, query: &str, token: Option<&Key>) -> Option<Answer> {
    match scheme {
        Scheme::Meta => Some(meta::challenge(query, token)),
        _ => None,
    }
}

/// How to tell the provider that its event was taken.
#[must_use]
pub fn success(scheme: &Scheme) -> Success {
    match scheme {
        // Any body would be TwiML.
        Scheme::Twilio(_) => Success::Only(Answer { status: StatusCode::NO_CONTENT, ..Answer::text("") }),
        // Any body would be shown to whoever gave the command.
        Scheme::Slack => Success::Only(Answer::text("")),
        // An interaction is answered with one: this one promises that more will come.
        Scheme::Discord => Success::Only(Answer::json(&json!({ "type": 5 }))),
        Scheme::Zoom | Scheme::Mailgun | Scheme::Paddle => Success::Ok,
        _ => Success::Any,
    }
}
