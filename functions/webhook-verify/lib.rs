//! Verifies webhooks by their providers' signature schemes, and identifies their events.
//!
//! ```text
//! scheme · settings   a scheme by its name in webhooks.toml, with a source's settings
//! provider            the properties of one provider
//! providers           the registry: one file per provider
//! key                 a prepared secret; HMAC, Ed25519 and ECDSA, strict hex and base64
//! certificate         RSA signatures by a certificate's key
//! location            the URLs of SNS that may be requested
//! header              exactly one line, canonical timestamps, the tolerance window
//! json                JSON that is parsed before it is verified
//! public_url          the URL that the provider called
//! answer              responses to handshakes, and the successes that providers expect
//! body_mac · timed · v0   signature formats that several providers share
//! ```
//!
//! Everything here is pure: headers, bytes, keys and the time go in, a result comes out. All schemes follow these rules:
//!
//! * The raw bytes are verified before anything is parsed; they need not be text.
//! * Nothing fails open. A blank secret and an unknown scheme are errors at start; without keys nothing is verified.
//! * Signatures are compared in constant time and decoded strictly: ambiguous encodings are refused.
//! * A repeated header is refused. API Gateway's payload 2.0 joins repeated lines with commas
//!   (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>), so each
//!   scheme also refuses its headers in that joined form.
//! * [`Refused`] is for the log. The sender learns only that the webhook was refused.

mod answer;
mod body_mac;
mod certificate;
mod header;
mod json;
mod key;
mod location;
mod provider;
mod providers;
mod public_url;
mod scheme;
mod settings;
#[cfg(test)]
mod tests;
mod timed;
mod v0;

use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

pub use self::{
    answer::{Answer, Asked, Success, challenge, handshake, success},
    key::{Key, KeyError},
    location::{Location, NotATopic, Topic},
    public_url::{NotPublic, PublicUrl},
    scheme::{Scheme, UnknownScheme},
    settings::{Algorithm, Encoding, MacFormat, Setting, Settings},
};

/// The signed parts of a request, as it was sent.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The raw query string, not decoded; empty if there is none. `None` if its exact bytes are not known.
    pub query: Option<&'a str>,
    /// The raw body, with API Gateway's base64 decoded.
    pub body: &'a [u8],
}

/// A valid signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The index of the key that verified it. It shows when an old secret is no longer in use.
    pub key_index: usize,
}

/// Why a signature is not valid. Only for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A required header is missing.
    #[error("the {0} header is missing")]
    Missing(&'static str),
    /// A required header is repeated.
    #[error("the {0} header is repeated")]
    Repeated(&'static str),
    /// A header is not in the provider's format.
    #[error("the {0} header is malformed")]
    Malformed(&'static str),
    /// Two names of the same header have different values.
    #[error("the {0} header differs from its other form")]
    Contradicted(&'static str),
    /// More signatures than any provider sends; each would have to be checked.
    #[error("the {0} header has more than {max} signatures", max = header::MAX_SIGNATURES)]
    TooMany(&'static str),
    /// A required field of the body is missing, or not in the provider's format.
    #[error("the body's {0} is missing, or not in the provider's format")]
    Body(&'static str),
    /// The URL was signed, but the event does not contain the query's exact bytes.
    #[error("the query is signed, and this kind of event changes it; HTTP APIs and function URLs do not")]
    UnknownQuery,
    /// The query could not have been signed.
    #[error("the query is malformed")]
    Query,
    /// The source lacks a required setting.
    #[error("the source has no {0}")]
    Unconfigured(&'static str),
    /// The timestamp is too far in the past or in the future.
    #[error("signed at {signed_at}, which is outside the tolerated window")]
    OutsideWindow {
        /// The signed time, in seconds since 1970.
        signed_at: i64,
    },
    /// None of the signatures matches any key.
    #[error("no secret of the source has made this signature")]
    Forged,
}

/// An event's identity. Use it only for a verified webhook; [`Scheme::signed`] says whether these values are signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The provider's id of the event, the same for every redelivery; `None` if there is none.
    pub event_id: Option<String>,
    /// The provider's type of the event; empty if there is none.
    pub event_type: String,
}

impl Signed<'_> {
    fn query(&self) -> Result<&str, Refused> {
        self.query.ok_or(Refused::UnknownQuery)
    }
}

impl Identity {
    fn new(event_id: Option<&str>, event_type: Option<&str>) -> Self {
        Self { event_id: event_id.map(str::to_owned), event_type: event_type.unwrap_or_default().to_owned() }
    }
}

/// Verifies a webhook's signature with each of `keys`. `tolerance` is the maximum difference between its timestamp and `now_unix` (seconds since
/// 1970), in both directions, for schemes with a timestamp; see [`Scheme::tolerance`].
///
/// # Errors
/// [`Refused`], with the reason.
pub fn verify(
    scheme: &Scheme,
    request: &Signed<'_>,
    keys: &[Key],
    tolerance: Duration,
    now_unix: i64,
) -> Result<Verified, Refused> {
    let window = header::Window { tolerance, now_unix };
    (scheme.provider.verify)(&scheme.settings, request, keys, window)
}

/// A digest of the signed content: the same for every request that verifies as the same signed webhook.
#[must_use]
pub fn fingerprint(scheme: &Scheme, request: &Signed<'_>) -> String {
    (scheme.provider.fingerprint)(&scheme.settings, request)
}

/// The location of the certificate that a request names; `None` for schemes without certificates. An attacker can't choose the location.
///
/// # Errors
/// [`Refused`], if no certificate can make the request valid.
pub fn certificate(scheme: &Scheme, request: &Signed<'_>) -> Result<Option<Location>, Refused> {
    (scheme.provider.certificate)(&scheme.settings, request)
}

/// The location that confirms a subscription, if a verified request asks for that.
#[must_use]
pub fn confirmation(scheme: &Scheme, body: &Value) -> Option<Location> {
    (scheme.provider.confirmation)(&scheme.settings, body)
}

/// A verified JSON body as templates see it: only what the signature covers.
#[must_use]
pub fn event(scheme: &Scheme, body: Value) -> Value {
    match scheme.provider.event {
        Some(event) => event(body),
        None => body,
    }
}

/// Whether the body of a verified request may be parsed as JSON.
#[must_use]
pub fn may_be_json(scheme: &Scheme, request: &Signed<'_>) -> bool {
    (scheme.provider.may_be_json)(request)
}

/// The identity of a verified webhook's event. `body` is the body as JSON, if it is JSON, or a form's fields as a JSON object. Objects that are
/// more than two levels deep are not looked at, here and in [`handshake`] and [`confirmation`].
#[must_use]
pub fn identity(scheme: &Scheme, headers: &HeaderMap, body: Option<&Value>) -> Identity {
    (scheme.provider.identity)(headers, body)
}

/// A string field of an object, if it is present and not empty.
fn text<'a>(object: Option<&'a Value>, field: &str) -> Option<&'a str> {
    object?.get(field)?.as_str().filter(|text| !text.is_empty())
}

/// Compiles and runs the example in `README.md`.
#[cfg(doctest)]
#[doc = include_str!("README.md")]
struct Readme;
