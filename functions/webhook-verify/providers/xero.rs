//! Xero: `x-xero-signature`, the base64 HMAC of the body
//! (<https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/>).
//!
//! The body is a list of events, each with its own run. They have no id. Each has its own timestamp, and the request has none. "Intent to
//! receive", sent when the URL is entered, is a list without events: Xero expects 200 if its signature is valid and 401 if not, as for any
//! webhook.

use serde_json::Value;

use crate::{Answer, Identity, Success, body_mac::BodyMac, provider::Provider, settings::MacFormat, text};

pub(super) static PROVIDER: Provider = Provider {
    batch: events,
    // Xero requires an empty body in a success.
    success: || Success::Only(Answer::text("")),
    ..Provider::new("xero", |_, request, keys, _| FORMAT.verify(request, keys), |_, event| identity(event))
};

const FORMAT: BodyMac = BodyMac { header: "x-xero-signature", prefix: "", mac: MacFormat::SHA256_BASE64 };

fn events(body: &Value) -> Option<Vec<Value>> {
    match body.get("events")? {
        Value::Array(events) => Some(events.clone()),
        Value::Null => Some(Vec::new()),
        _ => None,
    }
}

/// The type is the object's category and the action: `INVOICE.UPDATE`.
fn identity(event: Option<&Value>) -> Identity {
    let parts = [text(event, "eventCategory"), text(event, "eventType")];
    Identity::new(None, parts.into_iter().collect::<Option<Vec<_>>>().map(|parts| parts.join(".")).as_deref())
}
