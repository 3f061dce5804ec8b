//! Square: `x-square-hmacsha256-signature`, the base64 HMAC of the public URL and the body
//! (<https://developer.squareup.com/docs/webhooks/step3validate>).
//!
//! There is no timestamp. Square tries for 24 hours, always with the body's `event_id`.

use serde_json::Value;

use super::{
    Identity, Refused, Signed, Verified, header,
    key::{self, Key},
    public_url::PublicUrl,
    text,
};

const HEADER: &str = "x-square-hmacsha256-signature";

pub(super) fn verify(url: &PublicUrl, request: &Signed<'_>, keys: &[Key]) -> Result<Verified, Refused> {
    let line = header::only(request.headers, HEADER)?;
    let signature = key::from_base64::<32>(line).ok_or(Refused::Malformed(HEADER))?;
    // Nothing separates URL and body. The body is a JSON object, and the brace that it starts with is no part of a URL.
    let query = request.query()?;
    if query.contains('{') {
        return Err(Refused::Query);
    }
    let url = url.with(query);
    key::find(keys, &[url.as_bytes(), request.body], &[signature])
}

pub(super) fn identity(body: Option<&Value>) -> Identity {
    Identity::signed(text(body, "event_id"), text(body, "type"))
}
