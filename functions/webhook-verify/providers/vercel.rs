//! Vercel: `x-vercel-signature`, the hex HMAC-SHA1 of the body
//! (<https://vercel.com/docs/webhooks/webhooks-api#securing-webhooks>).
//!
//! There is no timestamp. A redelivery has the same `id`.

use crate::{Identity, body_mac::BodyMac, key::Key, provider::Provider, settings::MacFormat, text};

pub(super) static PROVIDER: Provider = Provider {
    key: |_, secret| Key::sha1(secret),
    ..Provider::new(
        "vercel",
        |_, request, keys, _| FORMAT.verify(request, keys),
        |_, body| Identity::new(text(body, "id"), text(body, "type")),
    )
};

const FORMAT: BodyMac = BodyMac { header: "x-vercel-signature", prefix: "", mac: MacFormat::SHA1_HEX };
