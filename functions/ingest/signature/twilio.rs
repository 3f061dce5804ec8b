//! Twilio: `X-Twilio-Signature`, the base64 HMAC-SHA1 of the public URL and the form's parameters, sorted, names and values
//! joined with nothing between them (<https://www.twilio.com/docs/usage/webhooks/webhooks-security>).
//!
//! Any other body is bound by its SHA-256 in the URL's `bodySHA256`. Some of Twilio's products sign the URL with its port
//! and some without; its own libraries try both. There is no timestamp, and the idempotency token is a header that the
//! signature does not cover: a run is the digest of what was signed.
//!
//! **Nothing separates what is signed.** Whoever sees one webhook can send it again with a parameter hidden in the value of
//! the one before it. That is the same run, but templates see another form.

use std::collections::BTreeSet;

use http::HeaderMap;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use super::{
    Identity, Refused, Signed, Verified, header,
    key::{self, Key},
    public_url::PublicUrl,
    text,
};

const HEADER: &str = "x-twilio-signature";

pub(super) fn verify(url: &PublicUrl, request: &Signed<'_>, keys: &[Key]) -> Result<Verified, Refused> {
    let line = header::only(request.headers, HEADER)?;
    let signature = key::from_base64::<20>(line).ok_or(Refused::Malformed(HEADER))?;
    let (query, parameters) = (request.query()?, parameters(request)?);
    let signed = |url: &String| key::find(keys, &[url.as_bytes(), parameters.as_bytes()], &[signature]).ok();
    url.both_ports_with(query).iter().find_map(signed).ok_or(Refused::Forged)
}

/// Of the signed text, not of the body: the same text is signed for the same parameters in any order or spelling, for a pair
/// sent twice, and for a border between name, value and next name that was moved. Port or no port, it is one webhook.
pub(super) fn fingerprint(url: &PublicUrl, request: &Signed<'_>) -> String {
    let [signed, _] = url.both_ports_with(request.query.unwrap_or_default());
    let parameters = parameters(request).unwrap_or_default();
    hex::encode(Sha256::digest([signed, parameters].concat()))
}

/// What is signed after the URL. Whether that is a form is for the signed URL to say, never for the Content-Type, which
/// isn't signed.
fn parameters(request: &Signed<'_>) -> Result<String, Refused> {
    let query = form_urlencoded::parse(request.query()?.as_bytes());
    let hashes: Vec<_> = query.filter(|(name, _)| name == "bodySHA256").map(|(_, hash)| hash).collect();
    match &hashes[..] {
        [] => Ok(sorted(request.body)),
        [hash] if **hash == hex::encode(Sha256::digest(request.body)) => Ok(String::new()),
        _ => Err(Refused::Forged),
    }
}

/// Twilio's libraries take each pair of name and value once, however often it was sent.
fn sorted(form: &[u8]) -> String {
    let parameters: BTreeSet<_> = form_urlencoded::parse(form).collect();
    parameters.iter().flat_map(|(name, value)| [&**name, &**value]).collect()
}

/// The type of a Conversations event, or else the status of a message or call.
pub(super) fn identity(headers: &HeaderMap, body: Option<&Value>) -> Identity {
    let event_type =
        ["EventType", "MessageStatus", "CallStatus"].into_iter().find_map(|field| text(body, field));
    Identity::unsigned(header::text(headers, "i-twilio-idempotency-token"), event_type.unwrap_or_default())
}
