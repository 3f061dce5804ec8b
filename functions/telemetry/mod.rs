//! Logs and metrics: JSON lines on standard output, which Lambda collects. `docs/logging.md` says when a line is written, what it contains,
//! and what it never contains.
//!
//! `log` writes a log line · [`metrics`] is the list of metrics · [`line`](mod@line) is a line of metrics ·
//! [`distribution`] puts many measurements into one line · [`spans`] sends spans to a trace collector,
//! encoded by `otlp`.
//!
//! A failure is logged once, where it is handled. Its context (the Lambda request, the run, the effect) is in the enclosing spans, whose
//! fields are fields of the line.

pub mod distribution;
pub mod line;
mod log;
pub mod metrics;
mod otlp;
pub mod span;
pub mod spans;

use std::{io, panic, str::FromStr, sync::OnceLock};

use tracing::{Metadata, level_filters::LevelFilter};
use tracing_subscriber::{Layer as _, filter::filter_fn, layer::SubscriberExt as _, registry::Registry};

use self::log::JsonLines;
use crate::config::environment::Lookup;

/// Lambda's own log level setting.
const LOG_LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";
/// The CloudWatch namespace of the metrics: one per stack, so that stacks are not mixed.
const METRICS_NAMESPACE: &str = "METRICS_NAMESPACE";
static NAMESPACE: OnceLock<String> = OnceLock::new();
/// A log level that Lambda lets through, whatever its setting.
static LET_THROUGH: OnceLock<String> = OnceLock::new();

/// Starts logging, at the level of Lambda's own setting (`AWS_LAMBDA_LOG_LEVEL`), else at INFO. Metrics go to
/// the namespace in `METRICS_NAMESPACE`.
pub fn start(get: Lookup<'_>) {
    if let Some(namespace) = get(METRICS_NAMESPACE).filter(|name| !name.trim().is_empty()) {
        NAMESPACE.get_or_init(|| namespace);
    }
    let setting = get(LOG_LEVEL).unwrap_or_default();
    let level = match setting.as_str() {
        "" => LevelFilter::INFO,
        "FATAL" => LevelFilter::ERROR,
        other => LevelFilter::from_str(other).unwrap_or(LevelFilter::INFO),
    };
    if !setting.is_empty() {
        LET_THROUGH.get_or_init(|| setting);
    }
    let logs = JsonLines(io::stdout).with_filter(filter_fn(move |line| is_wanted(line, level)));
    // Err: a logger is already installed; it is kept.
    drop(tracing::subscriber::set_global_default(Registry::default().with(logs)));
    // Without the panic's message: it may quote the data being processed.
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "a defect: this program panicked");
    }));
}

fn namespace() -> &'static str {
    NAMESPACE.get().map_or(metrics::NAMESPACE, String::as_str)
}

/// Whether a line is logged. Spans are kept at every level: an error's line needs their fields. The Lambda runtime's line about a failed or
/// panicked handler is dropped, since we have logged it already, without the panic's message.
///
/// Of our dependencies only warnings are logged: their details contain bodies, tokens and items, which must not be logged.
fn is_wanted(line: &Metadata<'_>, level: LevelFilter) -> bool {
    if line.is_span() {
        return *line.level() <= LevelFilter::INFO;
    }
    let most = if is_ours(line.target()) { level } else { level.min(LevelFilter::WARN) };
    *line.level() <= most && line.target() != "lambda_runtime::layers::panic"
}

/// Whether a line comes from this crate: the library, or one of the functions.
fn is_ours(target: &str) -> bool {
    let krate = target.split("::").next().unwrap_or_default();
    [env!("CARGO_CRATE_NAME"), "ingest", "consumer"].contains(&krate)
}

/// The level of a metrics line. Lambda treats a line without a level as INFO, and drops it where only warnings are wanted
/// (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>); alarms need it.
fn let_through() -> &'static str {
    LET_THROUGH.get().map_or("INFO", String::as_str)
}
