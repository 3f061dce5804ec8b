//! Stripe: `Stripe-Signature: t=1700000000,v1=<hex>`, the HMAC of `t.body`
//! (<https://docs.stripe.com/webhooks#verify-manually>).
//!
//! While a secret is rolled there is a `v1` for each, and any of them will do. `v0` is a test scheme, and ignored. The event
//! is redelivered for three days, always under the body's `id`.

use serde_json::Value;

use super::{
    Identity, Refused, Signed, Verified, header,
    header::Window,
    key::{self, Key},
    text,
};

const HEADER: &str = "stripe-signature";

pub(super) fn verify(request: &Signed<'_>, keys: &[Key], window: Window) -> Result<Verified, Refused> {
    let malformed = Refused::Malformed(HEADER);
    let line = header::only(request.headers, HEADER)?;
    // Stripe writes no spaces; a joined line may have one after its comma, which would hide the second `t`.
    if line.contains(|c: char| !c.is_ascii_graphic()) {
        return Err(malformed);
    }
    let mut timestamps = Vec::new();
    let mut signatures = Vec::new();
    for item in line.split(',') {
        match item.split_once('=').ok_or(malformed)? {
            ("t", seconds) => timestamps.push(seconds),
            // One that can't be read can't match, and takes nothing from its neighbours.
            ("v1", hex) => signatures.extend(key::from_hex(hex)),
            _ => {}
        }
    }
    // Two lines that were joined have two.
    let [timestamp] = timestamps[..] else { return Err(malformed) };
    window.check(timestamp, HEADER)?;
    key::find(keys, &[timestamp.as_bytes(), b".", request.body], &signatures)
}

pub(super) fn identity(body: Option<&Value>) -> Identity {
    Identity {
        event_id: text(body, "id").map(str::to_owned),
        authenticated: true,
        event_type: text(body, "type").unwrap_or_default().to_owned(),
    }
}
