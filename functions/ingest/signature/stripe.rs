//! Stripe: `Stripe-Signature: t=1700000000,v1=<hex>`, the HMAC of `t.body`
//! (<https://docs.stripe.com/webhooks#verify-manually>).
//!
//! `v0` is a test scheme, and ignored. The event is redelivered for three days, always under the body's `id`.

use serde_json::Value;

use super::{Identity, text, timed::Timed};

pub(super) const FORMAT: Timed =
    Timed { header: "stripe-signature", separator: ',', time: "t", signature: "v1", border: "." };

pub(super) fn identity(body: Option<&Value>) -> Identity {
    Identity::signed(text(body, "id"), text(body, "type"))
}
