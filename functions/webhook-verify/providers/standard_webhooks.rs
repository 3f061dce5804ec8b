//! Standard Webhooks: `webhook-id`, `webhook-timestamp` and `webhook-signature`, the base64 HMAC of `id.timestamp.body`
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! The signature is a list, separated by spaces, of `version,base64`; one valid signature is enough. `v1` is HMAC, with a secret `whsec_…`; `v1a`
//! is Ed25519, with a public key `whpk_…`. Svix, which created the scheme, names the same headers `svix-*`, and some senders send both sets; if
//! they differ, the request is refused.

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

/// One set of names for the three headers.
struct Names {
    id: &'static str,
    timestamp: &'static str,
    signature: &'static str,
}

const STANDARD: Names =
    Names { id: "webhook-id", timestamp: "webhook-timestamp", signature: "webhook-signature" };
const SVIX: Names = Names { id: "svix-id", timestamp: "svix-timestamp", signature: "svix-signature" };

impl Names {
    /// The set of headers to use, for the signature and for the id. The sets are never mixed: if any header of the standard's set is present, that
    /// set is used.
    fn of(headers: &HeaderMap) -> &'static Self {
        let standard = [STANDARD.id, STANDARD.timestamp, STANDARD.signature];
        if standard.iter().any(|name| headers.contains_key(*name)) { &STANDARD } else { &SVIX }
    }
}

/// A key without a prefix is a secret.
fn key(secret: &str) -> Result<Key, KeyError> {
    match secret.strip_prefix("whpk_") {
        Some(public) => Key::ed25519_from_base64(public),
        None => Key::sha256_from_base64(secret.strip_prefix("whsec_").unwrap_or(secret)),
    }
}

fn verify(_: &Settings, request: &Signed<'_>, keys: &[Key], window: Window) -> Result<Verified, Refused> {
    let names = Names::of(request.headers);
    // Another program that reads the request may use the other set.
    for (standard, svix) in
        [(STANDARD.id, SVIX.id), (STANDARD.timestamp, SVIX.timestamp), (STANDARD.signature, SVIX.signature)]
    {
        header::same(request.headers, standard, svix)?;
    }
    let id = header::only(request.headers, names.id)?;
    let timestamp = header::only(request.headers, names.timestamp)?;
    let list = header::only(request.headers, names.signature)?;
    // The specification forbids a full stop in an id: it would make the boundary between id, timestamp and body ambiguous. A comma or a space is a
    // sign of two joined lines.
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

/// The signatures of the list, or none if it is malformed. Joined lines are malformed: where they meet, an entry has an additional comma. The
/// signatures' lengths distinguish the two versions: no key makes both.
fn signatures(list: &str) -> Option<Vec<Vec<u8>>> {
    let mut signatures = Vec::new();
    for entry in list.split(' ') {
        match entry.split_once(',')? {
            (_, signature) if signature.contains(',') => return None,
            // A malformed signature can't match, and does not affect the others.
            ("v1", signature) => signatures.extend(key::from_base64::<32>(signature).map(Vec::from)),
            ("v1a", signature) => signatures.extend(key::from_base64::<64>(signature).map(Vec::from)),
            _ => {}
        }
    }
    Some(signatures)
}

/// The id is a signed header; the type is in the body.
fn identity(headers: &HeaderMap, body: Option<&Value>) -> Identity {
    let id = header::text(headers, Names::of(headers).id);
    Identity::new(id, text(body, "type"))
}
