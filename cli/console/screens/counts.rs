//! How many effects each step had in the last hour, by what started them.

use std::collections::BTreeMap;

use super::super::glance::Recent;
use crate::effect::{origin, state};

/// The source of what clients start.
pub(super) const CLIENTS: &str = "api";

/// The number of effects and of parked effects, by step and by whether a client has started them.
pub(super) struct Counts<'r>(BTreeMap<(&'r str, bool), (u64, u64)>);

impl<'r> Counts<'r> {
    pub(super) fn of(recent: &'r Recent) -> Self {
        let mut counts: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for record in &recent.records {
            // A step has one source. A run's name may not contain it.
            let by_client = origin(&record.run_id).0 == CLIENTS;
            let (all, parked) = counts.entry((record.step.as_str(), by_client)).or_default();
            *all += 1;
            *parked += u64::from(matches!(state(record), "parked" | "in doubt"));
        }
        Self(counts)
    }

    /// From a step's source, or from clients.
    pub(super) fn of_arrow(&self, step: &str, by_client: bool) -> (u64, u64) {
        self.0.get(&(step, by_client)).copied().unwrap_or_default()
    }

    /// Of all, at a step.
    pub(super) fn of_step(&self, step: &str) -> (u64, u64) {
        let [(all, parked), (more, also)] = [false, true].map(|by_client| self.of_arrow(step, by_client));
        (all + more, parked + also)
    }
}
