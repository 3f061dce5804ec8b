//! Shopify: `X-Shopify-Hmac-Sha256`, the base64 HMAC of the body
//! (<https://shopify.dev/docs/apps/build/webhooks/subscribe/https#step-2-validate-the-origin-of-your-webhook>).
//!
//! "Events" are signed in the same way, and their headers have the same names without `X-`
//! (<https://shopify.dev/docs/apps/build/events/verify-deliveries>).
//!
//! Id and topic are unsigned headers, and there is no timestamp. Shopify tries eight times in four hours, with the same id.

use http::HeaderMap;

use crate::{
    Identity, Refused, Signed, Verified,
    body_mac::BodyMac,
    header,
    header::Window,
    key::Key,
    provider::{Provider, THE_BODY},
    settings::{MacFormat, Settings},
};

pub(super) static PROVIDER: Provider =
    Provider { signed: THE_BODY, ..Provider::new("shopify", verify, |headers, _| identity(headers)) };

/// The header names of one form.
struct Names {
    hmac: BodyMac,
    id: &'static str,
    topic: &'static str,
}

const WEBHOOKS: Names = Names {
    hmac: BodyMac { header: "x-shopify-hmac-sha256", prefix: "", mac: MacFormat::SHA256_BASE64 },
    id: "x-shopify-webhook-id",
    topic: "x-shopify-topic",
};
const EVENTS: Names = Names {
    hmac: BodyMac { header: "shopify-hmac-sha256", prefix: "", mac: MacFormat::SHA256_BASE64 },
    id: "shopify-webhook-id",
    topic: "shopify-topic",
};

impl Names {
    fn of(headers: &HeaderMap) -> &'static Self {
        if headers.contains_key(EVENTS.hmac.header) { &EVENTS } else { &WEBHOOKS }
    }
}

fn verify(_: &Settings, request: &Signed<'_>, keys: &[Key], _: Window) -> Result<Verified, Refused> {
    // Another program that reads the request may use the other form.
    for (webhook, event) in
        [(WEBHOOKS.hmac.header, EVENTS.hmac.header), (WEBHOOKS.id, EVENTS.id), (WEBHOOKS.topic, EVENTS.topic)]
    {
        header::same(request.headers, webhook, event)?;
    }
    Names::of(request.headers).hmac.verify(request, keys)
}

fn identity(headers: &HeaderMap) -> Identity {
    let names = Names::of(headers);
    Identity::new(header::text(headers, names.id), header::text(headers, names.topic))
}
