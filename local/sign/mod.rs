//! Signs webhooks as the providers do. Written from their documentation, independently of the code that verifies.
//!
//! `scheme` the signature schemes · `secret` the secrets for this machine.

mod scheme;
mod secret;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_dalek::Signer as _;
use hmac::{Hmac, KeyInit};
use jiff::Timestamp;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

pub use self::{
    scheme::{Hash, Mac, Scheme, Timed},
    secret::Secret,
};
use crate::webhook::{Headers, Webhook};

/// What a sender needs to sign for a source.
#[derive(Debug, Clone)]
pub struct Source {
    /// The signature scheme.
    pub scheme: Scheme,
    /// The secret that signs.
    pub secret: String,
}

impl Webhook {
    /// Signs it, unless it is forged.
    ///
    /// # Errors
    /// The secret is not in the scheme's format.
    pub fn signed(self, by: &Source, now: Timestamp) -> Result<Self> {
        if self.forged { Ok(self) } else { by.scheme.sign(&by.secret, self, now) }
    }
}

impl Scheme {
    /// Signs a webhook at this time, with the secret that signs.
    ///
    /// # Errors
    /// The secret or the body is not in the scheme's format.
    pub fn sign(&self, secret: &str, mut webhook: Webhook, now: Timestamp) -> Result<Webhook> {
        match self {
            Self::Linear => linear_time(&mut webhook, now)?,
            Self::Mailgun => mailgun(&mut webhook, secret, now)?,
            Self::Adyen => adyen(&mut webhook, secret)?,
            Self::Sns => sns(&mut webhook, now)?,
            _ => {}
        }
        let headers = self.headers(secret, &webhook, now)?;
        Ok(headers.into_iter().fold(webhook, |webhook, (name, value)| webhook.with(&name, &value)))
    }

    /// The headers by each provider's documentation, cited in `scheme`.
    fn headers(&self, secret: &str, webhook: &Webhook, now: Timestamp) -> Result<Headers> {
        let (key, at) = (secret.as_bytes(), &*now.as_second().to_string());
        let (time, body) = (at.as_bytes(), &webhook.body[..]);
        let in_base64 = |parts: &[&[u8]]| Hash::Sha256.text(true, key, parts);
        Ok(match self {
            Self::Body(mac) => {
                one(&mac.header, format!("{}{}", mac.prefix, mac.hash.text(mac.base64, key, &[body])))
            }
            Self::Timed(timed) => one(timed.header, timed.sign(key, at, body)),
            Self::V0 { signature, timestamp } => {
                let hex = Hash::Sha256.text(false, key, &[b"v0:", time, b":", body]);
                two(signature, format!("v0={hex}"), timestamp, at)
            }
            Self::Token(header) => one(header, secret.to_owned()),
            Self::Square { public_url } => {
                one("x-square-hmacsha256-signature", in_base64(&[public_url.as_bytes(), body]))
            }
            Self::Twilio { public_url } => {
                let signed = [public_url.as_bytes(), &sorted_form(body)];
                one("x-twilio-signature", Hash::Sha1.text(true, key, &signed))
            }
            Self::Hubspot { public_url } => {
                let millis = now.as_millisecond().to_string();
                let signed = [b"POST", public_url.as_bytes(), body, millis.as_bytes()];
                two("x-hubspot-signature-v3", in_base64(&signed), "x-hubspot-request-timestamp", &millis)
            }
            Self::Zendesk => {
                let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                let signature = in_base64(&[time.as_bytes(), body]);
                two("x-zendesk-webhook-signature", signature, "x-zendesk-webhook-signature-timestamp", &time)
            }
            Self::Linear => one("linear-signature", Hash::Sha256.text(false, key, &[body])),
            // The signature is in the body already.
            Self::Mailgun | Self::Adyen | Self::Sns => Headers::new(),
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
        })
    }
}

impl Timed {
    fn sign(&self, key: &[u8], at: &str, body: &[u8]) -> String {
        let mac = self.hash.text(self.base64, key, &[at.as_bytes(), self.border.as_bytes(), body]);
        format!("{}{at}{}{mac}", self.time, self.before_signature)
    }
}

impl Hash {
    /// The HMAC, in base64 or in hex.
    fn text(self, base64: bool, key: &[u8], parts: &[&[u8]]) -> String {
        let mac = match self {
            Self::Sha1 => mac::<Hmac<Sha1>>(key, parts),
            Self::Sha256 => mac::<Hmac<Sha256>>(key, parts),
            Self::Sha512 => mac::<Hmac<Sha512>>(key, parts),
        };
        if base64 { BASE64_STANDARD.encode(mac) } else { hex::encode(mac) }
    }
}

/// A webhook that uses Svix's header names keeps them.
fn standard_webhooks(secret: &str, webhook: &Webhook, at: &str) -> Result<Headers> {
    let prefix = if webhook.header("svix-id").is_some() { "svix" } else { "webhook" };
    let id = webhook.header(&format!("{prefix}-id")).unwrap_or("msg_local");
    Ok(vec![
        (format!("{prefix}-id"), id.to_owned()),
        (format!("{prefix}-timestamp"), at.to_owned()),
        (format!("{prefix}-signature"), standard_webhook(secret, id, at, &webhook.body)?),
    ])
}

/// The signature of one Standard Webhook. The key is the base64 after `whsec_`, or the private key after `whsk_`.
pub(crate) fn standard_webhook(secret: &str, id: &str, at: &str, body: &[u8]) -> Result<String> {
    let signed = [id.as_bytes(), b".", at.as_bytes(), b".", body];
    if secret.starts_with("whsk_") {
        let signature = secret::ed25519(secret)?.sign(&signed.concat());
        return Ok(format!("v1a,{}", BASE64_STANDARD.encode(signature.to_bytes())));
    }
    let key = secret.strip_prefix("whsec_").and_then(|key| BASE64_STANDARD.decode(key).ok());
    let key = key.context("a Standard Webhooks secret is whsec_ and base64")?;
    Ok(format!("v1,{}", BASE64_STANDARD.encode(mac::<Hmac<Sha256>>(&key, &signed))))
}

/// Names and values, sorted, each pair once, without separators.
fn sorted_form(body: &[u8]) -> Vec<u8> {
    let mut fields: Vec<_> = url::form_urlencoded::parse(body).collect();
    fields.sort();
    fields.dedup();
    fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()].concat()).collect()
}

/// Sets Linear's time in the body.
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

/// Adyen signs eight fields of each item, in the item. The key is hex.
fn adyen(webhook: &mut Webhook, secret: &str) -> Result<()> {
    let key = hex::decode(secret).context("an Adyen HMAC key is hex")?;
    let body = webhook.json();
    for item in body["notificationItems"].as_array().context("no notificationItems")? {
        let item = &item["NotificationRequestItem"];
        let text = |name| item[name].as_str().unwrap_or_default();
        let signed = [
            text("pspReference"),
            text("originalReference"),
            text("merchantAccountCode"),
            text("merchantReference"),
            &item["amount"]["value"].to_string(),
            item["amount"]["currency"].as_str().context("no currency")?,
            text("eventCode"),
            text("success"),
        ];
        let old = item["additionalData"]["hmacSignature"].as_str().context("no hmacSignature")?;
        replace(webhook, old, &Hash::Sha256.text(true, &key, &[signed.join(":").as_bytes()]))?;
    }
    Ok(())
}

/// Sets the time and the signature in an SNS body, over its fields as lines. The key is that of the certificate in [`crate::sns`]: it is public, and
/// protects nothing.
fn sns(webhook: &mut Webhook, now: Timestamp) -> Result<()> {
    let old = webhook.json();
    let text = |body: &serde_json::Value, name: &str| body[name].as_str().map(str::to_owned);
    let time = now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    replace(webhook, &text(&old, "Timestamp").context("no Timestamp")?, &time)?;
    let names = match text(&old, "Type").as_deref() {
        Some("Notification") => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"][..],
        _ => &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    };
    let body = webhook.json();
    let line = |name: &&str| text(&body, name).map(|value| format!("{name}\n{value}\n"));
    let signed: String = names.iter().filter_map(line).collect();
    let key = ring::signature::RsaKeyPair::from_pkcs8(include_bytes!("sns.key.der"));
    let key = key.map_err(|error| anyhow::anyhow!("the RSA key: {error}"))?;
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    key.sign(&ring::signature::RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature)
        .map_err(|_| anyhow::anyhow!("RSA can't sign this"))?;
    let old = text(&old, "Signature").context("no Signature")?;
    replace(webhook, &old, &BASE64_STANDARD.encode(signature))
}

/// Replaces text, so that all other bytes stay unchanged.
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

fn mac<M: hmac::Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}
