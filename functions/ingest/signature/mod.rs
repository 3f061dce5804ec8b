//! Whether a webhook comes from who it says, and which event it is.
//!
//! ```text
//! scheme   which schemes there are
//! key      a prepared secret; HMAC in constant time, strict hex and base64
//! header   one line or none, canonical timestamps, the window
//! stripe · github · standard_webhooks      a provider's rules each
//! ```
//!
//! Everything here is pure: headers, bytes, keys and the clock go in, an answer comes out. The rules that all schemes keep:
//!
//! * The raw bytes are verified, before anything is parsed; they need not be text.
//! * Nothing fails open. A blank secret and an unknown scheme are errors at start; no keys verify nothing.
//! * What is signed is compared in constant time and decoded strictly: what two programs could read differently is refused.
//! * A header that is there twice is refused. API Gateway's payload 2.0 joins such lines with commas
//!   (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>), so each
//!   scheme also refuses what that makes of its headers.
//! * [`Refused`] is for our log. Whoever sent the webhook learns that it was refused and no more.

mod github;
mod header;
mod key;
mod scheme;
mod standard_webhooks;
mod stripe;
#[cfg(test)]
mod tests;

use std::time::Duration;

use lambda_http::http::HeaderMap;
use serde_json::Value;

pub use self::{
    key::{Key, KeyError},
    scheme::{Scheme, UnknownScheme},
};

/// What a provider signs: a request's headers, and its body as it was sent.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// All of them.
    pub headers: &'a HeaderMap,
    /// The raw bytes, with API Gateway's base64 undone.
    pub body: &'a [u8],
}

/// A signature holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Which of the keys made it, so that one can tell when an old secret is no longer in use.
    pub key_index: usize,
}

/// Why a signature does not hold. For our log only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A header that the scheme needs is not there.
    #[error("there is no {0} header")]
    Missing(&'static str),
    /// A header that the scheme needs is there more than once.
    #[error("there are several {0} headers")]
    Repeated(&'static str),
    /// A header does not read as the provider writes it.
    #[error("the {0} header is malformed")]
    Malformed(&'static str),
    /// Signed too long ago, or too far in the future.
    #[error("signed at {signed_at}, which is outside the tolerated window")]
    OutsideWindow {
        /// When it says that it was signed, in seconds since 1970.
        signed_at: i64,
    },
    /// No key makes any of the signatures.
    #[error("no secret makes this signature")]
    Forged,
}

/// Which event a webhook is about. Only ask of one that has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider's name for the event, the same for every redelivery; `None` if it gave none.
    pub event_id: Option<String>,
    /// Whether the signature covers the name and the type. Where it doesn't, whoever has seen one webhook can send it again
    /// under another name, and what is derived from the name must also depend on the body.
    pub authenticated: bool,
    /// The provider's name for the kind of event; empty if it gave none.
    pub event_type: String,
}

/// Checks a webhook's signature against each of `keys`. `tolerance` is how far its timestamp may be from `now_unix`
/// (seconds since 1970) either way, for the schemes that have one; [`Scheme`] says which.
///
/// # Errors
/// [`Refused`], with the reason.
pub fn verify(
    scheme: Scheme,
    request: &Signed<'_>,
    keys: &[Key],
    tolerance: Duration,
    now_unix: i64,
) -> Result<Verified, Refused> {
    let window = header::Window { tolerance, now_unix };
    match scheme {
        Scheme::Stripe => stripe::verify(request, keys, window),
        Scheme::Github => github::verify(request, keys),
        Scheme::StandardWebhooks => standard_webhooks::verify(request, keys, window),
    }
}

/// Reads which event a verified webhook is about. `body` is the body as JSON, where it is JSON.
#[must_use]
pub fn identity(scheme: Scheme, headers: &HeaderMap, body: Option<&Value>) -> Identity {
    match scheme {
        Scheme::Stripe => stripe::identity(body),
        Scheme::Github => github::identity(headers, body),
        Scheme::StandardWebhooks => standard_webhooks::identity(headers, body),
    }
}

/// A text in the body's outermost object, if it is one and is not empty.
fn text<'a>(body: Option<&'a Value>, field: &str) -> Option<&'a str> {
    body?.get(field)?.as_str().filter(|text| !text.is_empty())
}
