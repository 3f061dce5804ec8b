//! `[hosts]`: hosts of third parties that differ between stages, so that one file and one build serve all of them.
//!
//! ```toml
//! [hosts]
//! CRM_HOST = ["crm.example.com", "crm.staging.example.com"]
//! ```
//!
//! A URL may then be `https://{{ env.CRM_HOST }}/…`; nothing else in the file may use `env`. `STAGE_HOSTS` selects the host. It is filled
//! in before any check, so all rules for a literal host apply: a payload can't choose the host, and the environment can't choose one that
//! the file does not list.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{problems::Problems, section::Table};

const FIELD: &str = "hosts";
/// Placeholder for an unknown host, until the errors are reported (RFC 2606).
const UNKNOWN: &str = "unknown.invalid";
/// The fields of a step that may have a URL.
const URLS: [[&str; 2]; 2] = [["call", "url"], ["in_doubt", "url"]];

/// Which host each name stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stage<'a> {
    /// The first one listed: where nothing is deployed, as in `cargo webhooks check`.
    None,
    /// The content of `STAGE_HOSTS`: `CRM_HOST=crm.example.com,SHOP_HOST=…`.
    Of(&'a str),
}

/// Fills in the hosts, and removes the `[hosts]` table.
pub(super) fn fill_in(table: &mut Table, stage: Stage<'_>, problems: &mut Problems) {
    let listed = read(table.remove(FIELD), problems);
    let said = match stage {
        Stage::None => BTreeMap::new(),
        Stage::Of(text) => said(text, &listed, problems),
    };
    let choose = |name: &str| -> Result<String, String> {
        let Some(hosts) = listed.get(name) else {
            return Err(format!("no host {name} is listed; write {name} = [\"…\"] into [hosts]"));
        };
        match (stage, said.get(name)) {
            (_, Some(host)) => Ok((*host).to_owned()),
            (Stage::None, None) => hosts.first().cloned().ok_or_else(|| format!("hosts.{name} is empty")),
            (Stage::Of(_), None) => Err(format!(
                "STAGE_HOSTS does not say which host {name} is; it is one of {}",
                hosts.join(", ")
            )),
        }
    };
    for (index, step) in
        table.get_mut("steps").and_then(Value::as_array_mut).into_iter().flatten().enumerate()
    {
        let id = step
            .get("id")
            .and_then(Value::as_str)
            .map_or_else(|| format!("steps[{index}]"), |id| format!("steps.{id}"));
        for [section, field] in URLS {
            let Some(Value::String(url)) = step.get_mut(section).and_then(|it| it.get_mut(field)) else {
                continue;
            };
            match filled_in(url, choose) {
                None => {}
                Some(Ok(filled)) => *url = filled,
                Some(Err(why)) => {
                    problems.add(format!("{id}.{section}.{field}"), why);
                    // The placeholder lets the URL's other errors be reported, and this one only once.
                    if let Some(Ok(filled)) = filled_in(url, |_| Ok(UNKNOWN.to_owned())) {
                        *url = filled;
                    }
                }
            }
        }
    }
    fill_in_destinations(table, choose);
}

/// A destination's table may use the same placeholder. If the host is unknown, the error at the URL reports it.
fn fill_in_destinations(table: &mut Table, choose: impl Fn(&str) -> Result<String, String>) {
    let Some(destinations) = table.get_mut("destinations").and_then(Value::as_object_mut) else { return };
    for name in destinations.keys().cloned().collect::<Vec<_>>() {
        // With its port, if there is one.
        if let Some((placeholder, port)) = placeholder(&name)
            && let Ok(host) = choose(placeholder)
            && let Some(limits) = destinations.remove(&name)
        {
            destinations.insert(format!("{host}{port}"), limits);
        }
    }
}

/// The URL with its host filled in, if the host is a placeholder.
fn filled_in(url: &str, choose: impl Fn(&str) -> Result<String, String>) -> Option<Result<String, String>> {
    let (scheme, rest) = url.split_once("://")?;
    let (name, path) = placeholder(rest)?;
    // Only a port or a path may follow; anything else would make it part of another host.
    let ends = path.is_empty() || path.starts_with(['/', ':', '?', '#']);
    ends.then(|| choose(name).map(|host| format!("{scheme}://{host}{path}")))
}

/// The name in `{{ env.NAME }}` at the beginning of a text, and the rest of the text.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (inside, rest) = text.strip_prefix("{{")?.split_once("}}")?;
    Some((inside.trim().strip_prefix("env.")?, rest))
}

fn read(listed: Option<Value>, problems: &mut Problems) -> BTreeMap<String, Vec<String>> {
    let Some(listed) = listed else { return BTreeMap::new() };
    let Value::Object(listed) = listed else {
        problems.add(FIELD, "not a table; write [hosts]");
        return BTreeMap::new();
    };
    let mut all = BTreeMap::new();
    for (name, value) in listed {
        let hosts: Option<Vec<String>> = serde_json::from_value(value).ok();
        let hosts =
            hosts.filter(|hosts: &Vec<String>| !hosts.is_empty() && hosts.iter().all(|it| is_host(it)));
        match hosts {
            Some(hosts) => drop(all.insert(name, hosts)),
            None => problems.add(
                format!("{FIELD}.{name}"),
                "not a list of hosts; write [\"crm.example.com\", \"crm.staging.example.com\"], without scheme or port",
            ),
        }
    }
    all
}

/// Whether a text is a host name or address, without characters that would end it.
fn is_host(host: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    !host.is_empty() && host.bytes().all(legal)
}

/// The assignments in `STAGE_HOSTS` whose names the file lists.
fn said<'a>(
    text: &'a str,
    listed: &BTreeMap<String, Vec<String>>,
    problems: &mut Problems,
) -> BTreeMap<&'a str, &'a str> {
    let mut all = BTreeMap::new();
    for pair in text.split([',', ' ']).filter(|pair| !pair.is_empty()) {
        let Some((name, host)) = pair.split_once('=') else {
            problems.add(FIELD, format!("STAGE_HOSTS has {pair:?}, and must be NAME=HOST, with commas"));
            continue;
        };
        match listed.get(name) {
            // One environment may serve several files: a name that this file does not list is ignored.
            None => {}
            Some(hosts) if hosts.iter().any(|it| it == host) => drop(all.insert(name, host)),
            Some(hosts) => problems.add(
                format!("{FIELD}.{name}"),
                format!("STAGE_HOSTS says {host}, which is not listed here: {}", hosts.join(", ")),
            ),
        }
    }
    all
}

#[cfg(test)]
mod tests;
