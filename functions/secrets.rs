//! Secrets: named in `webhooks.toml`, found in the environment, never printed.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use crate::config::{
    Config, ConfigError, Problem, auth::Auth, environment::Lookup, in_doubt::InDoubt, step::Step,
};

/// A secret's value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The values of the secrets that a function needs, by name.
#[derive(Debug, Clone, Default)]
pub struct Secrets(HashMap<String, Secret>);

impl Secrets {
    /// Those that verify webhooks: what ingest needs.
    ///
    /// # Errors
    /// Every one that is missing or blank.
    pub fn of_sources(config: &Config, get: Lookup<'_>) -> Result<Self, ConfigError> {
        Self::resolve(
            config.sources.values().flat_map(|source| source.secrets.iter().chain(&source.verify_token)),
            get,
        )
    }

    /// Those that open doors at third parties: what the consumer needs.
    ///
    /// # Errors
    /// Every one that is missing or blank.
    pub fn of_steps(config: &Config, get: Lookup<'_>) -> Result<Self, ConfigError> {
        let auths = |step| {
            let step: &Step = step;
            let look_up = match &step.in_doubt {
                InDoubt::LookUp(look_up) => look_up.auth.as_ref(),
                InDoubt::SameKey { .. } | InDoubt::Park => None,
            };
            step.call.auth.as_ref().into_iter().chain(look_up)
        };
        let names = config.steps.iter().flat_map(auths).map(Auth::secret);
        Self::resolve(names, get)
    }

    /// A blank secret is refused: the HMAC of a blank key "matches" (webhook trap 3).
    fn resolve<N: AsRef<str>>(names: impl Iterator<Item = N>, get: Lookup<'_>) -> Result<Self, ConfigError> {
        let names: BTreeSet<String> = names.map(|name| name.as_ref().to_owned()).collect();
        let mut found = HashMap::new();
        let mut problems = Vec::new();
        for name in names {
            match get(&name).filter(|value| !value.trim().is_empty()) {
                Some(value) => drop(found.insert(name, Secret(value))),
                None => problems.push(Problem {
                    field: name,
                    message: "missing or blank; webhooks.toml names this secret, so set it".to_owned(),
                }),
            }
        }
        if problems.is_empty() {
            return Ok(Self(found));
        }
        Err(ConfigError { file: "environment".to_owned(), problems })
    }

    /// The secret of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }
}
