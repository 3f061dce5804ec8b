//! How many effects each step had in the last hour, by whether a client started them.

use std::collections::BTreeMap;

use super::super::glance::Recent;
use crate::effect::{origin, state};

/// The source of runs that clients start.
pub(super) const CLIENTS: &str = "api";

/// The number of effects and of parked effects, by step and by whether a client has started them.
pub(super) struct Counts<'r>(BTreeMap<(&'r str, bool), (u64, u64)>);

impl<'r> Counts<'r> {
    pub(super) fn of(recent: &'r Recent) -> Self {
        let mut counts: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for record in &recent.records {
            // A step has at most one other source, and a run id need not contain the name of that. So only this name
            // is compared.
            let by_client = origin(&record.run_id).0 == CLIENTS;
            let (all, parked) = counts.entry((record.step.as_str(), by_client)).or_default();
            *all += 1;
            *parked += u64::from(matches!(state(record), "parked" | "in doubt"));
        }
        Self(counts)
    }

    /// The counts of a step's effects that its source has started, or that clients have started.
    pub(super) fn of_arrow(&self, step: &str, by_client: bool) -> (u64, u64) {
        self.0.get(&(step, by_client)).copied().unwrap_or_default()
    }

    /// The counts of all effects of a step.
    pub(super) fn of_step(&self, step: &str) -> (u64, u64) {
        let [(all, parked), (more, also)] = [false, true].map(|by_client| self.of_arrow(step, by_client));
        (all + more, parked + also)
    }
}
