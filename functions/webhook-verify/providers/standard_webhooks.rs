//! Standard Webhooks: `webhook-id`, `webhook-timestamp` and `webhook-signature`, the base64 HMAC of `id.timestamp.body`
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! The signature is a list, separated by spaces, of `version,base64`, and any of them may match. `v1` is HMAC, with a secret
//! `whsec_…`; `v1a` is Ed25519, with a public key `whpk_…`. Svix, where the scheme comes from, calls the same headers
//! `svix-*`, and some senders send both sets; where they differ, the request is refused.

use http::HeaderMap;
use serde_json::Value;

use crate::{
    Identity, Refused, Signed, Verified, header,
    header::Window,
    key::{self, Key, KeyError},
    provider::Provider,
    settings::Settings,
    text,
};

pub(super) static PROVIDER: Provider =
    Provider { key: |_, secret| key(secret), ..Provider::new("standard-webhooks", verify, identity) };

/// One name for each of the three headers.
struct Names {
    id: &'static str,
    timestamp: &'static str,
    signature: &'static str,
}

const STANDARD: Names =
    Names { id: "webhook-id", timestamp: "webhook-timestamp", signature: "webhook-signature" };
const SVIX: Names = Names { id: "svix-id", timestamp: "svix-timestamp", signature: "svix-signature" };

impl Names {
    /// The set that counts. Never some of one and some of the other: as soon as one header of the standard's set is there,
    /// that set is it, for the signature and for the id alike.
    fn of(headers: &HeaderMap) -> &'static Self {
        let standard = [STANDARD.id, STANDARD.timestamp, STANDARD.signature];
        if standard.iter().any(|name| headers.contains_key(*name)) { &STANDARD } else { &SVIX }
    }
}

/// Without a prefix it is a secret.
fn key(secret: &str) -> Result<Key, KeyError> {
    match secret.strip_prefix("whpk_") {
        Some(public) => Key::ed25519_from_base64(public),
        None => Key::sha256_from_base64(secret.strip_prefix("whsec_").unwrap_or(secret)),
    }
}

fn verify(_: &Settings, request: &Signed<'_>, keys: &[Key], window: Window) -> Result<Verified, Refused> {
    let names = Names::of(request.headers);
    // Another program may go by the other set.
    for (standard, svix) in
        [(STANDARD.id, SVIX.id), (STANDARD.timestamp, SVIX.timestamp), (STANDARD.signature, SVIX.signature)]
    {
        header::same(request.headers, standard, svix)?;
    }
    let id = header::only(request.headers, names.id)?;
    let timestamp = header::only(request.headers, names.timestamp)?;
    let list = header::only(request.headers, names.signature)?;
    // The specification forbids a full stop in an id: it would let the border between id, timestamp and body move.
    // A comma or a space is what joining two lines leaves.
    let legal = |c: char| c.is_ascii_graphic() && !matches!(c, '.' | ',');
    if id.is_empty() || !id.chars().all(legal) {
        return Err(Refused::Malformed(names.id));
    }
    window.check(timestamp, Refused::Malformed(names.timestamp))?;
    let signatures = signatures(list).ok_or(Refused::Malformed(names.signature))?;
    if signatures.len() > header::MAX_SIGNATURES {
        return Err(Refused::TooMany(names.signature));
    }
    key::find(keys, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", request.body], &signatures)
}

/// The signatures of the list, or nothing if it is no such list. Joined lines are none: where they meet, an entry has a
/// comma too many. Their lengths keep the two versions apart: no key makes both.
fn signatures(list: &str) -> Option<Vec<Vec<u8>>> {
    let mut signatures = Vec::new();
    for entry in list.split(' ') {
        match entry.split_once(',')? {
            (_, signature) if signature.contains(',') => return None,
            // One that can't be read can't match, and takes nothing from its neighbours.
            ("v1", signature) => signatures.extend(key::from_base64::<32>(signature).map(Vec::from)),
            ("v1a", signature) => signatures.extend(key::from_base64::<64>(signature).map(Vec::from)),
            _ => {}
        }
    }
    Some(signatures)
}

/// The id is a header and signed; the type is the body's.
fn identity(headers: &HeaderMap, body: Option<&Value>) -> Identity {
    let id = header::text(headers, Names::of(headers).id);
    Identity::new(id, text(body, "type"))
}
