//! The deployment templates agree with the code: `template.yaml` with the functions, their documentation and their sample events; and `driftq.yaml`
//! with the known facts about DriftQ and Fargate.

mod alarms;
mod broker;
mod circles;
mod delivery;
mod environment;
mod file;
mod iam;
mod metrics;
mod routes;
mod stages;

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result};
use local::functions::workspace;
use serde_json::Value;
use toml::Table;

use self::file::Template;
use crate::setup::{Story, stack};

fn read(path: &str) -> Result<String> {
    fs::read_to_string(workspace().join(path)).context(path.to_owned())
}

/// The first code in that cell of each row of a Markdown document's tables.
fn code_in_tables(document: &str, cell: usize) -> impl Iterator<Item = Option<&str>> {
    let rows = document.lines().filter(|line| line.starts_with('|'));
    rows.map(move |row| row.split('|').nth(cell + 1)?.split('`').nth(1))
}

/// What the hook of a release sends to the new version of ingest.
pub(crate) fn hook_event() -> Result<Value> {
    let template = Template::shipped()?;
    let (_, hook) = template.all().find(|(id, _)| *id == "ReleaseCheck").context("no hook")?;
    let code = hook["Properties"]["InlineCode"].as_str().context("no code")?;
    let (_, rest) = code.split_once("EVENT = ").context("no event")?;
    let (event, _) = rest.split_once("\n\n\n").context("it does not end")?;
    // Python to JSON: the names of truth, and commas behind the last of several.
    let json = event.replace(": False", ": false").split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(serde_json::from_str(&json.replace(", }", " }"))?)
}

#[test]
fn each_function_is_built_from_a_binary_of_its_own() -> Result<()> {
    let manifest: Table = read("Cargo.toml")?.parse()?;
    let binaries = manifest["bin"].as_array().into_iter().flatten().filter_map(|bin| bin["name"].as_str());
    let template = Template::shipped()?;
    let functions = template.resources("AWS::Serverless::Function");
    let built =
        functions.filter_map(|(_, function)| function["Metadata"]["BuildProperties"]["Binary"].as_str());
    assert_eq!(built.collect::<BTreeSet<_>>(), binaries.collect());
    Ok(())
}

#[tokio::test]
async fn the_table_is_the_one_that_every_story_runs_on() -> Story {
    let stack = stack().await?;
    let Ok(table) = stack.table() else {
        println!("not compared: EFFECTS_TABLE names another table");
        return Ok(stack.finish().await?);
    };
    let request = serde_json::json!({ "TableName": table.table() });
    let real = table.call("DescribeTable", &request).await?["Table"].take();
    let template = Template::shipped()?;
    let (_, ours) = template.resources("AWS::DynamoDB::Table").next().context("no table")?;
    let ours = &ours["Properties"];
    assert_eq!(ours["KeySchema"], real["KeySchema"]);
    assert_eq!(sorted(&ours["AttributeDefinitions"]), sorted(&real["AttributeDefinitions"]));
    let (index, real_index) = (&ours["GlobalSecondaryIndexes"], &real["GlobalSecondaryIndexes"]);
    assert_eq!(index.as_array().map(Vec::len), real_index.as_array().map(Vec::len));
    let by_name = |index: &Value| {
        let indexes = index.as_array().cloned().unwrap_or_default();
        let part = |index: Value| ["IndexName", "KeySchema", "Projection"].map(|field| index[field].clone());
        let mut parts: Vec<_> = indexes.into_iter().map(part).collect();
        parts.sort_by_key(|[name, ..]| name.to_string());
        parts
    };
    assert_eq!(by_name(index), by_name(real_index));
    let ttl = table.call("DescribeTimeToLive", &request).await?;
    let attribute = &ours["TimeToLiveSpecification"]["AttributeName"];
    assert_eq!(attribute, &ttl["TimeToLiveDescription"]["AttributeName"]);
    Ok(stack.finish().await?)
}

fn sorted(list: &Value) -> Vec<String> {
    let mut all: Vec<_> = list.as_array().into_iter().flatten().map(Value::to_string).collect();
    all.sort();
    all
}
