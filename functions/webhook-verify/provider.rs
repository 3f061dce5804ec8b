//! What is known about one provider: how it signs, what the signature covers, and what it expects to be answered.

use std::fmt;

use http::HeaderMap;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    Answer, Asked, Identity, Refused, Signed, Success, Verified,
    header::Window,
    key::{Key, KeyError},
    location::Location,
    settings::{Setting, Settings},
};

/// Every name of a template that a signature can cover.
pub(super) const EVERYTHING: &[&str] = &["event_id", "event_type", "event", "form", "digest"];
/// The body is signed; the event's id and type are headers, which are not.
pub(super) const THE_BODY: &[&str] = &["event", "form", "digest"];

/// One provider. Its file builds on [`Provider::new`] and says what is different.
pub(super) struct Provider {
    /// The scheme's name in `webhooks.toml`.
    pub(super) name: &'static str,
    /// The names of templates that the signature covers. Whoever has seen one webhook can change all others.
    pub(super) signed: &'static [&'static str],
    /// The fields of a source that only this scheme has.
    pub(super) settings: &'static [Setting],
    /// Seconds by which the signed time may be off, unless the source says otherwise: as in the provider's own library.
    pub(super) tolerance: u64,
    /// The events of a body that may hold several, each with a run of its own; `None` if it is one event.
    pub(super) batch: fn(&Value) -> Option<Vec<Value>>,
    /// Digest of one event of a batch: the same when it is delivered again.
    pub(super) item_digest: fn(&Value) -> String,
    /// Prepares a secret.
    pub(super) key: fn(&Settings, &str) -> Result<Key, KeyError>,
    /// Checks a signature.
    pub(super) verify: Verify,
    /// Where the certificate of a request is.
    pub(super) certificate: fn(&Settings, &Signed<'_>) -> Result<Option<Location>, Refused>,
    /// What to ask for a verified body that wants a subscription confirmed.
    pub(super) confirmation: fn(&Settings, &Value) -> Option<Location>,
    /// What templates see of a verified JSON body.
    pub(super) event: fn(Value) -> Value,
    /// Digest of what is signed, where that is not the body.
    pub(super) fingerprint: fn(&Settings, &Signed<'_>) -> String,
    /// Whether a body that is valid JSON was signed as such. Twilio signs a form by what it says, and JSON by its bytes.
    pub(super) may_be_json: fn(&Signed<'_>) -> bool,
    /// Finds id and type of an event.
    pub(super) identity: fn(&HeaderMap, Option<&Value>) -> Identity,
    /// Answers a verified POST that is no event.
    pub(super) handshake: fn(&Value, &Key) -> Option<Answer>,
    /// Answers a GET, given the token that it must show.
    pub(super) challenge: fn(&Asked<'_>, Option<&Key>) -> Option<Answer>,
    /// How to answer an event.
    pub(super) success: fn() -> Success,
}

/// Checks a signature, given the source's settings, the request, the keys, and the clock.
pub(super) type Verify = fn(&Settings, &Signed<'_>, &[Key], Window) -> Result<Verified, Refused>;

impl Provider {
    /// A provider that signs with HMAC-SHA256, under a secret whose text is the key, and signs all of the event.
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
            item_digest: |item| hex::encode(Sha256::digest(item.to_string())),
            key: |_, secret| Key::sha256(secret),
            verify,
            certificate: |_, _| Ok(None),
            confirmation: |_, _| None,
            event: |body| body,
            fingerprint: |_, request| hex::encode(Sha256::digest(request.body)),
            may_be_json: |_| true,
            identity,
            handshake: |_, _| None,
            challenge: |_, _| None,
            success: || Success::Any,
        }
    }
}

/// A scheme has one name, and each name is there once.
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
