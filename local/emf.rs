//! A parser of CloudWatch's embedded metric format, as strict as CloudWatch: a line that breaks a rule is an error, every other one gives its data
//! points.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

/// Maximum metrics of a directive, and maximum values of a metric.
const MAX: usize = 100;
const MAX_DIMENSIONS: usize = 30;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Metadata {
    cloud_watch_metrics: Vec<Directive>,
    timestamp: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Directive {
    namespace: String,
    dimensions: Vec<Vec<String>>,
    metrics: Vec<Definition>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Definition {
    name: String,
    #[serde(default)]
    unit: Option<String>,
}

/// All data points of one metric under one set of dimensions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Points {
    /// Their sum.
    pub sum: f64,
    /// How many there are.
    pub count: f64,
}

/// The metrics of some lines, by `Name` or `Name{Dimension=value}`.
#[derive(Debug, Default)]
pub struct Metrics(pub BTreeMap<String, Points>);

impl Metrics {
    /// The sum of a metric; zero if there is none.
    #[must_use]
    pub fn sum(&self, name: &str) -> f64 {
        self.0.get(name).map_or(0.0, |points| points.sum)
    }

    /// The number of a metric's data points.
    #[must_use]
    pub fn count(&self, name: &str) -> f64 {
        self.0.get(name).map_or(0.0, |points| points.count)
    }

    /// Adds the metrics of a line, all of them in this namespace. False: it is not a metrics line.
    ///
    /// # Errors
    /// It is a malformed metrics line.
    pub fn add(&mut self, line: &Value, namespace: &str) -> Result<bool> {
        let Some(metadata) = line.get("_aws") else { return Ok(false) };
        let metadata = Metadata::deserialize(metadata).context("_aws")?;
        ensure!(metadata.timestamp > 1_500_000_000_000, "a timestamp is in milliseconds");
        ensure!(!metadata.cloud_watch_metrics.is_empty(), "no directive");
        for directive in &metadata.cloud_watch_metrics {
            ensure!(directive.namespace == namespace, "the namespace {}", directive.namespace);
            ensure!((1..=MAX).contains(&directive.metrics.len()), "{} metrics", directive.metrics.len());
            ensure!(!directive.dimensions.is_empty(), "no dimension set");
            for set in &directive.dimensions {
                let labels = labels(line, set)?;
                for metric in &directive.metrics {
                    let points = points(line, metric).with_context(|| metric.name.clone())?;
                    let all = self.0.entry(format!("{}{labels}", metric.name)).or_default();
                    all.sum += points.sum;
                    all.count += points.count;
                }
            }
        }
        Ok(true)
    }
}

/// `{Dimension=value}`; nothing for the empty set.
fn labels(line: &Value, set: &[String]) -> Result<String> {
    ensure!(set.len() <= MAX_DIMENSIONS, "{} dimensions", set.len());
    let value = |name: &String| {
        let value = line.get(name).and_then(Value::as_str).with_context(|| format!("no text {name}"))?;
        ensure!((1..=1024).contains(&value.len()) && value.is_ascii(), "{name} is {value:?}");
        Ok(format!("{name}={value}"))
    };
    let labels = set.iter().map(value).collect::<Result<Vec<_>>>()?;
    Ok(if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) })
}

fn points(line: &Value, metric: &Definition) -> Result<Points> {
    let unit = metric.unit.as_deref().unwrap_or("None");
    ensure!(["None", "Count", "Milliseconds", "Seconds"].contains(&unit), "the unit {unit}");
    let member = line.get(&metric.name).context("no such member")?;
    let numbers = |name: &str| -> Result<Vec<f64>> {
        let list = member[name].as_array().with_context(|| format!("no {name}"))?;
        ensure!(list.len() <= MAX, "{} {name}", list.len());
        list.iter().map(|number| number.as_f64().context("no number")).collect()
    };
    match member {
        Value::Number(number) => Ok(Points { sum: number.as_f64().context("no number")?, count: 1.0 }),
        Value::Object(_) => {
            let (values, counts) = (numbers("Values")?, numbers("Counts")?);
            ensure!(values.len() == counts.len(), "{} values, {} counts", values.len(), counts.len());
            let sum = values.iter().zip(&counts).map(|(value, count)| value * count).sum();
            Ok(Points { sum, count: counts.iter().sum() })
        }
        other => bail!("a metric is no {other}"),
    }
}
