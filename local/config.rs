//! `webhooks.toml` as the local stack runs it: the same file, with every call sent to the local third party, and a value
//! for every secret that it names.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::{
    command, functions,
    sign::{Scheme, Secret},
};

/// A configuration that can still be edited.
#[derive(Debug, Clone)]
pub struct Config {
    table: Table,
}

/// A source, as far as a sender must know it.
#[derive(Debug, Clone)]
pub struct Source {
    /// How it signs.
    pub scheme: Scheme,
    /// With what.
    pub secret: String,
}

impl Config {
    /// The one in this workspace's root.
    ///
    /// # Errors
    /// It can't be read.
    pub fn shipped() -> Result<Self> {
        Self::read(&functions::workspace().join("webhooks.toml"))
    }

    /// The one that `WEBHOOKS_CONFIG` names, else the one in this workspace's root.
    ///
    /// # Errors
    /// It can't be read.
    pub fn from_env() -> Result<Self> {
        Self::read(&Self::path_from_env())
    }

    /// Where that is.
    #[must_use]
    pub fn path_from_env() -> PathBuf {
        let named = std::env::var_os("WEBHOOKS_CONFIG").filter(|path| !path.is_empty());
        named.map_or_else(|| functions::workspace().join("webhooks.toml"), PathBuf::from)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It can't be read, or is not TOML.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Parses a text.
    ///
    /// # Errors
    /// It is not TOML.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self { table: text.parse().context("not TOML")? })
    }

    /// The whole of it, to be edited.
    pub fn table(&mut self) -> &mut Table {
        &mut self.table
    }

    /// A step, to be edited.
    ///
    /// # Panics
    /// There is no such step: the test is wrong.
    pub fn step(&mut self, id: &str) -> &mut Table {
        let steps = self.table.get_mut("steps").and_then(Value::as_array_mut).into_iter().flatten();
        let step = steps
            .filter_map(Value::as_table_mut)
            .find(|step| step.get("id").and_then(Value::as_str) == Some(id));
        step.unwrap_or_else(|| panic!("no step {id:?} in this configuration"))
    }

    /// Every step, to be edited.
    pub fn steps(&mut self) -> impl Iterator<Item = &mut Table> {
        let steps = self.table.get_mut("steps").and_then(Value::as_array_mut);
        steps.into_iter().flatten().filter_map(Value::as_table_mut)
    }

    /// Sends every call to this base URL, with its path and query kept. Those that go to this machine already stay. What is
    /// said of other hosts goes, since none of them is called.
    pub fn call(&mut self, third_party: &str) {
        self.steps().for_each(|step| redirect(step, third_party));
        if let Some(destinations) = self.table.get_mut("destinations").and_then(Value::as_table_mut) {
            destinations.retain(|host, _| host.starts_with(HERE));
        }
    }

    /// Every secret that it names, and the one that signs commands, with a local value.
    #[must_use]
    pub fn secrets(&self) -> BTreeMap<String, String> {
        let mut secrets = BTreeMap::from([(command::KEY.0.to_owned(), command::KEY.1.to_owned())]);
        for step in self.table.get("steps").and_then(Value::as_array).into_iter().flatten() {
            for auth in ["call", "in_doubt"].iter().filter_map(|door| step.get(door)?.get("auth")) {
                let signs = auth.get("standard_webhooks").is_some();
                let secret = |name: &str| match signs {
                    true => Secret::named(name, &Scheme::StandardWebhooks),
                    false => Secret::text(name),
                };
                let names = names(Some(auth)).into_iter();
                secrets.extend(names.map(|name| (name.clone(), secret(&name).checks)));
            }
        }
        for (_, source) in self.sources() {
            // A scheme that nobody knows is for the functions to complain about.
            let scheme = Scheme::of(source);
            for name in names(source.get("secrets")).into_iter().chain(names(source.get("verify_token"))) {
                let secret = match &scheme {
                    Ok(scheme) => Secret::named(&name, scheme),
                    Err(_) => Secret::text(&name),
                };
                secrets.insert(name, secret.checks);
            }
        }
        secrets
    }

    /// What a sender must know of a source.
    ///
    /// # Errors
    /// There is no such source, or it can't be signed here.
    pub fn source(&self, name: &str) -> Result<Source> {
        let source = self.sources().find(|(other, _)| *other == name).map(|(_, source)| source);
        let source = source.with_context(|| format!("no source {name:?} in this configuration"))?;
        let scheme = Scheme::of(source).with_context(|| format!("source {name:?}"))?;
        if scheme == Scheme::Sns {
            return Ok(Source { secret: String::new(), scheme });
        }
        let names = names(source.get("secrets"));
        let first = names.first().with_context(|| format!("source {name:?} has no secrets"))?;
        Ok(Source { secret: Secret::named(first, &scheme).signs, scheme })
    }

    fn sources(&self) -> impl Iterator<Item = (&str, &Value)> {
        let sources = self.table.get("sources").and_then(Value::as_table);
        sources.into_iter().flatten().map(|(name, source)| (name.as_str(), source))
    }
}

impl std::fmt::Display for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.table.fmt(f)
    }
}

const HERE: &str = "127.0.0.1";

/// Replaces scheme and host of every `url` in a step.
fn redirect(table: &mut Table, third_party: &str) {
    for (name, value) in table {
        match value {
            Value::String(url) if name == "url" => *url = redirected(url, third_party),
            Value::Table(inner) => redirect(inner, third_party),
            _ => {}
        }
    }
}

/// By hand: a path may hold templates, which a URL parser would escape.
fn redirected(url: &str, third_party: &str) -> String {
    let Some((_, rest)) = url.split_once("://") else { return url.to_owned() };
    if rest.starts_with(HERE) {
        return url.to_owned();
    }
    let path = rest.find('/').map_or("/", |slash| &rest[slash..]);
    format!("{third_party}{path}")
}

/// The names of secrets in a value: its strings in capitals.
fn names(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(name)) if is_secret_name(name) => vec![name.clone()],
        Some(Value::Array(values)) => values.iter().flat_map(|value| names(Some(value))).collect(),
        Some(Value::Table(table)) => table.values().flat_map(|value| names(Some(value))).collect(),
        _ => Vec::new(),
    }
}

fn is_secret_name(name: &str) -> bool {
    name.contains('_') && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_example_runs_here() {
        let mut config = Config::shipped().unwrap();
        config.call("http://127.0.0.1:9");
        let text = config.to_string();
        assert!(!text.contains("example.com/"), "{text}");
        assert!(text.contains("http://127.0.0.1:9/api/tickets"), "{text}");
        assert_eq!(config.secrets()["STRIPE_WEBHOOK_SECRET"], "whsec_local_stripe");
        assert_eq!(config.secrets()["TICKETS_TOKEN"], "local-tickets-token");
        let github: Value = toml::toml! { scheme = "github" }.into();
        assert_eq!(config.source("github").unwrap().scheme, Scheme::of(&github).unwrap());
        assert_eq!(config.secrets().len(), 9, "three sources, five steps and the commands");
        assert_eq!(Config::parse(&text).unwrap().table, config.table);
    }

    #[test]
    fn what_is_said_of_hosts_that_are_not_called_goes() {
        let mut config = Config::shipped().unwrap();
        let host = || Value::Table(toml::toml! { client_certificate = "A_CERTIFICATE" });
        let hosts = [("tickets.example.com", host()), ("127.0.0.1:9", host())];
        config.table().insert(
            "destinations".into(),
            Value::Table(hosts.map(|(h, t)| (h.into(), t)).into_iter().collect()),
        );
        config.call("http://127.0.0.1:9");
        let left = config.table["destinations"].as_table().unwrap();
        assert_eq!(left.keys().collect::<Vec<_>>(), ["127.0.0.1:9"]);
    }

    #[test]
    fn a_template_in_a_path_is_kept() {
        assert_eq!(
            redirected("https://api.example.com/v1/{{ input.id }}?q=1", "http://127.0.0.1:9"),
            "http://127.0.0.1:9/v1/{{ input.id }}?q=1"
        );
    }
}
