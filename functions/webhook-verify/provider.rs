//! The properties of one provider: its signature, what the signature covers, and the responses that it expects.

use std::fmt;

use http::HeaderMap;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::{
    Answer, Asked, Identity, Refused, Signed, Success, Verified,
    header::Window,
    key::{Key, KeyError},
    location::Location,
    settings::{Setting, Settings},
};

/// All template names that a signature can cover.
pub(super) const EVERYTHING: &[&str] = &["event_id", "event_type", "event", "form", "digest"];
/// The body is signed; the event's id and type are unsigned headers.
pub(super) const THE_BODY: &[&str] = &["event", "form", "digest"];

/// A provider. Its file starts from [`Provider::new`] and sets what is different.
pub(super) struct Provider {
    /// The scheme's name in `webhooks.toml`.
    pub(super) name: &'static str,
    /// The template names that the signature covers. Anyone who has seen one webhook can replay it with other
    /// values of all other names.
    pub(super) signed: &'static [&'static str],
    /// The source fields that this scheme uses.
    pub(super) settings: &'static [Setting],
    /// Default tolerance of the signed time in seconds: as in the provider's own library.
    pub(super) tolerance: u64,
    /// The events of a body that may contain several, each with its own run; `None` if it is one event.
    pub(super) batch: fn(&Value) -> Option<Vec<Value>>,
    /// Digest of one event of a batch: the same at a redelivery.
    pub(super) item_digest: fn(&Value) -> String,
    /// Prepares a key from a secret.
    pub(super) key: fn(&Settings, &str) -> Result<Key, KeyError>,
    /// Verifies a signature.
    pub(super) verify: Verify,
    /// The location of a request's certificate.
    pub(super) certificate: fn(&Settings, &Signed<'_>) -> Result<Option<Location>, Refused>,
    /// The location that confirms a subscription, for a verified body that asks for it.
    pub(super) confirmation: fn(&Settings, &Value) -> Option<Location>,
    /// A verified JSON body as templates see it, if the signature does not cover all of it.
    pub(super) event: Option<fn(Value) -> Value>,
    /// Digest of the signed content, if that is not the body.
    pub(super) fingerprint: fn(&Settings, &Signed<'_>) -> String,
    /// Whether a valid JSON body was signed as JSON. Twilio signs a form by its fields, and JSON by its bytes.
    pub(super) may_be_json: fn(&Signed<'_>) -> bool,
    /// Finds the id and type of an event.
    pub(super) identity: fn(&HeaderMap, Option<&Value>) -> Identity,
    /// The response to a verified POST that is a handshake.
    pub(super) handshake: fn(&Value, &Key) -> Option<Answer>,
    /// The response to a GET, given the token that it must contain.
    pub(super) challenge: fn(&Asked<'_>, Option<&Key>) -> Option<Answer>,
    /// The response that counts as a success.
    pub(super) success: fn() -> Success,
}

/// Verifies a signature, with the source's settings, the request, the keys, and the time window.
pub(super) type Verify = fn(&Settings, &Signed<'_>, &[Key], Window) -> Result<Verified, Refused>;

impl Provider {
    /// A provider that signs the whole event with HMAC-SHA256, with the secret's text as the key.
    pub(super) const fn new(
        name: &'static str,
        verify: Verify,
        identity: fn(&HeaderMap, Option<&Value>) -> Identity,
    ) -> Self {
        Self {
            name,
            signed: EVERYTHING,
            settings: &[],
            tolerance: 300,
            batch: |_| None,
            item_digest: |item| hex::encode(digest(&SHA256, item.to_string().as_bytes())),
            key: |_, secret| Key::sha256(secret),
            verify,
            certificate: |_, _| Ok(None),
            confirmation: |_, _| None,
            event: None,
            fingerprint: |_, request| hex::encode(digest(&SHA256, request.body)),
            may_be_json: |_| true,
            identity,
            handshake: |_, _| None,
            challenge: |_, _| None,
            success: || Success::Any,
        }
    }
}

/// Names are unique.
impl PartialEq for Provider {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Provider {}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
