//! Signs webhooks as the providers do. Written from their documents, on its own: the functions verify with other code.

use anyhow::{Context, Result, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

/// Headers to send with a body.
pub type Headers = Vec<(String, String)>;

/// A way to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `Stripe-Signature`.
    Stripe,
    /// `X-Hub-Signature-256`.
    Github,
    /// `webhook-signature`.
    StandardWebhooks,
}

impl Scheme {
    /// By the name that `webhooks.toml` uses.
    ///
    /// # Errors
    /// It is not one that can be signed here.
    pub fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "stripe" => Self::Stripe,
            "github" => Self::Github,
            "standard-webhooks" => Self::StandardWebhooks,
            other => bail!("scheme {other:?} can't be signed here; stripe, github and standard-webhooks can"),
        })
    }

    /// The headers that sign this body at this time. `id` is the message's id, which only Standard Webhooks signs.
    ///
    /// # Errors
    /// The secret is not in the scheme's form.
    pub fn sign(self, secret: &str, id: &str, body: &[u8], now: Timestamp) -> Result<Headers> {
        match self {
            Self::Stripe => Ok(stripe(secret, body, now)),
            Self::Github => Ok(github(secret, body)),
            Self::StandardWebhooks => standard_webhooks(secret, id, body, now),
        }
    }
}

/// <https://docs.stripe.com/webhooks#verify-manually>: the whole `whsec_...` text is the key.
#[must_use]
pub fn stripe(secret: &str, body: &[u8], now: Timestamp) -> Headers {
    let at = now.as_second();
    let mac = hex::encode(sha256(secret.as_bytes(), &[at.to_string().as_bytes(), b".", body]));
    vec![header("stripe-signature", format!("t={at},v1={mac}"))]
}

/// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
#[must_use]
pub fn github(secret: &str, body: &[u8]) -> Headers {
    let mac = hex::encode(sha256(secret.as_bytes(), &[body]));
    vec![header("x-hub-signature-256", format!("sha256={mac}"))]
}

/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>: the key is the base64
/// after `whsec_`.
///
/// # Errors
/// The secret is not that.
pub fn standard_webhooks(secret: &str, id: &str, body: &[u8], now: Timestamp) -> Result<Headers> {
    let key = secret.strip_prefix("whsec_").and_then(|key| BASE64_STANDARD.decode(key).ok());
    let key = key.context("a Standard Webhooks secret is whsec_ and base64")?;
    let at = now.as_second().to_string();
    let mac = BASE64_STANDARD.encode(sha256(&key, &[id.as_bytes(), b".", at.as_bytes(), b".", body]));
    Ok(vec![
        header("webhook-id", id.to_owned()),
        header("webhook-timestamp", at),
        header("webhook-signature", format!("v1,{mac}")),
    ])
}

fn header(name: &str, value: String) -> (String, String) {
    (name.to_owned(), value)
}

fn sha256(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in GitHub's documentation.
    #[test]
    fn github_as_published() {
        let headers = github("It's a Secret to Everybody", b"Hello, World!");
        assert_eq!(headers[0].1, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    }

    /// The example of the Standard Webhooks specification's libraries.
    #[test]
    fn standard_webhooks_as_published() {
        let now = Timestamp::from_second(1_614_265_330).unwrap();
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let headers =
            standard_webhooks(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#, now)
                .unwrap();
        assert_eq!(headers[2].1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
