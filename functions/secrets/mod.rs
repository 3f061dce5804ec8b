//! Secrets: named in `webhooks.toml`, never written there and never printed.
//!
//! [`store`] is the store of their values: the environment, or on AWS one Secrets Manager secret. [`current`]
//! has values derived from them, refreshed after a rotation.

pub mod current;
pub mod store;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

pub use self::{current::Current, store::SecretStore};
use crate::config::{Config, ConfigError, Problem, auth::Auth, in_doubt::InDoubt, step::Step};

/// A secret's value.
///
/// Not the `secrecy` crate's: that has no equality, which client certificates need, and the copies that it does not overwrite (the
/// environment, the answer of Secrets Manager) would outlive it.
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

/// The key that signs commands; see [`CommandKeys`](crate::command_keys::CommandKeys).
pub const COMMAND_KEY: &str = "COMMAND_KEY";
/// The value of an `Authorization` header, or `Name: value`, for a proxy in front of every broker.
pub const DRIFTQ_AUTH_HEADER: &str = "DRIFTQ_AUTH_HEADER";
/// The headers that a trace collector requires: `name=value`, separated by commas.
pub const OTLP_HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
/// The secrets that both functions use, if they exist.
pub const OF_BOTH: [&str; 3] = [DRIFTQ_AUTH_HEADER, COMMAND_KEY, OTLP_HEADERS];

/// Names of secrets.
pub type Names = BTreeSet<String>;

/// The secrets that verify webhooks, for ingest.
#[must_use]
pub fn of_sources(config: &Config) -> Names {
    config
        .sources
        .values()
        .flat_map(|source| source.secrets.iter().chain(&source.verify_token))
        .cloned()
        .collect()
}

/// The secrets that authenticate calls to third parties and requests to providers, for the consumer.
#[must_use]
pub fn of_steps(config: &Config) -> Names {
    let auths = |step| {
        let step: &Step = step;
        let look_up = match &step.in_doubt {
            InDoubt::LookUp(look_up) => look_up.auth.as_ref(),
            InDoubt::SameKey { .. } | InDoubt::Park | InDoubt::Impossible => None,
        };
        step.auth().into_iter().chain(look_up)
    };
    let certificates = config.destinations.values().filter_map(|each| each.client_certificate.clone());
    let auths = config.steps.iter().flat_map(auths).filter_map(|auth: &Auth| auth.secret());
    let asked = config.sources.values().filter_map(|source| Some(source.reconcile.as_ref()?.key.clone()));
    auths.map(str::to_owned).chain(certificates).chain(asked).collect()
}

/// The values of the secrets that a function needs, by name.
#[derive(Debug, Clone, Default)]
pub struct Secrets(HashMap<String, Secret>);

impl Secrets {
    /// Finds each of these secrets, and those of [`OF_BOTH`] that exist. A blank secret counts as missing:
    /// anybody can compute the HMAC of a blank key.
    ///
    /// # Errors
    /// Every secret that is missing or blank. `place` is where they should have been.
    fn find(names: &Names, place: &str, get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let get = |name: &str| get(name).filter(|value| !value.trim().is_empty());
        let of_both = OF_BOTH.iter().filter_map(|name| Some(((*name).to_owned(), Secret(get(name)?))));
        let mut found: HashMap<_, _> = of_both.collect();
        let mut problems = Vec::new();
        for name in names {
            match get(name) {
                Some(value) => drop(found.insert(name.clone(), Secret(value))),
                None => problems.push(Problem {
                    line: None,
                    field: name.clone(),
                    message: "missing, blank or not a text; webhooks.toml names this secret, so set it"
                        .to_owned(),
                }),
            }
        }
        if problems.is_empty() {
            return Ok(Self(found));
        }
        Err(ConfigError { file: place.to_owned(), problems })
    }

    /// Secrets with these values, for tests.
    #[cfg(test)]
    pub(crate) fn of(secrets: &[(&str, &str)]) -> Self {
        Self(secrets.iter().map(|(name, value)| ((*name).to_owned(), Secret((*value).to_owned()))).collect())
    }

    /// The secret of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }
}
