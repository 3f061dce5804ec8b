//! Square: `x-square-hmacsha256-signature`, the base64 HMAC of the public URL and the body
//! (<https://developer.squareup.com/docs/webhooks/step3validate>).
//!
//! There is no timestamp. Square tries for 24 hours, always with the same `event_id` in the body.

use crate::{
    Identity, Refused, Signed, Verified, header,
    header::Window,
    key::{self, Key},
    provider::Provider,
    settings::{Setting, Settings},
    text,
};

pub(super) static PROVIDER: Provider = Provider {
    settings: &[Setting::PublicUrl],
    ..Provider::new("square", verify, |_, body| Identity::new(text(body, "event_id"), text(body, "type")))
};

const HEADER: &str = "x-square-hmacsha256-signature";

fn verify(settings: &Settings, request: &Signed<'_>, keys: &[Key], _: Window) -> Result<Verified, Refused> {
    let line = header::only(request.headers, HEADER)?;
    let signature = key::from_base64::<32>(line).ok_or(Refused::Malformed(HEADER))?;
    // Nothing separates URL and body. The body is a JSON object, and its opening brace can't be part of a URL, so the boundary is unambiguous.
    let query = request.query()?;
    if query.contains('{') {
        return Err(Refused::Query);
    }
    if !request.body.starts_with(b"{") {
        return Err(Refused::Body("object"));
    }
    let url = settings.public_url()?.with(query);
    key::find(keys, &[url.as_bytes(), request.body], &[signature])
}
