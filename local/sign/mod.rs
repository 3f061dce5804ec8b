//! Signs webhooks as the providers do. Written from their documents, on its own: the functions verify with other code.
//!
//! `scheme` which ways to sign there are · `secret` what is signed with on this machine.

mod scheme;
mod secret;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_dalek::Signer as _;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

pub use self::{
    scheme::{Custom, Scheme},
    secret::Secret,
};
use crate::webhook::Webhook;

/// Headers to send with a body.
pub type Headers = Vec<(String, String)>;

impl Scheme {
    /// Signs a webhook at this time, with what [`Secret`] has to sign with.
    ///
    /// # Errors
    /// The secret, or the body, is not in the scheme's form.
    pub fn sign(&self, secret: &str, mut webhook: Webhook, now: Timestamp) -> Result<Webhook> {
        match self {
            Self::Linear => linear_time(&mut webhook, now)?,
            Self::Mailgun => mailgun(&mut webhook, secret, now)?,
            _ => {}
        }
        let headers = self.headers(secret, &webhook, &now.as_second().to_string())?;
        Ok(headers.into_iter().fold(webhook, |webhook, (name, value)| webhook.with(&name, &value)))
    }

    /// What each provider's page says that it sends. The scheme's own documentation names the page.
    fn headers(&self, secret: &str, webhook: &Webhook, at: &str) -> Result<Headers> {
        let key = secret.as_bytes();
        let (time, body) = (at.as_bytes(), &webhook.body[..]);
        let in_hex = |parts: &[&[u8]]| hex::encode(mac::<Hmac<Sha256>>(key, parts));
        let in_base64 = |parts: &[&[u8]]| BASE64_STANDARD.encode(mac::<Hmac<Sha256>>(key, parts));
        let v0 = || format!("v0={}", in_hex(&[b"v0:", time, b":", body]));
        Ok(match self {
            Self::Stripe => one("stripe-signature", format!("t={at},v1={}", in_hex(&[time, b".", body]))),
            Self::Paddle => one("paddle-signature", format!("ts={at};h1={}", in_hex(&[time, b":", body]))),
            Self::ConvoyAdvanced => {
                one("x-convoy-signature", format!("t={at},v1={}", in_hex(&[time, b",", body])))
            }
            Self::Github | Self::Meta => one("x-hub-signature-256", format!("sha256={}", in_hex(&[body]))),
            Self::Slack => two("x-slack-signature", v0(), "x-slack-request-timestamp", at),
            Self::Zoom => two("x-zm-signature", v0(), "x-zm-request-timestamp", at),
            Self::Shopify => one("x-shopify-hmac-sha256", in_base64(&[body])),
            Self::Square { public_url } => {
                one("x-square-hmacsha256-signature", in_base64(&[public_url.as_bytes(), body]))
            }
            Self::Twilio { public_url } => {
                let signed = [public_url.as_bytes(), &sorted_form(body)];
                one("x-twilio-signature", BASE64_STANDARD.encode(mac::<Hmac<Sha1>>(key, &signed)))
            }
            Self::Linear => one("linear-signature", in_hex(&[body])),
            // It is in the body already.
            Self::Mailgun => Headers::new(),
            Self::Gitlab => one("x-gitlab-token", secret.to_owned()),
            Self::Discord => {
                let signature = secret::ed25519(secret)?.sign(&[time, body].concat());
                let signature = hex::encode(signature.to_bytes());
                two("x-signature-ed25519", signature, "x-signature-timestamp", at)
            }
            Self::Sendgrid => {
                let signature: p256::ecdsa::Signature = secret::p256(secret)?.sign(&[time, body].concat());
                let signature = BASE64_STANDARD.encode(signature.to_der());
                let name = "x-twilio-email-event-webhook-signature";
                two(name, signature, "x-twilio-email-event-webhook-timestamp", at)
            }
            Self::StandardWebhooks => standard_webhooks(secret, webhook, at)?,
            Self::Hmac(custom) => one(&custom.header, custom.sign(key, body)),
        })
    }
}

impl Custom {
    fn sign(&self, key: &[u8], body: &[u8]) -> String {
        let mac = match self.sha512 {
            true => mac::<Hmac<Sha512>>(key, &[body]),
            false => mac::<Hmac<Sha256>>(key, &[body]),
        };
        let text = if self.base64 { BASE64_STANDARD.encode(mac) } else { hex::encode(mac) };
        format!("{}{text}", self.prefix)
    }
}

/// The key is the base64 after `whsec_`, or the private key after `whsk_`. A sender that has Svix's names for the headers
/// keeps them.
fn standard_webhooks(secret: &str, webhook: &Webhook, at: &str) -> Result<Headers> {
    let prefix = if webhook.header("svix-id").is_some() { "svix" } else { "webhook" };
    let id = webhook.header(&format!("{prefix}-id")).unwrap_or("msg_local");
    let signed = [id.as_bytes(), b".", at.as_bytes(), b".", &webhook.body];
    let signature = if secret.starts_with("whsk_") {
        let signature = secret::ed25519(secret)?.sign(&signed.concat());
        format!("v1a,{}", BASE64_STANDARD.encode(signature.to_bytes()))
    } else {
        let key = secret.strip_prefix("whsec_").and_then(|key| BASE64_STANDARD.decode(key).ok());
        let key = key.context("a Standard Webhooks secret is whsec_ and base64")?;
        format!("v1,{}", BASE64_STANDARD.encode(mac::<Hmac<Sha256>>(&key, &signed)))
    };
    Ok(vec![
        (format!("{prefix}-id"), id.to_owned()),
        (format!("{prefix}-timestamp"), at.to_owned()),
        (format!("{prefix}-signature"), signature),
    ])
}

/// Names and values, sorted, each pair once, with nothing between them.
fn sorted_form(body: &[u8]) -> Vec<u8> {
    let mut fields: Vec<_> = url::form_urlencoded::parse(body).collect();
    fields.sort();
    fields.dedup();
    fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()].concat()).collect()
}

/// Linear's time is in the body.
fn linear_time(webhook: &mut Webhook, now: Timestamp) -> Result<()> {
    let old = webhook.json()["webhookTimestamp"].as_i64().context("the body has no webhookTimestamp")?;
    replace(webhook, &old.to_string(), &now.as_millisecond().to_string())
}

/// Mailgun signs the body's time and token, in the body.
fn mailgun(webhook: &mut Webhook, secret: &str, now: Timestamp) -> Result<()> {
    let body = webhook.json();
    let field = |name| body["signature"][name].as_str().with_context(|| format!("no signature.{name}"));
    let (time, token, signature) = (field("timestamp")?, field("token")?, field("signature")?);
    let at = now.as_second().to_string();
    let mac = mac::<Hmac<Sha256>>(secret.as_bytes(), &[at.as_bytes(), token.as_bytes()]);
    replace(webhook, &format!("\"{time}\""), &format!("\"{at}\""))?;
    replace(webhook, signature, &hex::encode(mac))
}

/// In the text, so that all else stays as it is to the byte.
fn replace(webhook: &mut Webhook, old: &str, new: &str) -> Result<()> {
    let body = std::str::from_utf8(&webhook.body).context("the body is no text")?;
    webhook.body = body.replacen(old, new, 1).into();
    Ok(())
}

fn one(name: &str, value: String) -> Headers {
    vec![(name.to_owned(), value)]
}

fn two(name: &str, value: String, time: &str, at: &str) -> Headers {
    vec![(name.to_owned(), value), (time.to_owned(), at.to_owned())]
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}
