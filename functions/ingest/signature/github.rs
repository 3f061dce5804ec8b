//! GitHub: `X-Hub-Signature-256: sha256=<hex>`, the HMAC of the body
//! (<https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>).
//!
//! The delivery's id and the event's name are headers that the signature does not cover, and there is no timestamp. GitHub
//! never redelivers by itself; by hand it does, with the same id.

use http::HeaderMap;
use serde_json::Value;

use super::{
    Identity, Refused, Signed, Verified, header,
    key::{self, Key},
    text,
};

const HEADER: &str = "x-hub-signature-256";

pub(super) fn verify(request: &Signed<'_>, keys: &[Key]) -> Result<Verified, Refused> {
    let line = header::only(request.headers, HEADER)?;
    // Two lines that were joined are longer than a signature.
    let signature = line.strip_prefix("sha256=").and_then(key::from_hex::<32>);
    key::find(keys, &[request.body], &[signature.ok_or(Refused::Malformed(HEADER))?])
}

/// The type is the event's name and, where the body has one, its action: `push`, `issues.opened`.
pub(super) fn identity(headers: &HeaderMap, body: Option<&Value>) -> Identity {
    let event = header::text(headers, "x-github-event").unwrap_or_default();
    let event_type = match text(body, "action") {
        Some(action) if !event.is_empty() => format!("{event}.{action}"),
        _ => event.to_owned(),
    };
    Identity::unsigned(header::text(headers, "x-github-delivery"), &event_type)
}
