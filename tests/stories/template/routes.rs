//! Routes: those of API Gateway, of ingest, of `docs/api.md`, and of the samples agree.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result};
use local::{functions::workspace, webhook::Headers};
use serde_json::Value;

use super::{code_in_tables, file::Template, read};
use crate::setup::{Story, stack};

/// Each route's key, such as `GET /runs/{run_id}`, with its authorizer.
fn routes(template: &Template) -> Result<Vec<(String, Option<String>)>> {
    let events = template.function("ingest")?["Events"].as_object().context("no events")?;
    let route = |event: &Value| {
        let properties = &event["Properties"];
        let text = |name: &str| properties[name].as_str().context(name.to_owned());
        let authorizer = properties["Auth"]["Authorizer"].as_str().map(str::to_owned);
        Ok((format!("{} {}", text("Method")?, text("Path")?), authorizer))
    };
    events.values().map(route).collect()
}

/// The routes of every match on method and path in ingest.
fn known() -> Result<BTreeSet<String>> {
    let mut known = BTreeSet::new();
    for file in fs::read_dir(workspace().join("functions/ingest"))? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            known.extend(arms(&fs::read_to_string(path)?));
        }
    }
    Ok(known)
}

/// The arms of such a match, `(&Method::GET, ["runs", run_id])`, as route keys.
fn arms(source: &str) -> BTreeSet<String> {
    let arm = |arm: &str| {
        let (method, rest) = arm.split_once(", [")?;
        let parts = rest.split_once("])")?.0.split(',').map(str::trim);
        let path: String = parts
            .map(|part| match part.strip_prefix('"') {
                Some(word) => format!("/{}", word.trim_end_matches('"')),
                None => format!("/{{{part}}}"),
            })
            .collect();
        Some(format!("{method} {path}"))
    };
    source.split("(&Method::").skip(1).filter_map(arm).collect()
}

#[test]
fn the_template_routes_what_ingest_knows_and_nothing_else() -> Result<()> {
    let template = Template::shipped()?;
    let routed: BTreeSet<_> = routes(&template)?.into_iter().map(|(key, _)| key).collect();
    assert_eq!(routed, known()?);
    let page = read("docs/api.md")?;
    let methods = ["GET ", "POST "];
    let listed = code_in_tables(&page, 0).flatten();
    let listed = listed.filter(|code| methods.iter().any(|method| code.starts_with(method)));
    assert_eq!(routed.iter().map(String::as_str).collect::<BTreeSet<_>>(), listed.collect());
    Ok(())
}

#[test]
fn only_providers_and_health_checks_come_in_unsigned() -> Result<()> {
    for (key, authorizer) in routes(&Template::shipped()?)? {
        let open = key.contains(" /webhooks/") || key == "GET /healthz";
        assert_eq!(authorizer.as_deref(), (!open).then_some("AWS_IAM"), "{key}");
    }
    Ok(())
}

#[tokio::test]
async fn ingest_answers_every_route() -> Story {
    let stack = stack().await?;
    for (key, _) in routes(&Template::shipped()?)? {
        let (method, path) = key.split_once(' ').context("a route key")?;
        let path = path.replace("{source}", "stripe").replace("{run_id}", "nobody");
        let answer = stack.request(method, &path, &Headers::new(), b"{}").await?;
        assert!(answer.status != 404 || answer.json()["detail"] != "no such path", "{key}");
        // Stripe sends no GET; Meta does.
        assert!(answer.status != 405 || key == "GET /webhooks/{source}", "{key}");
    }
    Ok(stack.finish().await?)
}

#[test]
fn sample_events_and_outputs_are_of_routes_and_sources_that_exist() -> Result<()> {
    let template = Template::shipped()?;
    let routed: BTreeSet<_> = routes(&template)?.into_iter().map(|(key, _)| key).collect();
    let config: toml::Table = read("webhooks.toml")?.parse()?;
    for file in fs::read_dir(workspace().join("events/ingest"))? {
        let file = file?.path();
        let event: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
        let key = event["routeKey"].as_str().unwrap_or_default();
        assert!(routed.contains(key), "{}: the template has no route {key:?}", file.display());
    }
    let names = template.outputs().filter_map(|url| url.split_once("/webhooks/")).map(|(_, name)| name);
    // WebhookUrl has none.
    for source in names.filter(|name| !name.is_empty()) {
        assert!(config["sources"].get(source).is_some(), "webhooks.toml has no source {source}");
    }
    Ok(())
}
