//! Alarms: they go on when they should, and a notification is sent.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{file::Template, read};

fn alarms() -> Result<BTreeMap<String, Value>> {
    let template = Template::shipped()?;
    let alarms = template.resources("AWS::CloudWatch::Alarm");
    Ok(alarms.map(|(id, alarm)| (id.to_owned(), alarm["Properties"].clone())).collect())
}

#[test]
fn every_alarm_notifies_when_it_starts_and_ends() -> Result<()> {
    let topic = json!({ "Fn::If": ["HasAlarmTopic", [{ "Ref": "AlarmTopicArn" }], []] });
    for (id, alarm) in alarms()? {
        assert_eq!(alarm["AlarmActions"], topic, "{id}");
        // These two tell of an event; StillParkedAlarm says when nothing is parked any more.
        let over = if ["InDoubtAlarm", "ParkedAlarm"].contains(&id.as_str()) { &Value::Null } else { &topic };
        assert_eq!(alarm["OKActions"], *over, "{id}");
    }
    Ok(())
}

/// A missing metric means that nothing has happened. But a consumer without any output does not run, and the last count still applies.
#[test]
fn silence_is_an_alarm_for_the_consumer_only() -> Result<()> {
    for (id, alarm) in alarms()? {
        let expected = match id.as_str() {
            "NoSuccessfulRunAlarm" => "breaching",
            "StillParkedAlarm" | "OverdueAlarm" => "ignore",
            _ => "notBreaching",
        };
        assert_eq!(alarm["TreatMissingData"], expected, "{id}");
    }
    Ok(())
}

/// A mean would hide the one webhook of a hundred that takes longer than 3 s, after which its provider gives up.
#[test]
fn what_is_late_is_the_slowest_of_a_hundred() -> Result<()> {
    let alarms = alarms()?;
    let late_calls = json!({ "Ref": "ReceivedToCallMilliseconds" });
    for (id, metric, threshold) in
        [("SlowIngestAlarm", "IngestLatency", json!(2500)), ("LateCallsAlarm", "ReceivedToCall", late_calls)]
    {
        let alarm = &alarms[id];
        assert_eq!(
            (&alarm["MetricName"], &alarm["ExtendedStatistic"]),
            (&metric.into(), &"p99".into()),
            "{id}"
        );
        assert_eq!(
            (&alarm["Threshold"], &alarm["ComparisonOperator"]),
            (&threshold, &"GreaterThanThreshold".into())
        );
    }
    Ok(())
}

/// Alarms for each occurrence, and alarms with a threshold.
#[test]
fn alarms_go_on_at_what_their_section_says() -> Result<()> {
    let at_once = |metric: &'static str| (metric, "Sum", json!(0), "GreaterThanThreshold");
    let expected = [
        ("InDoubtAlarm", at_once("ParkedInDoubt")),
        ("ParkedAlarm", at_once("Parked")),
        ("StillParkedAlarm", ("ParkedNow", "Maximum", json!(0), "GreaterThanThreshold")),
        (
            "OverdueAlarm",
            ("OldestDueAge", "Maximum", json!({ "Ref": "OldestDueAgeSeconds" }), "GreaterThanThreshold"),
        ),
        ("NoSuccessfulRunAlarm", ("Runs", "Sum", json!(1), "LessThanThreshold")),
        ("PausedAlarm", at_once("Paused")),
        ("RecoveredAlarm", ("Recovered", "Sum", json!(10), "GreaterThanThreshold")),
        ("UnrecoveredAlarm", at_once("Unrecovered")),
        ("WakeUpsFailedAlarm", at_once("WakeUpsFailed")),
        ("ConsumerErrorsAlarm", at_once("Errors")),
        ("BrokerUnreachableAlarm", at_once("BrokerUnreachable")),
        ("IngestErrorsAlarm", at_once("5xx")),
        ("IngestThrottlesAlarm", at_once("Throttles")),
        ("RefusedAlarm", ("Refused", "Sum", json!(5), "GreaterThanOrEqualToThreshold")),
        ("ThrottledAlarm", at_once("Throttled")),
        ("DisabledAlarm", at_once("Disabled")),
    ];
    let alarms = alarms()?;
    for (id, (metric, statistic, threshold, comparison)) in expected {
        let alarm = alarms.get(id).context(id)?;
        let got =
            (&alarm["MetricName"], &alarm["Statistic"], &alarm["Threshold"], &alarm["ComparisonOperator"]);
        assert_eq!(got, (&metric.into(), &statistic.into(), &threshold, &comparison.into()), "{id}");
    }
    // With those of the tests above and below.
    assert_eq!(alarms.len(), 16 + 2 + 2);
    Ok(())
}

/// A total over all sources would hide one that fails behind the others.
#[test]
fn a_source_that_fails_is_not_hidden_by_the_others() -> Result<()> {
    let alarms = alarms()?;
    for (id, value, comparison) in [
        ("ReconcileFailedAlarm", "MIN(ReconcileFailed)", "GreaterThanOrEqualToThreshold"),
        ("SourceRefusedAlarm", "MAX(Genuine)", "LessThanThreshold"),
    ] {
        let alarm = &alarms[id];
        let query = format!("SELECT {value} FROM SCHEMA(\"${{AWS::StackName}}\", Source) GROUP BY Source");
        assert_eq!(alarm["Metrics"][0]["Expression"]["Fn::Sub"], query, "{id}");
        assert_eq!(
            (&alarm["Threshold"], &alarm["ComparisonOperator"]),
            (&json!(1), &comparison.into()),
            "{id}"
        );
    }
    Ok(())
}

/// The parameters' defaults are those explained in the page.
#[test]
fn the_thresholds_that_can_be_set_are_explained() -> Result<()> {
    let manual = read("docs/operate.md")?;
    for parameter in ["OldestDueAgeSeconds", "ReceivedToCallMilliseconds"] {
        assert!(manual.contains(&format!("`{parameter}`")), "docs/operate.md has no {parameter}");
    }
    Ok(())
}
