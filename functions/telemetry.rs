//! Logs: one JSON line an outcome, on standard output, where Lambda takes them from.
//!
//! A failure is logged once, at the boundary where it is dealt with, with `run_id` or `effect_id`, `attempt` and why.
//! Bodies and secrets are never logged.

use std::str::FromStr;

use tracing::level_filters::LevelFilter;

use crate::config::environment::Lookup;

/// Starts logging, at the level that Lambda's own setting names (`AWS_LAMBDA_LOG_LEVEL`), else at INFO.
pub fn start(get: Lookup<'_>) {
    let level = get("AWS_LAMBDA_LOG_LEVEL").and_then(|level| LevelFilter::from_str(&level).ok());
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_max_level(level.unwrap_or(LevelFilter::INFO))
        .init();
}
