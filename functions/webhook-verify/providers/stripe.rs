//! Stripe: `Stripe-Signature: t=1700000000,v1=<hex>`, the HMAC of `t.body`
//! (<https://docs.stripe.com/webhooks#verify-manually>).
//!
//! `v0` is a test scheme, and ignored. The event is redelivered for three days, always with the same `id` in the body.

use crate::{Identity, provider::Provider, settings::MacFormat, text, timed::Timed};

pub(super) static PROVIDER: Provider = Provider::new(
    "stripe",
    |_, request, keys, window| FORMAT.verify(MacFormat::SHA256_HEX, request, keys, window),
    |_, body| Identity::new(text(body, "id"), text(body, "type")),
);

const FORMAT: Timed = Timed {
    header: "stripe-signature",
    separator: ',',
    time: "t",
    is_signature: |name| name == "v1",
    border: ".",
};
