//! Meta (Facebook, Instagram, WhatsApp): `X-Hub-Signature-256: sha256=<hex>`, the HMAC of the body
//! (<https://developers.facebook.com/docs/graph-api/webhooks/getting-started>). GitHub took the header from the same draft,
//! so [`github`] verifies it.
//!
//! The signature covers the exact bytes, with their `\u00e4` and `\/`. There is no timestamp and no id: the body's digest identifies the event,
//! and a body may contain several.

use url::form_urlencoded;

use super::github;
use crate::{Answer, Identity, key::Key, provider::Provider, settings::Setting, text};

/// The type is the object that changed, such as `whatsapp_business_account`.
pub(super) static PROVIDER: Provider = Provider {
    settings: &[Setting::VerifyToken],
    challenge: |request, token| Some(challenge(request.query, token)),
    ..Provider::new(
        "meta",
        |_, request, keys, _| github::FORMAT.verify(request, keys),
        |_, body| Identity::new(None, text(body, "object")),
    )
};

/// Answers `GET ?hub.mode=subscribe&hub.verify_token=…&hub.challenge=…`, sent when the URL is entered: returns the challenge if the token is the
/// source's. This request is not authenticated in any other way. The token is not a signing secret: it is part of a URL, and URLs are logged.
fn challenge(query: &str, expected: Option<&Key>) -> Answer {
    let only = |wanted: &str| {
        let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == wanted);
        values.next().map(|(_, value)| value).filter(|_| values.next().is_none())
    };
    match (only("hub.mode").as_deref(), only("hub.verify_token"), only("hub.challenge")) {
        (Some("subscribe"), Some(token), Some(challenge)) if expected.is_some_and(|key| key.is(&token)) => {
            Answer::text(&challenge)
        }
        _ => Answer::forbidden(),
    }
}
