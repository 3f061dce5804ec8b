//! A month's bill, line by line.

use std::collections::BTreeSet;

use driftq_webhooks::{config::Config, telemetry::metrics};
use local::counted::{
    DUE_WRITES_PER_SLOW_CALL, GAUGE_QUERIES_OF_ALL_STEPS, LANE_READS_PER_RUN, LEASE_WRITES_PER_RUN,
    LOG_BYTES_PER_LOOK, LOG_BYTES_PER_RUN, LOG_BYTES_PER_WEBHOOK, PAUSE_READS_PER_RUN,
    QUERIES_PER_RUN_AND_STEP, RECENT_WRITES_PER_EFFECT, RECORD_WRITES_PER_RUN, WRITES_PER_EFFECT,
};
use serde::Serialize;

use super::{
    broker::Brokers,
    prices::{
        ALARM, API_REQUEST, DASHBOARD, EGRESS_GB, FILE_GB, FILE_WRITE_GB, IPV4_HOUR, LOG_GB, METRIC, NAT_GB,
        NAT_HOUR, PRIVATE_NAME, READ_UNIT, SCHEDULE, SECRET, SECRET_READ, TABLE_GB, TRACE, WRITE_UNIT,
    },
    traffic::{MONTH, TICKS, Traffic},
};

const GB: f64 = 1e9;
const HOURS: f64 = MONTH / 3600.0;
/// Bytes of the access log line per webhook, and of Lambda's own log lines per invocation. Estimates.
const ACCESS_LOG: f64 = 350.0;
const LAMBDA_LOG: f64 = 600.0;
/// Bytes of an effect's record, and the overhead per item and per index entry.
const RECORD: f64 = 1_000.0;
/// `keep_done`, in months.
const KEPT: f64 = 3.0;
/// Bytes to the internet per call of an effect, and in both directions through a NAT gateway, including ingest's wake-up.
/// Estimates; TLS causes most of them.
const SENT: f64 = 2_000.0;
const THROUGH_NAT: f64 = 10_000.0;
/// Reads of both secrets per month: at starts, and by the consumer every five minutes. An estimate.
const SECRET_READS: f64 = 20_000.0;
/// Alarms of `template.yaml`. Those that query by source count once per source.
pub(crate) const ALARMS: usize = 20;
/// Bytes that the broker writes per message and its ack. It makes two writes, and EFS counts at least 4 KiB for each.
const BROKER_LOGGED: f64 = 1_000.0;
const BROKER_WRITTEN: f64 = 2.0 * 4_096.0;
/// Metrics of Container Insights for one cluster with one service, at most.
const INSIGHTS: f64 = 26.0;

/// The options of a bill.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) traffic: Traffic,
    pub(crate) xray: bool,
    pub(crate) broker: bool,
    /// The broker's task has a public address.
    pub(crate) public_ip: bool,
    pub(crate) nat: bool,
    /// Days until a broker is replaced.
    pub(crate) days: f64,
}

/// The reason for a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    /// Grows with the webhooks.
    Webhooks,
    /// Does not depend on webhooks.
    Always,
    Xray,
    Broker,
    Nat,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line {
    pub(crate) part: Part,
    pub(crate) what: String,
    pub(crate) usd: f64,
}

/// The bill for a traffic and a configuration.
pub(crate) fn of(asked: &Asked, config: &Config) -> Vec<Line> {
    let mut lines = of_functions(asked.traffic, config);
    let mut add = |part, what: &str, usd| lines.push(Line { part, what: what.to_owned(), usd });
    if asked.xray {
        add(Part::Xray, "X-Ray", asked.traffic.traces() * TRACE);
    }
    if asked.broker {
        let messages = asked.traffic.effects();
        let brokers = Brokers::that_last(asked.days, messages);
        let size = format!(
            "Fargate: {} of {} vCPU and {} GB, replaced after {:.0} days",
            brokers.count, brokers.vcpu, brokers.gb, brokers.days
        );
        add(Part::Broker, &size, brokers.fargate());
        add(
            Part::Broker,
            "EFS and its backups",
            messages * (BROKER_LOGGED * FILE_GB + BROKER_WRITTEN * FILE_WRITE_GB) / GB,
        );
        let each = PRIVATE_NAME + INSIGHTS * METRIC + ALARM;
        add(Part::Broker, "private name, Container Insights, alarm", brokers.count * each);
        if asked.public_ip {
            add(Part::Broker, "public IPv4 address", brokers.count * HOURS * IPV4_HOUR);
        }
    }
    if asked.nat {
        add(Part::Nat, "a NAT gateway and its IPv4 address", HOURS * (NAT_HOUR + IPV4_HOUR));
        add(Part::Nat, "through it", asked.traffic.effects() * THROUGH_NAT / GB * NAT_GB);
    }
    lines
}

fn of_functions(traffic: Traffic, config: &Config) -> Vec<Line> {
    let idle = Traffic { webhooks: 0.0, ..traffic };
    let (ingest, consumer) = traffic.lambda();
    let (_, idle_consumer) = idle.lambda();
    let steps = count(config.steps.len());
    let idle_logs = logs(idle);
    let (index, per_effect) = (RECENT_WRITES_PER_EFFECT, WRITES_PER_EFFECT);
    let slow = if traffic.slow_calls { DUE_WRITES_PER_SLOW_CALL } else { 0 };
    let writes = traffic.effects() * count(per_effect + index + slow) * WRITE_UNIT;
    let lines = [
        (Part::Webhooks, "API Gateway", traffic.webhooks * API_REQUEST),
        (Part::Webhooks, "Lambda, ingest", ingest),
        (Part::Webhooks, "Lambda, consumer", consumer - idle_consumer),
        (Part::Webhooks, "DynamoDB, effects", writes),
        (
            Part::Webhooks,
            "DynamoDB, leases and reads of the agenda",
            runs(traffic, steps) - runs(idle, steps),
        ),
        (
            Part::Webhooks,
            "DynamoDB, storage and its backups",
            traffic.effects() * KEPT * RECORD / GB * TABLE_GB,
        ),
        (Part::Webhooks, "CloudWatch, logs", logs(traffic) - idle_logs),
        (Part::Webhooks, "to the internet", traffic.effects() * SENT / GB * EGRESS_GB),
        (Part::Always, "Lambda, consumer", idle_consumer),
        (Part::Always, "EventBridge Scheduler", TICKS * SCHEDULE),
        (Part::Always, "DynamoDB, leases and reads of the agenda", runs(idle, steps)),
        (Part::Always, "Secrets Manager", 2.0 * SECRET + SECRET_READS * SECRET_READ),
        (Part::Always, "CloudWatch, metrics", count(series(config)) * METRIC),
        (Part::Always, "CloudWatch, alarms", count(ALARMS + more_by_source(config)) * ALARM),
        (Part::Always, "CloudWatch, dashboard", DASHBOARD),
        (Part::Always, "CloudWatch, logs", idle_logs),
    ];
    lines.map(|(part, what, usd)| Line { part, what: what.to_owned(), usd }).into()
}

fn logs(traffic: Traffic) -> f64 {
    let webhook = count(LOG_BYTES_PER_WEBHOOK) + ACCESS_LOG + LAMBDA_LOG;
    let run = count(LOG_BYTES_PER_RUN) + LAMBDA_LOG;
    let bytes = traffic.webhooks * webhook + traffic.runs() * run + TICKS * count(LOG_BYTES_PER_LOOK);
    bytes / GB * LOG_GB
}

/// The cost of the consumer's invocations at the table, independent of what they find.
fn runs(traffic: Traffic, steps: f64) -> f64 {
    // A lease of 10 s is renewed after each third of it.
    let renewals = traffic.awake() / (10.0 / 3.0);
    let writes = traffic.runs() * count(LEASE_WRITES_PER_RUN + RECORD_WRITES_PER_RUN) + renewals;
    let looks = steps * (traffic.runs() * count(QUERIES_PER_RUN_AND_STEP) + traffic.awake());
    let lanes = traffic.runs() * count(LANE_READS_PER_RUN) + traffic.awake() / 10.0;
    let gauges = TICKS * (steps + count(GAUGE_QUERIES_OF_ALL_STEPS));
    // An eventually consistent read costs half a unit.
    let pauses = traffic.runs() * count(PAUSE_READS_PER_RUN);
    writes * WRITE_UNIT + (pauses + (looks + lanes + gauges) / 2.0) * READ_UNIT
}

/// The maximum number of metric series: one per name, and one per value of its dimension.
fn series(config: &Config) -> usize {
    let hosts: BTreeSet<_> = config.steps.iter().map(|step| step.destination()).collect();
    let values = |by| match by {
        "Source" => config.sources.len(),
        "Step" => config.steps.len(),
        "Destination" => hosts.len(),
        // The two functions, or about two reasons for a refusal.
        _ => 2,
    };
    // This metric exists only with a trace collector.
    let all = metrics::ALL.iter().filter(|metric| metric.name != metrics::SPANS_DROPPED.name);
    all.map(|metric| 1 + metric.by.map_or(0, values)).sum()
}

/// How many more than one each the two alarms that query by source count: by source, and by source with `reconcile`.
fn more_by_source(config: &Config) -> usize {
    let sources = config.sources.values();
    let reconciled = sources.filter(|source| source.reconcile.is_some()).count();
    config.sources.len().saturating_sub(1) + reconciled.saturating_sub(1)
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn count(count: usize) -> f64 {
    count as f64
}
