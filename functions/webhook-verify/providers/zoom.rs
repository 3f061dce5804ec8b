//! Zoom: `x-zm-signature: v0=<hex>`, the HMAC of `v0:timestamp:body`
//! (<https://developers.zoom.us/docs/api/webhooks/#verify-webhook-events>).
//!
//! Events have no id, so the body says which event it is.

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

/// `endpoint.url_validation`, when the URL is entered and every 72 hours: the plain token, back again with its HMAC.
///
/// The same key makes events' signatures in the same way, so whoever could choose the token could have events signed.
/// That is why only a verified request gets an answer, and only a token in which nothing of `v0:timestamp:body` fits.
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
