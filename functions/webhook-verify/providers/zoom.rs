//! Zoom: `x-zm-signature: v0=<hex>`, the HMAC of `v0:timestamp:body`
//! (<https://developers.zoom.us/docs/api/webhooks/#verify-webhook-events>).
//!
//! Events have no id, so the body's digest identifies the event.

use serde_json::{Value, json};

use crate::{Answer, Identity, Success, key::Key, provider::Provider, text, v0::V0};

pub(super) static PROVIDER: Provider = Provider {
    handshake,
    success: || Success::Ok,
    ..Provider::new(
        "zoom",
        |_, request, keys, window| FORMAT.verify(request, keys, window),
        |_, body| Identity::new(None, text(body, "event")),
    )
};

const FORMAT: V0 = V0 { signature: "x-zm-signature", timestamp: "x-zm-request-timestamp" };

/// Answers `endpoint.url_validation`, sent when the URL is entered and every 72 hours: returns the plain token with its HMAC.
///
/// Events are signed with the same key in the same way, so an attacker who could choose the token could get events signed. So only a verified
/// request gets a response, and only for a token that can't be part of a `v0:timestamp:body` text.
fn handshake(body: &Value, key: &Key) -> Option<Answer> {
    if text(Some(body), "event") != Some("endpoint.url_validation") {
        return None;
    }
    let plain = text(body.get("payload"), "plainToken")?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if plain.len() > 128 || !plain.bytes().all(legal) {
        return None;
    }
    Some(Answer::json(&json!({ "plainToken": plain, "encryptedToken": key.sign(plain)? })))
}
