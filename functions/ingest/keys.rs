//! The keys of every source, prepared once of its secrets.

use std::collections::{BTreeMap, HashMap};

use super::signature::Key;
use crate::{
    config::{ConfigError, Problem, source::Source},
    secrets::Secrets,
};

/// By the source's name.
#[derive(Debug)]
pub struct Keys(HashMap<String, OfSource>);

#[derive(Debug)]
struct OfSource {
    keys: Vec<Key>,
    token: Option<Key>,
}

impl Keys {
    /// Prepares them.
    ///
    /// # Errors
    /// Every secret that is not a key of its source's scheme.
    pub fn prepare(sources: &BTreeMap<String, Source>, secrets: &Secrets) -> Result<Self, ConfigError> {
        let mut keys = HashMap::new();
        let mut problems = Vec::new();
        for source in sources.values() {
            match of_source(source, secrets) {
                Ok(prepared) => drop(keys.insert(source.name.clone(), prepared)),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            return Ok(Self(keys));
        }
        Err(ConfigError { file: "secrets".to_owned(), problems })
    }

    /// Any of which may have signed.
    #[must_use]
    pub fn of(&self, source: &Source) -> &[Key] {
        self.0.get(&source.name).map(|of_source| &*of_source.keys).unwrap_or_default()
    }

    /// What a GET must show.
    #[must_use]
    pub fn token(&self, source: &Source) -> Option<&Key> {
        self.0.get(&source.name)?.token.as_ref()
    }
}

fn of_source(source: &Source, secrets: &Secrets) -> Result<OfSource, Problem> {
    let prepare = |name: &String| {
        let secret = secrets.get(name).map_or("", |secret| secret.expose());
        source.scheme.key(secret).map_err(|error| Problem {
            field: name.clone(),
            message: format!("{error}; source {} names it", source.name),
        })
    };
    let keys = source.secrets.iter().map(prepare).collect::<Result<_, _>>()?;
    Ok(OfSource { keys, token: source.verify_token.as_ref().map(prepare).transpose()? })
}
