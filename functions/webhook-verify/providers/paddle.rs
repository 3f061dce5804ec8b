//! Paddle Billing: `Paddle-Signature: ts=1700000000;h1=<hex>`, the HMAC of `ts:body`
//! (<https://developer.paddle.com/webhooks/signature-verification>).
//!
//! Paddle's own libraries tolerate five seconds, which is the default here; with slow cold starts or clocks, a source may need more. The event is
//! redelivered for three days, always with the body's `event_id`.

use crate::{Identity, Success, provider::Provider, settings::MacFormat, text, timed::Timed};

pub(super) static PROVIDER: Provider = Provider {
    tolerance: 5,
    success: || Success::Ok,
    ..Provider::new(
        "paddle",
        |_, request, keys, window| FORMAT.verify(MacFormat::SHA256_HEX, request, keys, window),
        |_, body| Identity::new(text(body, "event_id"), text(body, "event_type")),
    )
};

const FORMAT: Timed = Timed {
    header: "paddle-signature",
    separator: ';',
    time: "ts",
    is_signature: |name| name == "h1",
    border: ":",
};
