//! Shopify: `X-Shopify-Hmac-Sha256`, the base64 HMAC of the body
//! (<https://shopify.dev/docs/apps/build/webhooks/subscribe/https#step-2-validate-the-origin-of-your-webhook>).
//!
//! Id and topic are headers that the signature does not cover, and there is no timestamp. Shopify tries eight times in four
//! hours, with the same id.

use http::HeaderMap;

use super::{
    Identity, Refused, Signed, Verified, header,
    key::{self, Key},
};

const HEADER: &str = "x-shopify-hmac-sha256";

pub(super) fn verify(request: &Signed<'_>, keys: &[Key]) -> Result<Verified, Refused> {
    let line = header::only(request.headers, HEADER)?;
    let signature = key::from_base64::<32>(line).ok_or(Refused::Malformed(HEADER))?;
    key::find(keys, &[request.body], &[signature])
}

pub(super) fn identity(headers: &HeaderMap) -> Identity {
    let topic = header::text(headers, "x-shopify-topic").unwrap_or_default();
    Identity::unsigned(header::text(headers, "x-shopify-webhook-id"), topic)
}
