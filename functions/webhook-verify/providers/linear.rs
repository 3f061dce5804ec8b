//! Linear: `Linear-Signature`, the hex HMAC of the body
//! (<https://linear.app/developers/webhooks#securing-webhooks>).
//!
//! The time is the body's `webhookTimestamp`, in milliseconds, which is signed; the header `Linear-Timestamp` is not, and neither is the
//! delivery's id. Linear's timeout is five seconds, and it tries three times.

use http::HeaderMap;
use serde_json::Value;

use crate::{
    Identity, Refused, Signed, Verified,
    body_mac::BodyMac,
    header,
    header::Window,
    json,
    key::Key,
    provider::Provider,
    settings::{MacFormat, Settings},
    text,
};

pub(super) static PROVIDER: Provider = Provider {
    signed: &["event_type", "event", "form", "digest"],
    tolerance: 60,
    // A redelivery, signed again with a new time, is the same event.
    fingerprint: |_, request| json::digest_without(request.body, TIMESTAMP),
    ..Provider::new("linear", verify, identity)
};

const FORMAT: BodyMac = BodyMac { header: "linear-signature", prefix: "", mac: MacFormat::SHA256_HEX };
const TIMESTAMP: &str = "webhookTimestamp";

fn verify(_: &Settings, request: &Signed<'_>, keys: &[Key], window: Window) -> Result<Verified, Refused> {
    let verified = FORMAT.verify(request, keys)?;
    let body: Option<Value> = serde_json::from_slice(request.body).ok();
    let signed_at = body.and_then(|body| body.get(TIMESTAMP)?.as_i64()).ok_or(Refused::Body(TIMESTAMP))?;
    window.check_millis(signed_at)?;
    Ok(verified)
}

/// The type is the object's type and the action: `Comment.create`.
fn identity(headers: &HeaderMap, body: Option<&Value>) -> Identity {
    let thing = text(body, "type").unwrap_or_default();
    let event_type = match text(body, "action") {
        Some(action) if !thing.is_empty() => format!("{thing}.{action}"),
        _ => thing.to_owned(),
    };
    Identity::new(header::text(headers, "linear-delivery"), Some(&event_type))
}
