//! Okta's event hooks: the secret itself in a header, `Authorization` unless the hook names another
//! (<https://developer.okta.com/docs/concepts/event-hooks/>).
//!
//! **Nothing is signed.** Anyone who sees one webhook has the secret, and can send any content. The body contains several events, each with its
//! own run.

use http::{HeaderMap, header::AUTHORIZATION};
use serde_json::json;

use crate::{
    Answer, Identity, Refused, Signed, Verified, header,
    header::Window,
    key::Key,
    provider::Provider,
    settings::{Setting, Settings},
    text,
};

pub(super) static PROVIDER: Provider = Provider {
    signed: &[],
    settings: &[Setting::TokenHeader],
    batch: |body| body.get("data")?.get("events")?.as_array().cloned(),
    challenge: |request, _| Some(challenge(request.headers)),
    ..Provider::new("okta", verify, |_, event| Identity::new(text(event, "uuid"), text(event, "eventType")))
};

/// The header's name in the log.
const KNOWN_AS: &str = "authorization";
const CHALLENGE: &str = "x-okta-verification-challenge";

fn verify(settings: &Settings, request: &Signed<'_>, keys: &[Key], _: Window) -> Result<Verified, Refused> {
    let name = settings.header.as_ref().unwrap_or(&AUTHORIZATION);
    let token = header::only_as(request.headers, name, KNOWN_AS)?;
    let key_index = keys.iter().position(|key| key.is(token)).ok_or(Refused::Forged)?;
    Ok(Verified { key_index })
}

/// Returns the header's value when the URL is entered. The request is not authenticated, and gets back only what it sent.
fn challenge(headers: &HeaderMap) -> Answer {
    match header::text(headers, CHALLENGE).filter(|value| value.len() <= 512) {
        Some(value) => Answer::json(&json!({ "verification": value })),
        None => Answer::forbidden(),
    }
}
