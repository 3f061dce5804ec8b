//! Mailgun: a signature in the body, the hex HMAC of its timestamp and token
//! (<https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks>).
//!
//! **The event itself is not signed.** A signature only proves that Mailgun once sent this token: anyone who sees one webhook can send other
//! content with it, until the tolerance window closes. But all of it is the same run, because the token identifies the run.

use ring::digest::{SHA256, digest};
use serde_json::Value;

use crate::{
    Identity, Refused, Signed, Success, Verified,
    header::Window,
    json,
    key::{self, Key},
    provider::Provider,
    settings::Settings,
    text,
};

pub(super) static PROVIDER: Provider = Provider {
    signed: &["event_id", "digest"],
    fingerprint: |_, request| fingerprint(request),
    success: || Success::Ok,
    ..Provider::new("mailgun", verify, |_, body| identity(body))
};

const SIGNATURE: Refused = Refused::Body("signature");

fn verify(_: &Settings, request: &Signed<'_>, keys: &[Key], window: Window) -> Result<Verified, Refused> {
    // The body must be parsed before it can be verified.
    let body = json::unambiguous(request.body).ok_or(SIGNATURE)?;
    let fields = body.get("signature");
    let field = |name| text(fields, name).ok_or(SIGNATURE);
    let (timestamp, token) = (field("timestamp")?, field("token")?);
    window.check_unseparated(timestamp, SIGNATURE)?;
    let signature = key::from_hex::<32>(field("signature")?).ok_or(SIGNATURE)?;
    key::find(keys, &[timestamp.as_bytes(), token.as_bytes()], &[signature])
}

/// Digest of the token and its time: everything that is sent with them is the same webhook.
fn fingerprint(request: &Signed<'_>) -> String {
    let body: Value = serde_json::from_slice(request.body).unwrap_or_default();
    let field = |name| text(body.get("signature"), name).unwrap_or_default();
    hex::encode(digest(&SHA256, [field("timestamp"), field("token")].concat().as_bytes()))
}

/// The token is signed, the type is not.
fn identity(body: Option<&Value>) -> Identity {
    let [signature, event] = ["signature", "event-data"].map(|name| body.and_then(|body| body.get(name)));
    Identity::new(text(signature, "token"), text(event, "event"))
}
