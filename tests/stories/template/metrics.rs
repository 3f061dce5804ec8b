//! Metrics: alarms and the dashboard use metrics that the functions emit.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use driftq_webhooks::telemetry::metrics::ALL;
use serde_json::Value;

use super::{file::Template, read};

/// Each stack has a namespace of its own, so that one's alarms don't fire for another.
const NAMESPACE: &str = "${AWS::StackName}";
/// Counted in the access log, because no function sees these requests.
const OF_ACCESS_LOG: &str = "Throttled";

fn check(name: &str, dimension: Option<&str>) {
    if name == OF_ACCESS_LOG {
        return;
    }
    let emitted = ALL.iter().find(|metric| metric.name == name);
    let metric = emitted.unwrap_or_else(|| panic!("nobody emits {name}"));
    assert!(dimension.is_none() || dimension == metric.by, "{name} does not come by {dimension:?}");
}

/// The metrics of a dashboard's widgets, ours only: each name, and its dimension.
fn shown(widget: &Value) -> Result<Vec<(String, Option<String>)>> {
    let mut shown = Vec::new();
    for line in widget["properties"]["metrics"].as_array().into_iter().flatten() {
        let words: Vec<_> = line.as_array().into_iter().flatten().map_while(Value::as_str).collect();
        if let [NAMESPACE, name, dimension @ ..] = words.as_slice() {
            shown.push(((*name).to_owned(), dimension.first().map(|it| (*it).to_owned())));
        }
        if let Some(search) = line[0]["expression"].as_str() {
            let inside =
                search.strip_prefix(&format!("SEARCH('{{\"{NAMESPACE}\",")).context(search.to_owned())?;
            let (dimension, rest) = inside.split_once('}').context("a schema")?;
            let name = rest.split('"').nth(1).context("a name")?;
            shown.push((name.to_owned(), Some(dimension.to_owned())));
        }
    }
    Ok(shown)
}

fn dashboard(template: &Template) -> Result<Value> {
    let (_, dashboard) = template.resources("AWS::CloudWatch::Dashboard").next().context("no dashboard")?;
    let body = dashboard["Properties"]["DashboardBody"]["Fn::Sub"].as_str().context("no body")?;
    serde_json::from_str(body).context("the dashboard is not JSON")
}

#[test]
fn every_alarm_watches_something_that_is_emitted_and_is_explained() -> Result<()> {
    let (template, manual) = (Template::shipped()?, read("docs/operate.md")?);
    let mut alarms = BTreeSet::new();
    for (id, alarm) in template.resources("AWS::CloudWatch::Alarm") {
        let alarm = &alarm["Properties"];
        if alarm["Namespace"]["Ref"] == "AWS::StackName" {
            check(alarm["MetricName"].as_str().context("no name")?, alarm["Dimensions"][0]["Name"].as_str());
        }
        if let Some(query) = alarm["Metrics"][0]["Expression"]["Fn::Sub"].as_str() {
            let value = ["SELECT MAX(", "SELECT MIN("].iter().find_map(|value| query.strip_prefix(value));
            let (name, rest) = value.and_then(|it| it.split_once(')')).context("a query")?;
            let schema = format!(" FROM SCHEMA(\"{NAMESPACE}\", ");
            let (dimension, rest) =
                rest.strip_prefix(&schema).and_then(|it| it.split_once(')')).context("a schema")?;
            check(name, Some(dimension));
            assert_eq!(rest, format!(" GROUP BY {dimension}"));
        }
        assert!(manual.contains(&format!("\n### {id}\n")), "docs/operate.md has no section {id}");
        assert!(
            alarm["AlarmDescription"].as_str().is_some_and(|it| it.ends_with(id)),
            "{id} names its section"
        );
        alarms.insert(format!("${{{id}.Arn}}"));
    }
    let on_top = dashboard(&template)?["widgets"][0]["properties"]["alarms"].clone();
    let on_top: BTreeSet<String> = serde_json::from_value(on_top)?;
    assert_eq!(on_top, alarms, "the dashboard begins with all alarms");
    Ok(())
}

/// Only the consumer counts waiting records. While it does not run, the last count still applies.
#[test]
fn an_alarm_on_what_waits_keeps_its_state_while_nothing_is_counted() -> Result<()> {
    let template = Template::shipped()?;
    let is_gauge = |alarm: &&Value| {
        let name = alarm["Properties"]["MetricName"].as_str().unwrap_or_default();
        name.ends_with("Now") || name == "OldestDueAge"
    };
    let alarms = template.resources("AWS::CloudWatch::Alarm").map(|(_, alarm)| alarm);
    let gauges: Vec<_> = alarms.filter(is_gauge).map(|alarm| &alarm["Properties"]).collect();
    assert_eq!(gauges.len(), 2);
    for gauge in gauges {
        assert_eq!((&gauge["TreatMissingData"], &gauge["Statistic"]), (&"ignore".into(), &"Maximum".into()));
    }
    Ok(())
}

#[test]
fn the_dashboard_shows_all_that_is_emitted_and_nothing_else() -> Result<()> {
    let dashboard = dashboard(&Template::shipped()?)?;
    let mut names = BTreeSet::new();
    for widget in dashboard["widgets"].as_array().context("no widgets")? {
        for (name, dimension) in shown(widget)? {
            check(&name, dimension.as_deref());
            names.insert(name);
        }
    }
    let emitted = ALL.iter().map(|metric| metric.name.to_owned()).chain([OF_ACCESS_LOG.to_owned()]);
    assert_eq!(names, emitted.collect());
    Ok(())
}

/// The fields that it looks at are those of the log's format.
#[test]
fn what_the_gateway_throttles_is_counted_in_its_log() -> Result<()> {
    let template = Template::shipped()?;
    let (_, filter) = template.resources("AWS::Logs::MetricFilter").next().context("no filter")?;
    let filter = &filter["Properties"];
    assert_eq!(filter["LogGroupName"]["Ref"], "AccessLogGroup");
    assert_eq!(filter["FilterPattern"], r#"{ $.status = "429" && $.integrationStatus = "-" }"#);
    let transformation = &filter["MetricTransformations"][0];
    assert_eq!(transformation["MetricName"], OF_ACCESS_LOG);
    assert_eq!(transformation["MetricNamespace"]["Ref"], "AWS::StackName");
    let (_, api) = template.resources("AWS::Serverless::HttpApi").next().context("no API")?;
    let format = api["Properties"]["AccessLogSettings"]["Format"].as_str().context("no format")?;
    for field in ["\"status\":\"$context.status\"", "\"integrationStatus\":\"$context.integrationStatus\""] {
        assert!(format.contains(field), "{format}");
    }
    Ok(())
}
