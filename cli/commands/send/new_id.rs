//! `--new-id`: gives an event a new id.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use driftq_webhooks::{config::Config, ingest::preview::Preview};
use jiff::Timestamp;
use local::webhook::Webhook;
use serde_json::Value;
use uuid::Uuid;

use crate::event::request;

/// What identifies an event.
struct Names {
    ids: BTreeSet<String>,
    runs: Vec<String>,
}

/// The webhook with each of its ids replaced by a new one. If the run does not depend on an id, because ids are not signed,
/// the body gets one more field instead.
pub(super) fn renewed(webhook: Webhook, config: &Config) -> Result<Webhook> {
    let before = names(&webhook, config)?;
    let mut renewed = webhook;
    for id in &before.ids {
        renewed = replaced(renewed, id);
    }
    if differs(&before, &renewed, config)? {
        return Ok(renewed);
    }
    let marked = marked(renewed);
    if !differs(&before, &marked, config)? {
        bail!("no id was found that makes it another event; edit the file");
    }
    Ok(marked)
}

fn differs(before: &Names, webhook: &Webhook, config: &Config) -> Result<bool> {
    let after = names(webhook, config)?;
    Ok(before.runs.iter().all(|run| !after.runs.contains(run)))
}

fn names(webhook: &Webhook, config: &Config) -> Result<Names> {
    let source = config.sources.get(&webhook.source);
    let source = source.with_context(|| format!("no source is named {:?}", webhook.source))?;
    match Preview::of(&request(webhook)?, source, None, config, Timestamp::now()) {
        Preview::Events(events) => Ok(Names {
            ids: events.iter().filter_map(|event| event.event_id.clone()).chain(usual_id(webhook)).collect(),
            runs: events.iter().map(|event| event.run_id.to_string()).collect(),
        }),
        _ => bail!("it is no event, so it has no id"),
    }
}

/// The usual place of an id, also in events of unknown senders.
fn usual_id(webhook: &Webhook) -> Option<String> {
    match &webhook.json()["id"] {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// The webhook with one more field in each event of its body.
fn marked(mut webhook: Webhook) -> Webhook {
    match serde_json::from_slice(&webhook.body) {
        Ok(mut json) => {
            mark(&mut json);
            webhook.body = Value::to_string(&json).into();
        }
        Err(_) => webhook.body = [&webhook.body, format!("&new_id={}", fresh()).as_bytes()].concat().into(),
    }
    webhook
}

/// Adds the field to the whole and to each item of a list, since each may be an event.
fn mark(json: &mut Value) {
    if let Value::Object(fields) = json {
        fields.insert("new_id".to_owned(), fresh().into());
    }
    mark_items(json);
}

fn mark_items(json: &mut Value) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(mark),
        Value::Object(fields) => fields.values_mut().for_each(mark_items),
        _ => {}
    }
}

/// The webhook with a new id in headers and body. Digits stay digits, because the id may be a number.
fn replaced(mut webhook: Webhook, id: &str) -> Webhook {
    let new = if id.bytes().all(|byte| byte.is_ascii_digit()) {
        digits(id.len())
    } else {
        format!("{id}_{}", fresh())
    };
    for (_, value) in webhook.headers.iter_mut().filter(|(_, value)| value == id) {
        value.clone_from(&new);
    }
    if let Ok(body) = str::from_utf8(&webhook.body) {
        webhook.body = body.replace(id, &new).into();
    }
    webhook
}

fn fresh() -> String {
    Uuid::new_v4().simple().to_string()[..8].to_owned()
}

fn digits(count: usize) -> String {
    let random = format!("1{:038}", Uuid::new_v4().as_u128() % 10_u128.pow(38));
    random.chars().cycle().take(count).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_sample_that_is_an_event_becomes_another_one() {
        let path = local::functions::workspace().join("tests/providers.toml");
        let config = Config::parse("providers.toml", &fs::read_to_string(path).unwrap()).unwrap();
        let (mut events, mut unchanged) = (0, Vec::new());
        for entry in fs::read_dir(local::webhook::samples()).unwrap() {
            let webhook = Webhook::read(&entry.unwrap().path()).unwrap();
            let Ok(before) = names(&webhook, &config) else { continue };
            events += 1;
            let Ok(renewed) = renewed(webhook.clone(), &config) else {
                unchanged.push(webhook.source);
                continue;
            };
            let after = names(&renewed, &config).unwrap();
            assert_eq!(before.runs.len(), after.runs.len(), "{}", webhook.source);
        }
        assert!(events > 25, "only {events}");
        // Adyen signs only some fields, and none of these is only an id.
        assert_eq!(unchanged, ["adyen"]);
    }
}
