//! DocuSign Connect: `X-DocuSign-Signature-1`, the base64 HMAC of the body, and `-2`, `-3` and so on for each further key of the
//! account (<https://developers.docusign.com/platform/webhooks/connect/validate/>). One valid signature is enough.
//!
//! There is no timestamp and no id. A redelivery has the same body with another `retryCount`, so the run id is the digest of the body without
//! that field.

use crate::{
    Identity, Refused, Signed, Verified,
    header::Window,
    json,
    key::{self, Key},
    provider::Provider,
    settings::{MacFormat, Settings},
    text,
};

pub(super) static PROVIDER: Provider = Provider {
    fingerprint: |_, request| json::digest_without(request.body, "retryCount"),
    ..Provider::new("docusign", verify, |_, body| Identity::new(None, text(body, "event")))
};

const FIRST: &str = "x-docusign-signature-1";
/// An account has up to a hundred keys.
const KEYS: u8 = 100;

fn verify(_: &Settings, request: &Signed<'_>, keys: &[Key], _: Window) -> Result<Verified, Refused> {
    let mut signatures = Vec::new();
    let mut seen = false;
    for number in 1..=KEYS {
        let mut lines = request.headers.get_all(format!("x-docusign-signature-{number}")).iter();
        let Some(line) = lines.next() else { continue };
        if lines.next().is_some() {
            return Err(Refused::Repeated(FIRST));
        }
        seen = true;
        // A malformed signature can't match, and does not affect the others.
        signatures.extend(line.to_str().ok().and_then(|line| MacFormat::SHA256_BASE64.decode(line)));
    }
    if !seen {
        return Err(Refused::Missing(FIRST));
    }
    key::find(keys, &[request.body], &signatures)
}
