//! Intercom: `X-Hub-Signature: sha1=<hex>`, the HMAC-SHA1 of the body
//! (<https://developers.intercom.com/docs/webhooks>).
//!
//! The secret is the app's client secret. There is no timestamp. A redelivery has the same `id`.

use crate::{Identity, body_mac::BodyMac, key::Key, provider::Provider, settings::MacFormat, text};

pub(super) static PROVIDER: Provider = Provider {
    key: |_, secret| Key::sha1(secret),
    ..Provider::new(
        "intercom",
        |_, request, keys, _| FORMAT.verify(request, keys),
        |_, body| Identity::new(text(body, "id"), text(body, "topic")),
    )
};

const FORMAT: BodyMac = BodyMac { header: "x-hub-signature", prefix: "sha1=", mac: MacFormat::SHA1_HEX };
