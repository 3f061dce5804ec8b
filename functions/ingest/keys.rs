//! The keys of every source, prepared once from its secrets, and the keys of commands. A secret that is not a valid key of its source's scheme
//! disables that source and no other.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use webhook_verify::{Key, KeyError};

use crate::{
    command_keys::CommandKeys,
    config::{ConfigError, source::Source},
    secrets::Secrets,
};

/// Everything that ingest derives from secrets.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Keys by source name.
    sources: HashMap<String, Result<Arc<OfSource>, Disabled>>,
    commands: Option<CommandKeys>,
}

#[derive(Debug)]
struct OfSource {
    keys: Vec<Key>,
    token: Option<Key>,
}

/// Why a source is disabled: its webhooks can't be verified, so they get 503 until the secret is corrected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("secret {name} {error}")]
pub struct Disabled {
    name: String,
    error: KeyError,
}

impl Keys {
    /// The keys of a source; a signature by any of them is accepted.
    ///
    /// # Errors
    /// The source is disabled.
    pub fn of(&self, source: &Source) -> Result<&[Key], Disabled> {
        Ok(self.of_source(source)?.map(|of_source| &*of_source.keys).unwrap_or_default())
    }

    /// The token that a GET request must contain.
    ///
    /// # Errors
    /// The source is disabled.
    pub fn token(&self, source: &Source) -> Result<Option<&Key>, Disabled> {
        Ok(self.of_source(source)?.and_then(|of_source| of_source.token.as_ref()))
    }

    /// The keys that sign commands.
    #[must_use]
    pub fn commands(&self) -> Option<&CommandKeys> {
        self.commands.as_ref()
    }

    fn of_source(&self, source: &Source) -> Result<Option<&OfSource>, Disabled> {
        match self.sources.get(&source.name) {
            Some(Ok(of_source)) => Ok(Some(of_source)),
            Some(Err(disabled)) => Err(disabled.clone()),
            None => Ok(None),
        }
    }
}

/// Prepares keys at start and after each rotation. If a source's secret is replaced by an unusable one, the source keeps its previous keys: a
/// mistake in a rotation must not stop webhooks that could be verified before.
#[derive(Debug)]
pub struct KeyMaker {
    sources: BTreeMap<String, Source>,
    latest: Mutex<Keys>,
}

impl KeyMaker {
    /// Prepares keys for these sources.
    #[must_use]
    pub fn new(sources: BTreeMap<String, Source>) -> Self {
        Self { sources, latest: Mutex::default() }
    }

    /// Prepares the keys of all sources, and logs an error for each unusable secret.
    ///
    /// # Errors
    /// The keys of commands are unusable: without them nothing can be accepted.
    pub fn make(&self, secrets: &Secrets) -> Result<Keys, ConfigError> {
        let commands = CommandKeys::of(secrets)?;
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let prepared = |source: &Source| {
            let prepared = of_source(source, secrets).map(Arc::new);
            let kept = match (&prepared, latest.sources.get(&source.name)) {
                (Err(error), Some(Ok(before))) => {
                    tracing::error!(source = source.name, %error, "a secret can't be used; the source keeps the one before");
                    Some(Arc::clone(before))
                }
                (Err(error), _) => {
                    tracing::error!(source = source.name, %error, "a secret can't be used; the source is disabled");
                    None
                }
                (Ok(_), _) => None,
            };
            (source.name.clone(), kept.map_or(prepared, Ok))
        };
        let keys = Keys { sources: self.sources.values().map(prepared).collect(), commands };
        *latest = keys.clone();
        Ok(keys)
    }
}

fn of_source(source: &Source, secrets: &Secrets) -> Result<OfSource, Disabled> {
    let prepare = |name: &String| {
        let secret = secrets.get(name).map_or("", |secret| secret.expose());
        source.scheme.key(secret).map_err(|error| Disabled { name: name.clone(), error })
    };
    let keys = source.secrets.iter().map(prepare).collect::<Result<_, _>>()?;
    Ok(OfSource { keys, token: source.verify_token.as_ref().map(prepare).transpose()? })
}
