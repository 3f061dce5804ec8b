//! Zendesk: `X-Zendesk-Webhook-Signature`, the base64 HMAC of `X-Zendesk-Webhook-Signature-Timestamp` and the body
//! (<https://developer.zendesk.com/documentation/webhooks/verifying/>).
//!
//! Webhooks that are subscribed to events have an id and a type in the body. Webhooks of triggers and automations have a custom body.

use crate::{
    Identity, Refused, Signed, Verified, header,
    header::Window,
    key::{self, Key},
    provider::Provider,
    settings::Settings,
    text,
};

pub(super) static PROVIDER: Provider =
    Provider::new("zendesk", verify, |_, body| Identity::new(text(body, "id"), text(body, "type")));

const SIGNATURE: &str = "x-zendesk-webhook-signature";
const TIMESTAMP: &str = "x-zendesk-webhook-signature-timestamp";

fn verify(_: &Settings, request: &Signed<'_>, keys: &[Key], window: Window) -> Result<Verified, Refused> {
    let line = header::only(request.headers, SIGNATURE)?;
    let timestamp = header::only(request.headers, TIMESTAMP)?;
    window.check_rfc3339(timestamp, Refused::Malformed(TIMESTAMP))?;
    let signature = key::from_base64::<32>(line).ok_or(Refused::Malformed(SIGNATURE))?;
    key::find(keys, &[timestamp.as_bytes(), request.body], &[signature])
}
