//! Rate limits of sources, per process: a flood from one source must not use up shared resources, which are the broker, the table, and the
//! third parties.
//!
//! Only verified webhooks count, so forged ones can't block a source. A process handles one webhook at a time, and Lambda starts as many
//! processes as needed: this limit is per process, and the gateway's own limit is the global one.

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

/// The rate limiter of each source that has a limit.
#[derive(Debug)]
pub(super) struct Rates {
    paces: BTreeMap<String, Mutex<Pace>>,
    /// One moment, by the monotonic and the wall clock. A function is frozen between invocations, and only the wall clock continues.
    start: (Instant, Timestamp),
}

impl Rates {
    pub(super) fn new(config: &Config, now: Timestamp) -> Self {
        let limited = config.sources.values().filter_map(|source| Some((source.name.clone(), source.rate?)));
        let paces = limited.map(|(name, rate)| (name, Mutex::new(Pace::new(rate)))).collect();
        Self { paces, start: (Instant::now(), now) }
    }

    /// Whether one more webhook is accepted now.
    pub(super) fn take(&self, source: &Source, now: Timestamp) -> bool {
        let Some(pace) = self.paces.get(&source.name) else { return true };
        let (instant, timestamp) = self.start;
        let now = instant + Duration::try_from(now.duration_since(timestamp)).unwrap_or_default();
        pace.lock().unwrap_or_else(PoisonError::into_inner).book(now, now).is_some()
    }
}
