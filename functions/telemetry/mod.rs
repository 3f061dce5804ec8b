//! Logs and metrics: JSON lines on standard output, where Lambda takes them from. `docs/logging.md` says when a line is
//! written, what is in it, and what never is.
//!
//! [`metrics`] what is measured · [`line`](mod@line) one line of it · [`distribution`] many measurements in one ·
//! [`spans`] for who collects traces, in the form of `otlp`.
//!
//! A failure is logged once, at the boundary where it is dealt with. What it is about (the Lambda request, the run, the
//! effect) stands in the spans around it, whose fields are fields of the line.

pub mod distribution;
pub mod line;
pub mod metrics;
mod otlp;
pub mod spans;

use std::{panic, str::FromStr, sync::OnceLock};

use json_subscriber::JsonLayer;
use tracing::{Metadata, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _, filter::filter_fn, fmt::time::SystemTime, layer::SubscriberExt as _, registry::Registry,
};

use crate::config::environment::Lookup;

/// Lambda's own log level setting.
const LOG_LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";
/// Where CloudWatch keeps the metrics: one for each stack, so that none is mixed with another's.
const METRICS_NAMESPACE: &str = "METRICS_NAMESPACE";
static NAMESPACE: OnceLock<String> = OnceLock::new();
/// The level at which Lambda lets a line through, whatever it is set to.
static LET_THROUGH: OnceLock<String> = OnceLock::new();

/// Starts logging, at the level that Lambda's own setting names (`AWS_LAMBDA_LOG_LEVEL`), else at INFO; and measuring, in
/// `METRICS_NAMESPACE`.
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
    let logs = json().with_filter(filter_fn(move |line| is_wanted(line, level)));
    // Err: somebody logs already, and goes on.
    drop(tracing::subscriber::set_global_default(Registry::default().with(logs)));
    // Not the message: it may quote what was being worked on.
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "a defect: this program panicked");
    }));
}

fn namespace() -> &'static str {
    NAMESPACE.get().map_or(metrics::NAMESPACE, String::as_str)
}

/// One flat object a line: its own fields, and those of all spans around it.
fn json<S>() -> JsonLayer<S>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    let mut json = JsonLayer::stdout();
    json.with_timer("timestamp", SystemTime);
    json.with_level("level");
    json.with_flattened_event();
    json.with_top_level_flattened_span_list();
    json
}

/// Spans are wanted whatever the level: an error's line needs their fields. What Lambda's runtime says of a handler
/// that failed or panicked has been said by us, without the panic's message.
///
/// Of the crates that we use only warnings: in their details stand bodies, tokens and items, which are no log's business.
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

/// The level that a metric's line bears. Lambda takes a line without one for INFO, and drops it where only warnings are
/// wanted (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>); alarms need it.
fn let_through() -> &'static str {
    LET_THROUGH.get().map_or("INFO", String::as_str)
}
