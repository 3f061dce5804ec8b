//! Reconciliation: asks each provider for missing events, as often as its source says, in parallel with the rest of a run.
//!
//! A scan goes back from now to where the last one ended, and some minutes further: clocks differ, an event may be listed late, and a provider
//! may not redeliver although it said so. Progress is recorded during the scan, so that the next consumer continues from there. A scan is
//! interrupted when the run ends, when the provider asks for a pause, or after some pages: no effect waits for it.
//!
//! `look` scans page by page · `recovery` recovers an event · this file decides when, and reports.

mod look;
mod recovery;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use look::{Found, Looking};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Worker, activity::Activity};
use crate::{
    config::{reconcile::Reconcile, source::Source},
    effects::{
        StoreError,
        reconciliation::{Position, Taken},
    },
    reconcile::Failure,
    telemetry::{
        line::Line,
        metrics::{RECONCILE_FAILED, RECOVERED, UNRECOVERED},
    },
};

/// How often it is checked whether a source is due.
const TICK: Duration = Duration::from_secs(5);
/// Length of a turn: how long a dead consumer blocks a source. It is longer than a page and its writes may take.
const TURN: Duration = Duration::from_secs(60);
/// Backoff after a failure, doubled with each further one, up to the source's own interval.
const BACKOFF: Duration = Duration::from_secs(10);
const MOST_BACKOFF: Duration = Duration::from_secs(3600);

/// When each source is due next, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct NextTurns(Mutex<BTreeMap<String, Timestamp>>);

impl NextTurns {
    fn is_due(&self, source: &str, now: Timestamp) -> bool {
        let turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.get(source).is_none_or(|next| *next <= now)
    }

    fn set(&self, source: &str, next: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(source.to_owned(), next);
    }
}

/// Scans each source when it is due, until told to stop.
pub(super) async fn as_due(worker: &Arc<Worker>, activity: &Activity, stop: &CancellationToken) {
    let sources = worker.config.sources.values();
    let sources: Vec<_> = sources.filter_map(|source| Some((source, source.reconcile.as_ref()?))).collect();
    if sources.is_empty() {
        return;
    }
    loop {
        for (source, reconcile) in &sources {
            if !worker.next_turns.is_due(&source.name, worker.now()) {
                continue;
            }
            let turn = activity.while_busy(turn(worker, source, reconcile));
            tokio::select! {
                biased;
                // Progress is recorded, and the turn expires.
                () = stop.cancelled() => return,
                () = turn => {}
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(TICK) => {}
        }
    }
}

async fn turn(worker: &Arc<Worker>, source: &Source, reconcile: &Reconcile) {
    let now = worker.now();
    let owner = Uuid::new_v4().to_string();
    let taken = match worker.reconciliation.take_turn(&source.name, &owner, TURN, now).await {
        Ok(Taken::Ours(turn)) => turn,
        Ok(Taken::NotBefore(next)) => return worker.next_turns.set(&source.name, next),
        Err(error) => return tracing::warn!(source = source.name, %error, "a source is not reconciled"),
    };
    let (ended, found) = Looking::new(worker, source, reconcile, taken).look(now).await;
    let Found { mut turn, recovered, lost } = found;
    let next = worker.now() + pause(&ended, &mut turn.position, reconcile.every);
    Line::default()
        .property("Source", &source.name)
        .count(&RECOVERED, recovered)
        .count(&RECONCILE_FAILED, u64::from(matches!(ended, Ended::Failed(_) | Ended::NoTable(_))))
        .count_if_any(&UNRECOVERED, lost)
        .print();
    tell(source, &ended, recovered);
    match worker.reconciliation.end_turn(turn, next).await {
        Ok(()) => worker.next_turns.set(&source.name, next),
        Err(error) => {
            tracing::warn!(source = source.name, %error, "the progress of a source's reconciliation was not recorded")
        }
    }
}

fn tell(source: &Source, ended: &Ended, recovered: u64) {
    let source = source.name.as_str();
    match ended {
        Ended::Complete if recovered == 0 => tracing::debug!(source, recovered, "a source was reconciled"),
        Ended::Complete => {
            tracing::warn!(source, recovered, "a source was reconciled: events had not arrived")
        }
        Ended::CutShort { .. } => {
            tracing::info!(source, recovered, "a source is reconciled further in the next turn")
        }
        Ended::Failed(error @ Failure::Refused(_)) => {
            tracing::error!(source, recovered, %error, "a source can't be reconciled: the provider refuses");
        }
        Ended::Failed(error) => tracing::warn!(source, recovered, %error, "a source is reconciled later"),
        Ended::NoTable(error) => tracing::warn!(source, recovered, %error, "a source is reconciled later"),
    }
}

/// How a turn ended.
enum Ended {
    /// The whole period was scanned.
    Complete,
    /// There is more, from this time on.
    CutShort { after: Duration },
    /// The provider did not respond, or not as expected.
    Failed(Failure),
    /// The effects table could not be used.
    NoTable(StoreError),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::NoTable(error)
    }
}

/// The pause before the next turn.
fn pause(ended: &Ended, position: &mut Position, every: Duration) -> Duration {
    match ended {
        Ended::Complete => every,
        Ended::CutShort { after } => *after,
        Ended::Failed(Failure::Limited { pause, .. }) => after_failure(*pause, position, every),
        Ended::Failed(Failure::Gone { .. } | Failure::Refused(_)) => {
            after_failure(Some(every), position, every)
        }
        Ended::Failed(Failure::Unavailable(_)) | Ended::NoTable(_) => after_failure(None, position, every),
    }
}

/// The pause after a failure: at least `pause`, and longer with each failure.
fn after_failure(pause: Option<Duration>, position: &mut Position, every: Duration) -> Duration {
    let backoff = BACKOFF.saturating_mul(1 << position.failures.min(10)).min(every);
    position.failures += 1;
    pause.unwrap_or_default().max(backoff).min(MOST_BACKOFF.max(every))
}
