//! How many genuine webhooks of a source one process takes: a storm of one is not to use up what the others share, which are
//! the broker, the table, and the third parties behind them.
//!
//! Counted once they are verified, so that a forger can't shut a source. A process handles one webhook at a time, and Lambda
//! starts as many as it takes: the limit is that of each, and the gateway's own is the one for all.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    config::{Config, source::Source},
    pace::Pace,
};

/// Of each source that has a limit.
#[derive(Debug)]
pub(super) struct Rates {
    paces: BTreeMap<String, Mutex<Pace>>,
    /// One moment by both clocks. Between invocations a function is frozen, and only the clock on the wall goes on.
    start: (Instant, Timestamp),
}

impl Rates {
    pub(super) fn new(config: &Config, now: Timestamp) -> Self {
        let limited = config.sources.values().filter_map(|source| Some((source.name.clone(), source.rate?)));
        let paces = limited.map(|(name, rate)| (name, Mutex::new(Pace::new(rate)))).collect();
        Self { paces, start: (Instant::now(), now) }
    }

    /// Whether one more is taken now.
    pub(super) fn take(&self, source: &Source, now: Timestamp) -> bool {
        let Some(pace) = self.paces.get(&source.name) else { return true };
        let (instant, timestamp) = self.start;
        let now = instant + Duration::try_from(now.duration_since(timestamp)).unwrap_or_default();
        pace.lock().unwrap_or_else(PoisonError::into_inner).book(now, now).is_some()
    }
}
