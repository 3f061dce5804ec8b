//! The schemes by the names that `webhooks.toml` has for them.

use std::{fmt, time::Duration};

use super::{
    generic::HmacSettings,
    key::{Key, KeyError},
    public_url::PublicUrl,
    standard_webhooks,
};

/// How a provider signs, with what it takes to check that beside secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// `stripe`: hex HMAC of timestamp and body. The window applies.
    Stripe,
    /// `github`: hex HMAC of the body. No timestamp, so no window, and the event's id and type are not signed.
    Github,
    /// `standard-webhooks`: base64 HMAC or Ed25519 signature of id, timestamp and body, in `webhook-*` or `svix-*` headers.
    /// The window applies.
    StandardWebhooks,
    /// `slack`: hex HMAC of timestamp and body. The window applies.
    Slack,
    /// `shopify`: base64 HMAC of the body. No window; id and type are not signed.
    Shopify,
    /// `twilio`: base64 HMAC-SHA1 of the public URL and the sorted form. No window; the id is not signed.
    Twilio(PublicUrl),
    /// `square`: base64 HMAC of the public URL and the body. No window.
    Square(PublicUrl),
    /// `zoom`: hex HMAC of timestamp and body. The window applies.
    Zoom,
    /// `meta`: hex HMAC of the body. No window, no id.
    Meta,
    /// `discord`: Ed25519 signature of timestamp and body. The window applies.
    Discord,
    /// `linear`: hex HMAC of the body, which has the timestamp. The window applies; the id is not signed.
    Linear,
    /// `mailgun`: hex HMAC of timestamp and token. The window applies; the event itself is not signed.
    Mailgun,
    /// `sendgrid`: ECDSA signature of timestamp and body. The window applies.
    Sendgrid,
    /// `paddle`: hex HMAC of timestamp and body. The window applies.
    Paddle,
    /// `gitlab`: the secret itself. Nothing is signed, and there is no window.
    Gitlab,
    /// `convoy-advanced`: hex HMAC of timestamp and body. The window applies.
    ConvoyAdvanced,
    /// `hmac`: HMAC of the body, as configured. No window.
    Hmac(HmacSettings),
}

/// A scheme that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scheme {name:?}; known are {}", Scheme::NAMES.join(", "))]
pub struct UnknownScheme {
    name: String,
}

impl Scheme {
    /// The names of all.
    pub const NAMES: [&str; 17] = [
        "stripe",
        "github",
        "standard-webhooks",
        "slack",
        "shopify",
        "twilio",
        "square",
        "zoom",
        "meta",
        "discord",
        "linear",
        "mailgun",
        "sendgrid",
        "paddle",
        "gitlab",
        "convoy-advanced",
        "hmac",
    ];

    /// Those that need nothing but secrets.
    pub const PLAIN: [Self; 14] = [
        Self::Stripe,
        Self::Github,
        Self::StandardWebhooks,
        Self::Slack,
        Self::Shopify,
        Self::Zoom,
        Self::Meta,
        Self::Discord,
        Self::Linear,
        Self::Mailgun,
        Self::Sendgrid,
        Self::Paddle,
        Self::Gitlab,
        Self::ConvoyAdvanced,
    ];

    /// The scheme of that name, among those that need nothing but secrets.
    ///
    /// # Errors
    /// None of them has this name.
    pub fn plain(name: &str) -> Result<Self, UnknownScheme> {
        let unknown = || UnknownScheme { name: name.to_owned() };
        Self::PLAIN.into_iter().find(|scheme| scheme.name() == name).ok_or_else(unknown)
    }

    /// Its name in `webhooks.toml`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Github => "github",
            Self::StandardWebhooks => "standard-webhooks",
            Self::Slack => "slack",
            Self::Shopify => "shopify",
            Self::Twilio(_) => "twilio",
            Self::Square(_) => "square",
            Self::Zoom => "zoom",
            Self::Meta => "meta",
            Self::Discord => "discord",
            Self::Linear => "linear",
            Self::Mailgun => "mailgun",
            Self::Sendgrid => "sendgrid",
            Self::Paddle => "paddle",
            Self::Gitlab => "gitlab",
            Self::ConvoyAdvanced => "convoy-advanced",
            Self::Hmac(_) => "hmac",
        }
    }

    /// Prepares a secret, once, at start.
    ///
    /// # Errors
    /// A secret that can't be one; above all a blank one, whose HMAC anybody can make.
    pub fn key(&self, secret: &str) -> Result<Key, KeyError> {
        match self {
            Self::StandardWebhooks => standard_webhooks::key(secret),
            Self::Twilio(_) => Key::sha1(secret),
            Self::Discord => Key::ed25519_from_hex(secret),
            Self::Sendgrid => Key::p256_from_base64(secret),
            Self::Hmac(settings) => settings.key(secret),
            // The whole secret is the key; Stripe's too, `whsec_` and all
            // (https://docs.stripe.com/webhooks#verify-manually).
            _ => Key::sha256(secret),
        }
    }

    /// Whether a webhook may be an array of events, each with a run of its own.
    #[must_use]
    pub fn sends_batches(&self) -> bool {
        matches!(self, Self::Sendgrid)
    }

    /// Whether the signature covers the event's id and type. Where it doesn't, whoever has seen one webhook can send it again
    /// under another name.
    #[must_use]
    pub fn signs_id(&self) -> bool {
        !matches!(self, Self::Github | Self::Shopify | Self::Twilio(_) | Self::Linear | Self::Gitlab)
    }

    /// Whether the signature covers the body.
    #[must_use]
    pub fn signs_body(&self) -> bool {
        !matches!(self, Self::Mailgun | Self::Gitlab)
    }

    /// How far the signed timestamp may be from now, unless the source says otherwise: what the provider's own library
    /// tolerates.
    #[must_use]
    pub fn tolerance(&self) -> Duration {
        Duration::from_secs(match self {
            Self::Paddle => 5,
            Self::Linear => 60,
            _ => 300,
        })
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
