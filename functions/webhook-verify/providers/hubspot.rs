//! HubSpot: `X-HubSpot-Signature-v3`, the base64 HMAC of method, URL, body and `X-HubSpot-Request-Timestamp`
//! (<https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation>). The secret is
//! the app's client secret. Older signatures in the same request are ignored.
//!
//! The body is usually an array of events, each with its own run. According to HubSpot, their `eventId` is not unique, so the run id is the
//! digest of the event without its attempt number.

use crate::{
    Identity, Refused, Signed, Verified, header,
    header::Window,
    json,
    key::{self, Key},
    provider::Provider,
    settings::{Setting, Settings},
    text,
};

pub(super) static PROVIDER: Provider = Provider {
    settings: &[Setting::PublicUrl],
    batch: |body| body.as_array().cloned(),
    item_digest: |event| json::digest_of(event, "attemptNumber"),
    fingerprint: |_, request| json::digest_without(request.body, "attemptNumber"),
    ..Provider::new("hubspot", verify, |_, event| Identity::new(None, text(event, "subscriptionType")))
};

const SIGNATURE: &str = "x-hubspot-signature-v3";
const TIMESTAMP: &str = "x-hubspot-request-timestamp";

/// The escapes that HubSpot decodes in a URL before it signs it.
const DECODED: [(&str, &str); 12] = [
    ("%3A", ":"),
    ("%2F", "/"),
    ("%3F", "?"),
    ("%40", "@"),
    ("%21", "!"),
    ("%24", "$"),
    ("%27", "'"),
    ("%28", "("),
    ("%29", ")"),
    ("%2A", "*"),
    ("%2C", ","),
    ("%3B", ";"),
];

fn verify(
    settings: &Settings,
    request: &Signed<'_>,
    keys: &[Key],
    window: Window,
) -> Result<Verified, Refused> {
    let line = header::only(request.headers, SIGNATURE)?;
    let timestamp = header::only(request.headers, TIMESTAMP)?;
    window.check_millis_unseparated(timestamp, Refused::Malformed(TIMESTAMP))?;
    let signature = key::from_base64::<32>(line).ok_or(Refused::Malformed(SIGNATURE))?;
    // Nothing separates URL and body. The body is an array or an object, and its opening bracket can't be part of a URL, so the boundary is
    // unambiguous.
    let query = request.query()?;
    if query.contains(['[', '{']) {
        return Err(Refused::Query);
    }
    if !request.body.starts_with(b"[") && !request.body.starts_with(b"{") {
        return Err(Refused::Body("array"));
    }
    let url = DECODED.iter().fold(settings.public_url()?.with(query), |url, (escape, character)| {
        url.replace(escape, character).replace(&escape.to_lowercase(), character)
    });
    key::find(keys, &[b"POST", url.as_bytes(), request.body, timestamp.as_bytes()], &[signature])
}
