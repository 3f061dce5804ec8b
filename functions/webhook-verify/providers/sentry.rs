//! Sentry's integrations: `Sentry-Hook-Signature`, the hex HMAC of the body
//! (<https://docs.sentry.io/organization/integrations/integration-platform/webhooks/>).
//!
//! The secret is the integration's client secret. The request's id, its time and its resource are unsigned headers.

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
    ..Provider::new("sentry", |_, request, keys, _| FORMAT.verify(request, keys), identity)
};

const FORMAT: BodyMac = BodyMac { header: "sentry-hook-signature", prefix: "", mac: MacFormat::SHA256_HEX };

/// The type is the resource and the action: `issue.resolved`.
fn identity(headers: &HeaderMap, body: Option<&Value>) -> Identity {
    let resource = header::text(headers, "sentry-hook-resource").unwrap_or_default();
    let event_type = match text(body, "action") {
        Some(action) if !resource.is_empty() => format!("{resource}.{action}"),
        _ => resource.to_owned(),
    };
    Identity::new(header::text(headers, "request-id"), Some(&event_type))
}
