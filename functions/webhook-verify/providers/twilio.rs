//! Twilio: `X-Twilio-Signature`, the base64 HMAC-SHA1 of the public URL and the form's parameters, sorted, with names and values concatenated
//! (<https://www.twilio.com/docs/usage/webhooks/webhooks-security>).
//!
//! A webhook rule with a shared key uses HMAC-SHA256; `X-Twilio-Webhooks-Signature-Settings` says so
//! (<https://github.com/twilio/twilio-node/blob/main/examples/WebhookSignatureValidation.md>). That header is not signed, but
//! it only selects one of two MACs, and both need the secret.
//!
//! Any other body is signed through its SHA-256 in the URL's `bodySHA256`. Some of Twilio's products sign the URL with its port and some without;
//! its own libraries try both. There is no timestamp, and the idempotency token is an unsigned header: the run id is the digest of the signed
//! text.
//!
//! **The signed parts have no separators.** Anyone who sees one webhook can send it again with a parameter hidden in the previous one's value.
//! That is the same run, but templates see another form.

use std::collections::BTreeSet;

use http::{HeaderMap, StatusCode};
use ring::digest::{SHA256, digest};
use serde_json::Value;
use url::form_urlencoded;

use crate::{
    Answer, Identity, Refused, Signed, Success, Verified, header,
    header::Window,
    key::{self, Key},
    provider::Provider,
    settings::{Setting, Settings},
    text,
};

/// Any other body is signed through its hash, so `event` is signed. The boundaries within a form are not.
pub(super) static PROVIDER: Provider = Provider {
    signed: &["event", "digest"],
    settings: &[Setting::PublicUrl],
    key: |_, secret| Key::sha1_or_sha256(secret),
    fingerprint,
    may_be_json: |request| request.query.is_some_and(|query| !body_hashes(query).is_empty()),
    // A body would be interpreted as TwiML.
    success: || Success::Only(Answer { status: StatusCode::NO_CONTENT, ..Answer::text("") }),
    ..Provider::new("twilio", verify, identity)
};

const HEADER: &str = "x-twilio-signature";
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";

fn verify(settings: &Settings, request: &Signed<'_>, keys: &[Key], _: Window) -> Result<Verified, Refused> {
    let line = header::only(request.headers, HEADER)?;
    let signature = match &*algorithm(request.headers)? {
        "HMAC_SHA1" => key::from_base64::<20>(line).map(Vec::from),
        "HMAC_SHA256" => key::from_base64::<32>(line).map(Vec::from),
        _ => return Err(Refused::Malformed(SETTINGS)),
    };
    let signature = signature.ok_or(Refused::Malformed(HEADER))?;
    let (query, parameters) = (request.query()?, parameters(request)?);
    let signed = |url: &String| key::find(keys, &[url.as_bytes(), parameters.as_bytes()], &[&signature]).ok();
    settings.public_url()?.both_ports_with(query).iter().find_map(signed).ok_or(Refused::Forged)
}

/// Parses `key=<id>,algorithm=<name>`, as leniently as Twilio's libraries; but two joined lines have two algorithms.
fn algorithm(headers: &HeaderMap) -> Result<String, Refused> {
    let line = if headers.contains_key(SETTINGS) { header::only(headers, SETTINGS)? } else { "" };
    let items = line.split(',').filter_map(|item| item.split_once('='));
    let names: Vec<_> =
        items.filter(|(name, _)| name.trim() == "algorithm").map(|(_, name)| name.trim()).collect();
    match names[..] {
        [] => Ok("HMAC_SHA1".to_owned()),
        [name] => Ok(name.to_ascii_uppercase()),
        _ => Err(Refused::Malformed(SETTINGS)),
    }
}

/// Digest of the signed text, not of the body: parameters in any order or encoding, repeated pairs, and moved boundaries between names and values
/// all have the same signed text. The URL with and without its port is the same webhook.
fn fingerprint(settings: &Settings, request: &Signed<'_>) -> String {
    let query = request.query.unwrap_or_default();
    let signed = settings.public_url().map(|url| url.both_ports_with(query));
    let [signed, _] = signed.unwrap_or_default();
    let parameters = parameters(request).unwrap_or_default();
    hex::encode(digest(&SHA256, [signed, parameters].concat().as_bytes()))
}

/// The signed text after the URL. Whether it is a form is determined by the signed URL, never by the unsigned Content-Type.
fn parameters(request: &Signed<'_>) -> Result<String, Refused> {
    let query = request.query()?;
    match &body_hashes(query)[..] {
        [] => Ok(sorted(request.body)),
        [hash] if *hash == hex::encode(digest(&SHA256, request.body)) && query.ends_with(hash) => {
            Ok(String::new())
        }
        _ => Err(Refused::Forged),
    }
}

/// The hashes in a query. Twilio writes one, at the very end. A form that is replayed as part of the query could contain text that looks like
/// a hash.
fn body_hashes(query: &str) -> Vec<String> {
    let parameters = form_urlencoded::parse(query.as_bytes());
    parameters.filter(|(name, _)| name == "bodySHA256").map(|(_, hash)| hash.into_owned()).collect()
}

/// The form's parameters, sorted. Twilio's libraries use each pair of name and value once, however often it was sent.
fn sorted(form: &[u8]) -> String {
    let parameters: BTreeSet<_> = form_urlencoded::parse(form).collect();
    parameters.iter().flat_map(|(name, value)| [&**name, &**value]).collect()
}

/// The type of a Conversations event, or else the status of a message or call.
fn identity(headers: &HeaderMap, body: Option<&Value>) -> Identity {
    let event_type =
        ["EventType", "MessageStatus", "CallStatus"].into_iter().find_map(|field| text(body, field));
    Identity::new(header::text(headers, "i-twilio-idempotency-token"), event_type)
}
