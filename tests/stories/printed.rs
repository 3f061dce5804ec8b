//! A function's output, parsed line by line and checked against `docs/logging.md`.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use local::{
    emf::Metrics,
    runtime_api::{Function, Line},
    stack::Stack,
};
use serde_json::Value;

const NAMESPACE: &str = "DriftqWebhooks";
pub(crate) const DOCUMENT: &str = include_str!("../../docs/logging.md");

/// Whether the document's table of fields has this one.
fn documented(field: &str) -> bool {
    let table = DOCUMENT.split("<!-- fields: ").nth(1).unwrap_or_default();
    let names = table.lines().filter_map(|row| row.split(" | ").next());
    names.flat_map(|names| names.split('`').skip(1).step_by(2)).any(|name| name == field)
}

/// What a function has printed.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) logs: Vec<Value>,
    pub(crate) metrics: Metrics,
}

impl Printed {
    /// All output once this many lines have this metric: the last line of an invocation has it.
    async fn by(function: &Function, last: &str, invocations: usize) -> Result<Self> {
        let is_last = |line: &&Line| line.text.contains(&format!("\"{last}\":"));
        let lines = function
            .log()
            .until(Duration::from_secs(5), |lines| lines.iter().filter(is_last).count() >= invocations)
            .await?;
        let (mut logs, mut metrics) = (Vec::new(), Metrics::default());
        for Line { text, .. } in &lines {
            let line: Value = serde_json::from_str(text).with_context(|| format!("no JSON: {text}"))?;
            ensure!(line["level"].is_string() && line["timestamp"].is_string(), "{text}");
            if metrics.add(&line, NAMESPACE).with_context(|| text.clone())? {
                continue;
            }
            ensure!(line.to_string().len() == text.len(), "a name stands twice: {text}");
            ensure!(line["requestId"].is_string(), "whose request? {text}");
            let unknown = line.as_object().into_iter().flatten().find(|(name, _)| !documented(name));
            ensure!(unknown.is_none(), "docs/logging.md has no such field: {unknown:?}");
            logs.push(line);
        }
        Ok(Self { logs, metrics })
    }

    pub(crate) async fn by_consumer(stack: &Stack, runs: usize) -> Result<Self> {
        Self::by(&stack.consumer, "FailedRuns", runs).await
    }

    pub(crate) async fn by_ingest(stack: &Stack, requests: usize) -> Result<Self> {
        Self::by(&stack.ingest, "IngestLatency", requests).await
    }

    /// How many lines there are of each outcome.
    pub(crate) fn outcomes(&self) -> BTreeMap<&str, usize> {
        let mut outcomes = BTreeMap::new();
        for outcome in self.logs.iter().filter_map(|line| line["outcome"].as_str()) {
            *outcomes.entry(outcome).or_default() += 1;
        }
        outcomes
    }

    /// The lines of an outcome.
    pub(crate) fn of<'a>(&'a self, outcome: &'a str) -> impl Iterator<Item = &'a Value> {
        self.logs.iter().filter(move |line| line["outcome"] == outcome)
    }

    /// Asserts that the metrics have these values, and that no other listed metric is present.
    pub(crate) fn assert(&self, expected: &[(&str, f64)]) {
        for (name, sum) in expected {
            assert_eq!(self.metrics.sum(name), *sum, "{name} in {:#?}", self.metrics.0);
        }
    }
}

/// The fields that a Logs Insights query uses, without its own names, functions, keywords and those that start with `@`.
pub(crate) fn fields_of(query: &str) -> Vec<String> {
    let no_texts: String = query.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let words = no_texts.split(|c: char| !(c.is_alphanumeric() || "_@(".contains(c))).collect::<Vec<_>>();
    let keywords = ["filter", "sort", "display", "stats", "by", "as", "and", "in", "asc", "desc"];
    let named: Vec<_> = words.windows(2).filter(|pair| pair[0] == "as").map(|pair| pair[1]).collect();
    let inside = words.iter().map(|word| word.rsplit('(').next().unwrap_or_default());
    let is_field = |word: &&str| {
        let starts = word.chars().next().is_some_and(|c| c.is_alphabetic());
        starts && !keywords.contains(word) && !named.contains(word) && *word != "1h"
    };
    inside.filter(is_field).map(str::to_owned).collect()
}
