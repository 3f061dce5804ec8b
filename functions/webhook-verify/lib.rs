//! Whether a webhook comes from who it says, and which event it is.
//!
//! ```text
//! scheme · settings   a scheme by its name in webhooks.toml, with what a source sets
//! provider            what is known about one provider
//! providers           the registry: one file per provider
//! key                 a prepared secret; HMAC, Ed25519 and ECDSA, strict hex and base64
//! certificate         RSA signatures by a certificate's key
//! location            the URLs of SNS that may be asked
//! header              exactly one line, canonical timestamps, the window
//! json                JSON that is read before it is known to be genuine
//! public_url          the URL as the provider knows it
//! answer              handshakes, and the successes that providers expect
//! body_mac · timed · v0   ways to sign that several providers share
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

/// What a provider signs: a request as it was sent.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// All of them.
    pub headers: &'a HeaderMap,
    /// The raw query string, with nothing decoded; empty if there is none. `None` if its bytes are not known.
    pub query: Option<&'a str>,
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
    #[error("the {0} header is missing")]
    Missing(&'static str),
    /// A header that the scheme needs is there more than once.
    #[error("the {0} header is repeated")]
    Repeated(&'static str),
    /// A header does not read as the provider writes it.
    #[error("the {0} header is malformed")]
    Malformed(&'static str),
    /// Two forms of one header are there, and they differ.
    #[error("the {0} header differs from its other form")]
    Contradicted(&'static str),
    /// More signatures than any provider sends, each of which would have to be checked.
    #[error("the {0} header has more than {max} signatures", max = header::MAX_SIGNATURES)]
    TooMany(&'static str),
    /// The body lacks a field that the scheme needs, or has it in another form.
    #[error("the body has no {0} as the provider writes it")]
    Body(&'static str),
    /// A URL was signed, and the event does not tell the query as it was sent.
    #[error("this kind of event does not tell such a query as it was sent; HTTP APIs and function URLs do")]
    UnknownQuery,
    /// The query is none that could have been signed.
    #[error("the query is malformed")]
    Query,
    /// The source lacks a setting that the scheme needs.
    #[error("the source has no {0}")]
    Unconfigured(&'static str),
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

/// Which event a webhook is about. Only ask of one that has been verified; [`Scheme::signed`] says whether these names are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The provider's name for the event, the same for every redelivery; `None` if it gave none.
    pub event_id: Option<String>,
    /// The provider's name for the kind of event; empty if it gave none.
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

/// Checks a webhook's signature against each of `keys`. `tolerance` is how far its timestamp may be from `now_unix`
/// (seconds since 1970) either way, for the schemes that have one; [`Scheme`] says which.
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

/// A digest of what the signature covers: the same for everything that passes for one and the same signed webhook.
#[must_use]
pub fn fingerprint(scheme: &Scheme, request: &Signed<'_>) -> String {
    (scheme.provider.fingerprint)(&scheme.settings, request)
}

/// Where the certificate is by which a request says that it is signed; `None` for schemes without certificates. It is a place that
/// a stranger can not choose.
///
/// # Errors
/// [`Refused`], if no certificate can make it genuine.
pub fn certificate(scheme: &Scheme, request: &Signed<'_>) -> Result<Option<Location>, Refused> {
    (scheme.provider.certificate)(&scheme.settings, request)
}

/// What to ask for a verified request that wants a subscription confirmed.
#[must_use]
pub fn confirmation(scheme: &Scheme, body: &Value) -> Option<Location> {
    (scheme.provider.confirmation)(&scheme.settings, body)
}

/// What templates see of a verified JSON body: what the signature covers.
#[must_use]
pub fn event(scheme: &Scheme, body: Value) -> Value {
    (scheme.provider.event)(body)
}

/// Whether the body of a verified request may be read as JSON.
#[must_use]
pub fn may_be_json(scheme: &Scheme, request: &Signed<'_>) -> bool {
    (scheme.provider.may_be_json)(request)
}

/// Reads which event a verified webhook is about. `body` is the body as JSON, where it is JSON, or a form's fields as a JSON
/// object.
#[must_use]
pub fn identity(scheme: &Scheme, headers: &HeaderMap, body: Option<&Value>) -> Identity {
    (scheme.provider.identity)(headers, body)
}

/// A text in an object, if it is there and is not empty.
fn text<'a>(object: Option<&'a Value>, field: &str) -> Option<&'a str> {
    object?.get(field)?.as_str().filter(|text| !text.is_empty())
}

/// The example in `README.md`, run.
#[cfg(doctest)]
#[doc = include_str!("README.md")]
struct Readme;
