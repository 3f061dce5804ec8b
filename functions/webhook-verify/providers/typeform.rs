//! Typeform: `Typeform-Signature: sha256=<base64>`, the HMAC of the body
//! (<https://www.typeform.com/developers/webhooks/secure-your-webhooks/>).
//!
//! There is no timestamp. A redelivery has the same `event_id`.

use crate::{Identity, body_mac::BodyMac, provider::Provider, settings::MacFormat, text};

pub(super) static PROVIDER: Provider = Provider::new(
    "typeform",
    |_, request, keys, _| FORMAT.verify(request, keys),
    |_, body| Identity::new(text(body, "event_id"), text(body, "event_type")),
);

const FORMAT: BodyMac =
    BodyMac { header: "typeform-signature", prefix: "sha256=", mac: MacFormat::SHA256_BASE64 };
