//! GitHub: `X-Hub-Signature-256: sha256=<hex>`, the HMAC of the body
//! (<https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>).
//!
//! The delivery's id and the event's name are unsigned headers, and there is no timestamp. GitHub never redelivers automatically; a manual
//! redelivery has the same id.

use http::HeaderMap;
use serde_json::Value;

use crate::{
    Identity,
    body_mac::BodyMac,
    header,
    provider::{Provider, THE_BODY},
    settings::MacFormat,
    text,
};

pub(super) static PROVIDER: Provider = Provider {
    signed: THE_BODY,
    ..Provider::new("github", |_, request, keys, _| FORMAT.verify(request, keys), identity)
};

pub(super) const FORMAT: BodyMac =
    BodyMac { header: "x-hub-signature-256", prefix: "sha256=", mac: MacFormat::SHA256_HEX };

/// The type is the event's name and the body's action, if there is one: `push`, `issues.opened`.
fn identity(headers: &HeaderMap, body: Option<&Value>) -> Identity {
    let event = header::text(headers, "x-github-event").unwrap_or_default();
    let event_type = match text(body, "action") {
        Some(action) if !event.is_empty() => format!("{event}.{action}"),
        _ => event.to_owned(),
    };
    Identity::new(header::text(headers, "x-github-delivery"), Some(&event_type))
}
