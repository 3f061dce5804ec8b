//! Convoy's advanced signatures: `X-Convoy-Signature: t=1700000000,v1=<hex>`, the HMAC of `t,body`
//! (<https://www.getconvoy.io/docs/product-manual/signatures>). Convoy's simple signatures use the scheme `hmac`. Hash and encoding are settings
//! of the Convoy project; each change of them adds a version, and all versions sign: `v1=…,v2=…`.
//!
//! Convoy forwards events of other systems, so their ids may be anywhere: set the source's `run_id`.

use super::hmac;
use crate::{provider::Provider, settings::Setting, timed::Timed};

pub(super) static PROVIDER: Provider = Provider {
    settings: &[Setting::Mac],
    key: |settings, secret| settings.mac.key(secret),
    ..Provider::new(
        "convoy-advanced",
        |settings, request, keys, window| FORMAT.verify(settings.mac, request, keys, window),
        hmac::identity,
    )
};

const FORMAT: Timed =
    Timed { header: "x-convoy-signature", separator: ',', time: "t", is_signature: is_version, border: "," };

/// Whether an item is a version: `v1`, `v2` and so on.
fn is_version(name: &str) -> bool {
    name.strip_prefix('v').is_some_and(|version| {
        !version.starts_with('0') && !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit())
    })
}
