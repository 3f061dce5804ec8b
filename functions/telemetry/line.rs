//! A line of metrics in CloudWatch's embedded metric format: CloudWatch extracts them from Lambda's log, so no request is made
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use jiff::Timestamp;
use metrique_writer_core::{
    Entry, EntryWriter, Observation, Value, ValueWriter, format::Format, value::MetricFlags,
};
use metrique_writer_format_emf::{Emf, MetricDefinition, MetricDirective};

use super::{distribution::Distribution, let_through, metrics::Metric, namespace};

/// A line of metrics being built.
#[derive(Debug, Default)]
pub struct Line {
    metrics: Vec<(&'static Metric, Distribution)>,
    properties: BTreeMap<&'static str, String>,
}

impl Line {
    /// Adds a count, or any single measurement.
    #[must_use]
    pub fn count(self, metric: &'static Metric, value: u64) -> Self {
        self.all(metric, value.into())
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
            self.metrics.push((metric, values));
        }
        self
    }

    /// Adds a dimension: its metrics are then also counted by the value of this property.
    #[must_use]
    pub fn property(mut self, name: &'static str, value: &str) -> Self {
        self.properties.insert(name, value.to_owned());
        self
    }

    /// Prints the line. If that fails, only these metrics are lost.
    pub fn print(&self) {
        let mut line = Vec::new();
        match self.format(&mut line) {
            // In one write, so that lines do not interleave.
            Ok(()) => drop(io::stdout().lock().write_all(&line)),
            Err(error) => tracing::error!(%error, "metrics could not be written"),
        }
    }

    fn format(&self, output: &mut Vec<u8>) -> Result<(), metrique_writer_core::IoStreamError> {
        let mut emf = Emf::builder(namespace().to_owned(), vec![vec![]]);
        for dimension in self.properties.keys() {
            let metrics = self.metrics.iter().map(|(metric, _)| *metric);
            let metrics: Vec<_> = metrics
                .filter(|metric| metric.by == Some(*dimension))
                .map(|Metric { name, unit, .. }| MetricDefinition {
                    name,
                    unit: *unit,
                    storage_resolution: None,
                })
                .collect();
            if !metrics.is_empty() {
                let dimensions = vec![vec![*dimension]];
                emf = emf.directive(MetricDirective { dimensions, metrics, namespace: namespace() });
            }
        }
        emf.build().format(self, output)
    }
}

impl Entry for Line {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        writer.value("level", let_through());
        writer.value("timestamp", Timestamp::now().to_string().as_str());
        for (name, value) in &self.properties {
            writer.value(*name, value.as_str());
        }
        for (metric, values) in &self.metrics {
            writer.value(metric.name, &Measured(metric, values));
        }
    }
}

struct Measured<'a>(&'a Metric, &'a Distribution);

impl Value for Measured<'_> {
    fn write(&self, writer: impl ValueWriter) {
        let values = self.1.values();
        let observations = values.iter().map(|(value, count)| match count {
            1 => Observation::Unsigned(*value),
            occurrences => Observation::Repeated {
                total: *value as f64 * *occurrences as f64,
                occurrences: *occurrences,
            },
        });
        writer.metric(observations, self.0.unit, [], MetricFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::telemetry::metrics::{ACCEPTED, CALL_LATENCY, COMMANDS, PARKED};

    fn json(line: &Line) -> Value {
        let mut text = Vec::new();
        line.format(&mut text).unwrap();
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
