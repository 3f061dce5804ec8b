//! Meta (Facebook, Instagram, WhatsApp): `X-Hub-Signature-256: sha256=<hex>`, the HMAC of the body
//! (<https://developers.facebook.com/docs/graph-api/webhooks/getting-started>). GitHub took the header from the same draft,
//! so [`github`] checks it.
//!
//! It is over exactly the bytes sent, with their `\u00e4` and `\/`. There is no timestamp, and no id: the body says which
//! event it is, and may hold several.

use url::form_urlencoded;

use super::github;
use crate::{Answer, Identity, key::Key, provider::Provider, settings::Setting, text};

/// The type is what changed, such as `whatsapp_business_account`.
pub(super) static PROVIDER: Provider = Provider {
    settings: &[Setting::VerifyToken],
    challenge: |request, token| Some(challenge(request.query, token)),
    ..Provider::new(
        "meta",
        |_, request, keys, _| github::FORMAT.verify(request, keys),
        |_, body| Identity::new(None, text(body, "object")),
    )
};

/// `GET ?hub.mode=subscribe&hub.verify_token=…&hub.challenge=…`, when the URL is entered: the challenge, back again, if the
/// token is the source's. Nothing else vouches for this request. The token is no secret that signs: it stands in a URL, and
/// URLs are logged.
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
