//! A signature scheme, by its name in `webhooks.toml`, with the source's settings.

use std::{fmt, time::Duration};

use serde_json::Value;

use super::{
    key::{Key, KeyError},
    provider::Provider,
    providers,
    settings::{Setting, Settings},
};

/// A provider's signature scheme, with all settings except the secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme {
    pub(super) provider: &'static Provider,
    pub(super) settings: Settings,
}

/// There is no scheme with this name.
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

    /// The scheme with that name, without settings.
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

    /// Whether a source with this scheme has that field.
    #[must_use]
    pub fn takes(&self, setting: Setting) -> bool {
        self.provider.settings.contains(&setting)
    }

    /// Prepares a key from a secret.
    ///
    /// # Errors
    /// The secret is not in this scheme's format, or is blank: anyone can compute an HMAC with a blank key.
    pub fn key(&self, secret: &str) -> Result<Key, KeyError> {
        (self.provider.key)(&self.settings, secret)
    }

    /// Whether the signature covers all of a JSON body; if not, [`event`](crate::event) gives what it covers.
    #[must_use]
    pub fn signs_whole_json(&self) -> bool {
        self.provider.event.is_none()
    }

    /// The events of a body that may contain several, each with its own run; `None` if it is one event.
    #[must_use]
    pub fn batch(&self, body: &Value) -> Option<Vec<Value>> {
        (self.provider.batch)(body)
    }

    /// A digest of one event of a batch: the same at a redelivery.
    #[must_use]
    pub fn item_digest(&self, item: &Value) -> String {
        (self.provider.item_digest)(item)
    }

    /// The template names that the signature covers, among `event_id`, `event_type`, `event`, `form` and `digest`. Anyone who has seen one
    /// webhook can replay it with other values of the other names.
    #[must_use]
    pub fn signed(&self) -> &'static [&'static str] {
        self.provider.signed
    }

    /// The default tolerance of the signed time: as in the provider's own library.
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
