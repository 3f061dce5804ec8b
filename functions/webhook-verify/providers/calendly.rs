//! Calendly: `Calendly-Webhook-Signature: t=1700000000,v1=<hex>`, the HMAC of `t.body`
//! (<https://developer.calendly.com/api-docs/overview/webhooks/webhook-signatures>). The tolerance is three minutes, as in its examples.
//!
//! Events have no id, so the body's digest identifies the event.

use crate::{Identity, provider::Provider, settings::MacFormat, text, timed::Timed};

pub(super) static PROVIDER: Provider = Provider {
    tolerance: 180,
    ..Provider::new(
        "calendly",
        |_, request, keys, window| FORMAT.verify(MacFormat::SHA256_HEX, request, keys, window),
        |_, body| Identity::new(None, text(body, "event")),
    )
};

const FORMAT: Timed = Timed {
    header: "calendly-webhook-signature",
    separator: ',',
    time: "t",
    is_signature: |name| name == "v1",
    border: ".",
};
