//! Shopify: `X-Shopify-Hmac-Sha256`, the base64 HMAC of the body
//! (<https://shopify.dev/docs/apps/build/webhooks/subscribe/https#step-2-validate-the-origin-of-your-webhook>).
//!
//! Id and topic are headers that the signature does not cover, and there is no timestamp. Shopify tries eight times in four
//! hours, with the same id.

use http::HeaderMap;

use crate::ingest::signature::{
    Identity,
    body_mac::BodyMac,
    header,
    provider::{Provider, THE_BODY},
    settings::MacFormat,
};

pub(super) static PROVIDER: Provider = Provider {
    signed: THE_BODY,
    ..Provider::new(
        "shopify",
        |_, request, keys, _| FORMAT.verify(request, keys),
        |headers, _| identity(headers),
    )
};

const FORMAT: BodyMac =
    BodyMac { header: "x-shopify-hmac-sha256", prefix: "", mac: MacFormat::SHA256_BASE64 };

fn identity(headers: &HeaderMap) -> Identity {
    let id = header::text(headers, "x-shopify-webhook-id");
    Identity::new(id, header::text(headers, "x-shopify-topic"))
}
