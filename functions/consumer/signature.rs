//! Signs calls as Standard Webhooks, so that the third party can verify their sender and time
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use ring::{
    digest::{SHA256, digest},
    hmac::{HMAC_SHA256, Key, sign},
};

pub(super) const ID: HeaderName = HeaderName::from_static("webhook-id");
pub(super) const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
pub(super) const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

const PREFIX: &str = "whsec_";

/// A secret that can't be used for signing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not whsec_ and base64; while rotating, several with spaces or commas between them")]
pub(super) struct NotASecret;

/// The three signature headers of a call with this idempotency key and body. Each secret makes one signature, and the third party accepts any
/// of them.
pub(super) fn headers(
    secrets: &str,
    idempotency_key: &str,
    now: Timestamp,
    body: &[u8],
) -> Result<[(HeaderName, HeaderValue); 3], NotASecret> {
    let (id, at) = (webhook_id(idempotency_key), now.as_second().to_string());
    let signed = [id.as_bytes(), b".", at.as_bytes(), b".", body].concat();
    let signature = |key: &Key| format!("v1,{}", BASE64_STANDARD.encode(sign(key, &signed)));
    let signatures: Vec<_> = keys(secrets)?.iter().map(signature).collect();
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| NotASecret);
    let mut signature = value(&signatures.join(" "))?;
    signature.set_sensitive(true);
    Ok([(ID, value(&id)?), (TIMESTAMP, value(&at)?), (SIGNATURE, signature)])
}

/// The webhook id for an idempotency key. The specification forbids a full stop in an id, since it would make the boundary between id, timestamp
/// and body ambiguous. Verifiers that follow it refuse a comma as well.
fn webhook_id(idempotency_key: &str) -> String {
    if idempotency_key.contains(['.', ',']) {
        return format!("sha256-{}", hex::encode(digest(&SHA256, idempotency_key.as_bytes())));
    }
    idempotency_key.to_owned()
}

fn keys(secrets: &str) -> Result<Vec<Key>, NotASecret> {
    let key = |secret: &str| {
        let key = BASE64_STANDARD.decode(secret.strip_prefix(PREFIX)?).ok().filter(|key| !key.is_empty())?;
        Some(Key::new(HMAC_SHA256, &key))
    };
    let secrets = secrets.split([' ', ',', '\t', '\r', '\n']).filter(|secret| !secret.is_empty());
    let keys: Vec<_> = secrets.map(|secret| key(secret).ok_or(NotASecret)).collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(NotASecret) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn texts(secrets: &str, key: &str, body: &[u8]) -> Result<[String; 3], NotASecret> {
        let headers = headers(secrets, key, Timestamp::from_second(1_614_265_330).unwrap(), body)?;
        Ok(headers.map(|(_, value)| value.to_str().unwrap().to_owned()))
    }

    /// Svix's own example (<https://docs.svix.com/receiving/verifying-payloads/how-manual>), which the Standard Webhooks libraries use in their
    /// tests, too.
    #[test]
    fn the_published_example_is_signed_as_published() {
        let [id, at, signature] =
            texts(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#).unwrap();
        assert_eq!((&*id, &*at), ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"));
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn several_secrets_make_several_signatures_in_their_order() {
        let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let of = |secrets: &str| texts(secrets, "k", b"{}").unwrap()[2].clone();
        let both = format!("{} {}", of(other), of(SECRET));
        assert_eq!(of(&format!("{other},{SECRET}")), both);
        assert_eq!(of(&format!(" {other}\n, {SECRET}\n")), both);
    }

    #[test]
    fn an_id_holds_no_full_stop() {
        let of = |key: &str| texts(SECRET, key, b"").unwrap()[0].clone();
        assert_eq!(of("run:step:k"), "run:step:k");
        let digest = of("stripe.evt_1:step:k");
        assert!(digest.starts_with("sha256-") && digest.len() == 71, "{digest}");
        assert_ne!(digest, of("stripe.evt_2:step:k"));
    }

    #[test]
    fn what_is_no_secret_signs_nothing() {
        for secrets in ["", ", ", "whsec_", "whsec_!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_b2xk plain"]
        {
            assert_eq!(texts(secrets, "k", b"{}"), Err(NotASecret), "{secrets:?}");
        }
    }
}
