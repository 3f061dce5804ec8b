//! `hmac`: an HMAC of the body in a header, for senders without a scheme of their own. The source says which header, how it
//! starts, how it is encoded and which hash it takes.

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

/// What our log calls the header.
const KNOWN_AS: &str = "configured";

fn verify(settings: &Settings, request: &Signed<'_>, keys: &[Key], _: Window) -> Result<Verified, Refused> {
    body_mac::verify_in(settings.header()?, KNOWN_AS, &settings.prefix, settings.mac, request, keys)
}

/// Where the id is, only the sender knows: the source's `event_id` or `run_id` says. The type is where most people put it.
pub(super) fn identity(_: &HeaderMap, body: Option<&Value>) -> Identity {
    Identity::new(None, ["type", "event_type", "event"].iter().find_map(|field| text(body, field)))
}
