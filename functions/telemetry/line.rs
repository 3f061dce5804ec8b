//! A line of metrics in CloudWatch's embedded metric format: CloudWatch extracts them from Lambda's log, so no request is made
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use std::io::{self, Write};

use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{distribution::Distribution, let_through, metrics::Metric, namespace};

/// A line of metrics being built.
#[derive(Debug, Default)]
pub struct Line<'a> {
    metrics: Vec<(&'static Metric, Measured)>,
    properties: Vec<(&'static str, &'a str)>,
}

/// The measurements of a metric.
#[derive(Debug)]
enum Measured {
    One(u64),
    Many(Distribution),
}

impl<'a> Line<'a> {
    /// Adds a count, or any single measurement.
    #[must_use]
    pub fn count(mut self, metric: &'static Metric, value: u64) -> Self {
        self.metrics.push((metric, Measured::One(value)));
        self
    }

    /// Adds a count, unless it is zero.
    #[must_use]
    pub fn count_if_any(self, metric: &'static Metric, value: u64) -> Self {
        if value == 0 { self } else { self.count(metric, value) }
    }

    /// Adds many measurements. If there are none, the metric is left out.
    #[must_use]
    pub fn all(mut self, metric: &'static Metric, values: Distribution) -> Self {
        if !values.is_empty() {
            self.metrics.push((metric, Measured::Many(values)));
        }
        self
    }

    /// Adds a dimension: its metrics are then also counted by the value of this property.
    #[must_use]
    pub fn property(mut self, name: &'static str, value: &'a str) -> Self {
        self.properties.push((name, value));
        self
    }

    /// Prints the line. If that fails, only these metrics are lost.
    pub fn print(&self) {
        let mut line = Vec::with_capacity(1024);
        match self.write(&mut line) {
            // In one write, so that lines do not interleave.
            Ok(()) => drop(io::stdout().lock().write_all(&line)),
            Err(error) => tracing::error!(%error, "metrics could not be written"),
        }
    }

    fn write(&self, output: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(&mut *output, self)?;
        output.push(b'\n');
        Ok(())
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let now = Timestamp::now();
        let mut line = serializer.serialize_map(None)?;
        let directives = Directives(self);
        line.serialize_entry("_aws", &Aws { timestamp: now.as_millisecond(), directives })?;
        line.serialize_entry("level", let_through())?;
        line.serialize_entry("timestamp", &now)?;
        for (name, value) in &self.properties {
            line.serialize_entry(name, value)?;
        }
        for (metric, measured) in &self.metrics {
            line.serialize_entry(metric.name, measured)?;
        }
        line.end()
    }
}

/// The member that tells CloudWatch which other members of the line are metrics.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Aws<'a> {
    timestamp: i64,
    #[serde(rename = "CloudWatchMetrics")]
    directives: Directives<'a>,
}

/// All metrics as totals, and those of each dimension by its value.
struct Directives<'a>(&'a Line<'a>);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'static str,
    dimensions: [&'a [&'static str]; 1],
    metrics: Definitions<'a>,
}

/// The metrics of a dimension, or all of them.
struct Definitions<'a> {
    line: &'a Line<'a>,
    by: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: &'static str,
}

impl Serialize for Directives<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(line) = self;
        let namespace = namespace();
        let total = Directive { namespace, dimensions: [&[]], metrics: Definitions { line, by: None } };
        let names = line.properties.iter().map(|(name, _)| std::slice::from_ref(name));
        let by = names.map(|name| {
            let metrics = Definitions { line, by: Some(name[0]) };
            Directive { namespace, dimensions: [name], metrics }
        });
        let by = by.filter(|directive| directive.metrics.iter().next().is_some());
        serializer.collect_seq(std::iter::once(total).chain(by))
    }
}

impl Definitions<'_> {
    fn iter(&self) -> impl Iterator<Item = Definition> {
        let metrics = self.line.metrics.iter().map(|(metric, _)| *metric);
        let metrics = metrics.filter(|metric| self.by.is_none() || metric.by == self.by);
        metrics.map(|Metric { name, unit, .. }| Definition { name, unit })
    }
}

impl Serialize for Definitions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl Serialize for Measured {
    /// A number, or each distinct value with its count.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Values {
            values: Vec<u64>,
            counts: Vec<u64>,
        }
        match self {
            Self::One(value) => serializer.serialize_u64(*value),
            Self::Many(distribution) => match distribution.values()[..] {
                [(value, 1)] => serializer.serialize_u64(value),
                ref values => {
                    let (values, counts) = values.iter().copied().unzip();
                    Values { values, counts }.serialize(serializer)
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::telemetry::metrics::{ACCEPTED, CALL_LATENCY, COMMANDS, PARKED};

    fn json(line: &Line<'_>) -> Value {
        let mut text = Vec::new();
        line.write(&mut text).unwrap();
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
        let mut json: Value = serde_json::from_slice(&text).unwrap();
        assert!(json["timestamp"].as_str().unwrap().parse::<Timestamp>().is_ok());
        assert!(json["_aws"]["Timestamp"].is_u64());
        json["_aws"].as_object_mut().unwrap().remove("Timestamp");
        json.as_object_mut().unwrap().remove("timestamp");
        json
    }

    #[test]
    fn a_metric_is_there_as_a_total_and_by_its_dimension() {
        let line = Line::default().count(&ACCEPTED, 1).count(&COMMANDS, 2).property("Source", "a \"b\"\n");
        let (accepted, commands) =
            (json!({"Name": "Accepted", "Unit": "Count"}), json!({"Name": "Commands", "Unit": "Count"}));
        assert_eq!(
            json(&line),
            json!({
                "_aws": { "CloudWatchMetrics": [
                    { "Namespace": "DriftqWebhooks", "Dimensions": [[]], "Metrics": [accepted, commands] },
                    { "Namespace": "DriftqWebhooks", "Dimensions": [["Source"]], "Metrics": [accepted] },
                ] },
                "level": "INFO", "Source": "a \"b\"\n", "Accepted": 1, "Commands": 2,
            })
        );
    }

    #[test]
    fn many_measurements_are_one_value_with_counts_and_none_are_nothing() {
        let mut times = Distribution::default();
        [5, 5, 9].iter().for_each(|ms| times.add(*ms));
        let line = Line::default()
            .all(&CALL_LATENCY, times)
            .all(&PARKED, Distribution::default())
            .property("Step", "open_ticket");
        let json = json(&line);
        assert_eq!(json["CallLatency"], json!({ "Values": [5, 9], "Counts": [2, 1] }));
        assert_eq!(json["Parked"], Value::Null);
        assert_eq!(
            json["_aws"]["CloudWatchMetrics"][1]["Metrics"],
            json!([{ "Name": "CallLatency", "Unit": "Milliseconds" }])
        );
    }
}
