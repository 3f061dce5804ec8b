//! Paddle Billing: `Paddle-Signature: ts=1700000000;h1=<hex>`, the HMAC of `ts:body`
//! (<https://developer.paddle.com/webhooks/signature-verification>).
//!
//! Paddle's own libraries tolerate five seconds, and so do we unless the source says otherwise: a start or a clock that is
//! slow may need more. The event is redelivered for three days, always under the body's `event_id`.

use serde_json::Value;

use super::{Identity, text, timed::Timed};

pub(super) const FORMAT: Timed =
    Timed { header: "paddle-signature", separator: ';', time: "ts", signature: "h1", border: ":" };

pub(super) fn identity(body: Option<&Value>) -> Identity {
    Identity::signed(text(body, "event_id"), text(body, "event_type"))
}
