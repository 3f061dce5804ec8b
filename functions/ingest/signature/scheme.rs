//! The schemes by the names that `webhooks.toml` has for them.

use std::{fmt, str::FromStr};

use super::key::{Key, KeyError};

/// How a provider signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `stripe`: hex HMAC of timestamp and body. The window applies.
    Stripe,
    /// `github`: hex HMAC of the body. No timestamp, so no window, and the event's id and type are not signed.
    Github,
    /// `standard-webhooks`: base64 HMAC of id, timestamp and body, in `webhook-*` or `svix-*` headers. The window applies.
    StandardWebhooks,
}

/// A scheme that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scheme {name:?}; known are {}", Scheme::ALL.map(Scheme::name).join(", "))]
pub struct UnknownScheme {
    name: String,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Stripe, Self::Github, Self::StandardWebhooks];

    /// Its name in `webhooks.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Github => "github",
            Self::StandardWebhooks => "standard-webhooks",
        }
    }

    /// Prepares a secret, once, at start.
    ///
    /// # Errors
    /// A secret that can't be one; above all a blank one, whose HMAC anybody can make.
    pub fn key(self, secret: &str) -> Result<Key, KeyError> {
        match self {
            // Stripe's whole secret is the key, `whsec_` and all (https://docs.stripe.com/webhooks#verify-manually).
            Self::Stripe | Self::Github => Key::new(secret.as_bytes()),
            Self::StandardWebhooks => Key::from_base64(secret.strip_prefix("whsec_").unwrap_or(secret)),
        }
    }
}

impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(name: &str) -> Result<Self, UnknownScheme> {
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.name() == name)
            .ok_or_else(|| UnknownScheme { name: name.to_owned() })
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
