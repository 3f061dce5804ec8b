//! SendGrid's event webhook: `X-Twilio-Email-Event-Webhook-Signature`, the base64 ECDSA signature (P-256, SHA-256, DER) of
//! `X-Twilio-Email-Event-Webhook-Timestamp` and the body
//! (<https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features>).
//! The secret is the public key that SendGrid shows.
//!
//! The body is an array of events, each with its own id, and ends with CR LF, which is signed as well.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    Identity, Refused, Signed, Verified, header,
    header::Window,
    key::{self, Key},
    provider::Provider,
    settings::Settings,
    text,
};

/// Ids and types are those of single events.
pub(super) static PROVIDER: Provider = Provider {
    batch: |body| body.as_array().cloned(),
    key: |_, public| Key::p256_from_base64(public),
    ..Provider::new("sendgrid", verify, |_, event| {
        Identity::new(text(event, "sg_event_id"), text(event, "event"))
    })
};

const SIGNATURE: &str = "x-twilio-email-event-webhook-signature";
const TIMESTAMP: &str = "x-twilio-email-event-webhook-timestamp";

fn verify(_: &Settings, request: &Signed<'_>, keys: &[Key], window: Window) -> Result<Verified, Refused> {
    let line = header::only(request.headers, SIGNATURE)?;
    let timestamp = header::only(request.headers, TIMESTAMP)?;
    window.check_unseparated(timestamp, Refused::Malformed(TIMESTAMP))?;
    let signature = STANDARD.decode(line).map_err(|_| Refused::Malformed(SIGNATURE))?;
    key::find(keys, &[timestamp.as_bytes(), request.body], &[signature])
}
