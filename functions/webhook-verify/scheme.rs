//! A scheme by the name that `webhooks.toml` has for it, with the source's settings.

use std::{fmt, time::Duration};

use serde_json::Value;

use super::{
    key::{Key, KeyError},
    provider::Provider,
    providers,
    settings::{Setting, Settings},
};

/// How a provider signs, with what it takes to check that beside secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme {
    pub(super) provider: &'static Provider,
    pub(super) settings: Settings,
}

/// No scheme has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scheme {name:?}; known are {}", Scheme::names().collect::<Vec<_>>().join(", "))]
pub struct UnknownScheme {
    name: String,
}

impl Scheme {
    /// The names of all schemes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        providers::ALL.iter().map(|provider| provider.name)
    }

    /// The scheme of that name, without settings.
    ///
    /// # Errors
    /// There is no such scheme.
    pub fn named(name: &str) -> Result<Self, UnknownScheme> {
        let unknown = || UnknownScheme { name: name.to_owned() };
        let provider = providers::ALL.iter().find(|provider| provider.name == name).ok_or_else(unknown)?;
        Ok(Self { provider, settings: Settings::default() })
    }

    /// The same scheme with these settings.
    #[must_use]
    pub fn with(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// Its name in `webhooks.toml`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.provider.name
    }

    /// Whether a source of this scheme has that field.
    #[must_use]
    pub fn takes(&self, setting: Setting) -> bool {
        self.provider.settings.contains(&setting)
    }

    /// Prepares a secret.
    ///
    /// # Errors
    /// The secret cannot be one of this scheme's; above all a blank one, whose HMAC anybody can compute.
    pub fn key(&self, secret: &str) -> Result<Key, KeyError> {
        (self.provider.key)(&self.settings, secret)
    }

    /// The events of a body that may hold several, each with a run of its own; `None` if it is one event.
    #[must_use]
    pub fn batch(&self, body: &Value) -> Option<Vec<Value>> {
        (self.provider.batch)(body)
    }

    /// A digest of one event of a batch: the same when it is delivered again.
    #[must_use]
    pub fn item_digest(&self, item: &Value) -> String {
        (self.provider.item_digest)(item)
    }

    /// The names of templates that the signature covers, among `event_id`, `event_type`, `event`, `form` and `digest`.
    /// Whoever has seen one webhook can send it again with the others changed.
    #[must_use]
    pub fn signed(&self) -> &'static [&'static str] {
        self.provider.signed
    }

    /// How far the signed time may be from now, unless the source says otherwise: what the provider's own library tolerates.
    #[must_use]
    pub fn tolerance(&self) -> Duration {
        Duration::from_secs(self.provider.tolerance)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
