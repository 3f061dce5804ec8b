//! `webhooks.toml` for the local stack: the same file, with every call sent to the local third party, and a value for every secret that it names.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use toml::{Table, Value};

use crate::{
    command, functions,
    sign::{Scheme, Secret, Source},
};

/// The API key that the local providers accept.
pub const API_KEY: &str = "local-api-key";

/// A configuration that can still be edited.
#[derive(Debug, Clone)]
pub struct Config {
    table: Table,
    own: BTreeMap<String, String>,
    really: BTreeSet<String>,
}

impl Config {
    /// Reads the file in this workspace's root.
    ///
    /// # Errors
    /// It can't be read.
    pub fn shipped() -> Result<Self> {
        Self::read(&functions::workspace().join("webhooks.toml"))
    }

    /// Reads the file that `WEBHOOKS_CONFIG` names, else the one in this workspace's root.
    ///
    /// # Errors
    /// It can't be read.
    pub fn from_env() -> Result<Self> {
        Self::read(&Self::path_from_env())
    }

    /// The path of that file.
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
        let table = text.parse().context("not TOML")?;
        Ok(Self { table, own: BTreeMap::new(), really: BTreeSet::new() })
    }

    /// The whole table, to be edited.
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

    /// The tables that steps write to, each with its key fields. An `update` or `delete` names them. A `put` does not, so its key is
    /// assumed to be the field `id`.
    #[must_use]
    pub fn tables(&self) -> BTreeMap<String, Vec<String>> {
        let steps = self.table.get("steps").and_then(Value::as_array).into_iter().flatten();
        let writes = steps.flat_map(|step| ["put", "update", "delete"].map(|kind| step.get(kind)));
        let tables = writes.flatten().filter_map(|write| {
            let key = write.get("key").and_then(Value::as_table);
            let key = key.map_or_else(|| vec!["id".to_owned()], |key| key.keys().cloned().collect());
            Some((write.get("table")?.as_str()?.to_owned(), key))
        });
        // An update takes precedence over a put.
        let mut all = BTreeMap::new();
        for (table, key) in tables {
            let known: &mut Vec<String> = all.entry(table).or_insert_with(|| key.clone());
            if *known == ["id"] {
                *known = key;
            }
        }
        all
    }

    /// Does not redirect the calls of that step.
    pub fn call_really(&mut self, step: &str) {
        self.really.insert(step.to_owned());
    }

    /// Redirects every other call to this base URL, with its path and query kept. Calls to this machine are kept. Settings of hosts that are then not
    /// called are removed; so is `reconcile`, unless its URL is on this machine: the API key is not real.
    pub fn call(&mut self, third_party: &str) {
        let really = self.really.clone();
        let is_real =
            |step: &Table| step.get("id").and_then(Value::as_str).is_some_and(|id| really.contains(id));
        self.steps().filter(|step| !is_real(step)).for_each(|step| redirect(step, third_party));
        self.ask_nobody_elsewhere();
        let asked = self.sources().filter_map(|(_, source)| source.get("reconcile")?.as_table());
        let asked: Vec<_> = asked.flat_map(hosts).collect();
        let called: Vec<_> = self.steps().flat_map(|step| hosts(step)).chain(asked).collect();
        if let Some(destinations) = self.table.get_mut("destinations").and_then(Value::as_table_mut) {
            destinations.retain(|host, _| called.iter().any(|called| called == host));
        }
    }

    fn ask_nobody_elsewhere(&mut self) {
        let sources = self.table.get_mut("sources").and_then(Value::as_table_mut).into_iter().flatten();
        for source in sources.filter_map(|(_, source)| source.as_table_mut()) {
            let asked = source.get("reconcile").and_then(Value::as_table).map(hosts).unwrap_or_default();
            if !asked.iter().any(|host| is_here(host)) {
                source.remove("reconcile");
            }
        }
    }

    /// Uses these values for secrets that have one, instead of generated values.
    pub fn use_secrets(&mut self, get: impl Fn(&str) -> Option<String>) {
        let own = self.secrets().into_keys().filter_map(|name| Some((get(&name)?, name)));
        self.own = own.map(|(value, name)| (name, value)).collect();
    }

    /// Whether the secret has a real value.
    #[must_use]
    pub fn is_own(&self, secret: &str) -> bool {
        self.own.contains_key(secret)
    }

    /// Every secret that it names, and the one that signs commands, with a local value.
    #[must_use]
    pub fn secrets(&self) -> BTreeMap<String, String> {
        let mut secrets = BTreeMap::from([(command::KEY.0.to_owned(), command::KEY.1.to_owned())]);
        for step in self.table.get("steps").and_then(Value::as_array).into_iter().flatten() {
            for auth in ["call", "in_doubt"].iter().filter_map(|field| step.get(field)?.get("auth")) {
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
            // An unknown scheme is reported by the functions.
            let scheme = Scheme::of(source);
            let asked = source.get("reconcile").and_then(|reconcile| reconcile.get("key"));
            secrets.extend(names(asked).into_iter().map(|name| (name, API_KEY.to_owned())));
            for name in names(source.get("secrets")).into_iter().chain(names(source.get("verify_token"))) {
                let secret = match &scheme {
                    Ok(scheme) => Secret::named(&name, scheme),
                    Err(_) => Secret::text(&name),
                };
                secrets.insert(name, secret.checks);
            }
        }
        for destination in self.table.get("destinations").and_then(Value::as_table).into_iter().flatten() {
            let names = names(destination.1.get("client_certificate")).into_iter();
            secrets.extend(names.map(|name| (name.clone(), Secret::text(&name).checks)));
        }
        secrets.extend(self.own.clone());
        secrets
    }

    /// What a sender needs to sign for a source.
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
        let made_up = Secret::named(first, &scheme);
        let Some(own) = self.own.get(first) else { return Ok(Source { secret: made_up.signs, scheme }) };
        let only_checks = made_up.signs != made_up.checks;
        ensure!(
            !only_checks,
            "{first} is the provider's public key, so only the provider can sign for {name:?}"
        );
        Ok(Source { secret: own.clone(), scheme })
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

/// The host of every `url` in a step, with its port.
fn hosts(table: &Table) -> Vec<String> {
    let of = |(name, value): (&String, &Value)| match value {
        Value::String(url) if name == "url" => url
            .split_once("://")
            .map_or_else(Vec::new, |(_, rest)| vec![rest.split('/').next().unwrap_or_default().to_owned()]),
        Value::Table(inner) => hosts(inner),
        _ => Vec::new(),
    };
    table.iter().flat_map(of).collect()
}

/// Whether a host, with its port or without, is this machine.
#[must_use]
pub fn is_here(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|here| *here == name || *here == host)
}

/// A URL with another scheme and host. Edits the text: a path may contain templates, which a URL parser would escape.
fn redirected(url: &str, third_party: &str) -> String {
    let Some((_, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if is_here(host) {
        return url.to_owned();
    }
    let path = if path.is_empty() { "/" } else { path };
    format!("{third_party}{path}")
}

/// The names of secrets in a value: its strings in upper case.
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
    fn what_is_called_on_this_machine_or_really_stays_where_it_is() {
        for url in [
            "http://127.0.0.1:9/a",
            "http://localhost/a",
            "https://localhost:1/a",
            "http://[::1]:8/a",
            "http://[::1]/",
        ] {
            assert_eq!(redirected(url, "http://127.0.0.1:7"), url);
        }
        for url in ["http://127.0.0.1.example.com/a", "http://localhost.example.com:8/a"] {
            assert_eq!(redirected(url, "http://127.0.0.1:7"), "http://127.0.0.1:7/a");
        }
        let mut config = Config::shipped().unwrap();
        config.call_really("open_ticket");
        config.call("http://127.0.0.1:7");
        assert!(config.to_string().contains("https://tickets.example.com/api/tickets"));
        assert!(!config.to_string().contains("https://slack.example.com"));
    }

    #[test]
    fn own_secrets_win_and_sign_if_they_can() {
        let mut config = Config::read(&functions::workspace().join("tests/providers.toml")).unwrap();
        config.use_secrets(|name| {
            ["STRIPE_WEBHOOK_SECRET", "DISCORD_PUBLIC_KEY", "OTHER"]
                .contains(&name)
                .then(|| format!("my {name}"))
        });
        assert_eq!(config.secrets()["STRIPE_WEBHOOK_SECRET"], "my STRIPE_WEBHOOK_SECRET");
        assert_eq!(config.source("stripe").unwrap().secret, "my STRIPE_WEBHOOK_SECRET");
        assert!(config.is_own("STRIPE_WEBHOOK_SECRET") && !config.is_own("GITHUB_WEBHOOK_SECRET"));
        assert!(!config.secrets().contains_key("OTHER"), "only what the file names");
        let refused = config.source("discord").unwrap_err().to_string();
        assert!(refused.contains("only the provider can sign"), "{refused}");
    }

    #[test]
    fn what_is_said_of_hosts_that_are_not_called_goes() {
        let left = |really: Option<&str>| {
            let mut config = Config::shipped().unwrap();
            let host = || Value::Table(toml::toml! { client_certificate = "A_CERTIFICATE" });
            let hosts = ["tickets.example.com", "llm.example.com", "127.0.0.1:9"]
                .map(|name| (name.to_owned(), host()));
            config.table().insert("destinations".into(), Value::Table(hosts.into_iter().collect()));
            assert!(config.secrets().contains_key("A_CERTIFICATE"));
            really.into_iter().for_each(|step| config.call_really(step));
            config.call("http://127.0.0.1:9");
            config.table["destinations"].as_table().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(left(None), ["127.0.0.1:9"]);
        assert_eq!(left(Some("open_ticket")), ["127.0.0.1:9", "tickets.example.com"]);
    }

    #[test]
    fn a_template_in_a_path_is_kept() {
        assert_eq!(
            redirected("https://api.example.com/v1/{{ input.id }}?q=1", "http://127.0.0.1:9"),
            "http://127.0.0.1:9/v1/{{ input.id }}?q=1"
        );
    }
}
