//! `hmac`: an HMAC of the body in a header, for senders without a scheme of their own. The source configures the header, its prefix, the
//! encoding and the hash.

use http::HeaderMap;
use serde_json::Value;

use crate::{
    Identity, Refused, Signed, Verified, body_mac,
    header::Window,
    key::Key,
    provider::Provider,
    settings::{Setting, Settings},
    text,
};

pub(super) static PROVIDER: Provider = Provider {
    settings: &[Setting::Header, Setting::Prefix, Setting::Mac],
    key: |settings, secret| settings.mac.key(secret),
    ..Provider::new("hmac", verify, identity)
};

/// The header's name in the log.
const KNOWN_AS: &str = "configured";

fn verify(settings: &Settings, request: &Signed<'_>, keys: &[Key], _: Window) -> Result<Verified, Refused> {
    body_mac::verify_in(settings.header()?, KNOWN_AS, &settings.prefix, settings.mac, request, keys)
}

/// The location of the id depends on the sender: set the source's `event_id` or `run_id`. The type is taken from the most common field.
pub(super) fn identity(_: &HeaderMap, body: Option<&Value>) -> Identity {
    Identity::new(None, ["type", "event_type", "event"].iter().find_map(|field| text(body, field)))
}
