//! Asking each provider for what did not arrive, as often as its source says, beside everything else that a run does.
//!
//! A look goes back from now to where the last one ended, and some minutes further: clocks differ, an event may be listed late, and a
//! provider that says it will deliver again may not. What has been handled is recorded as the look goes on, so that the next
//! consumer goes on from there. It is cut short when the run ends, when the provider asks for a pause, or after some pages: no
//! effect waits for it.
//!
//! `look` what is looked at, page by page · `recovery` what is done about it · here when, and what is told of it.

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

use super::{Worker, run::Activity};
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
/// How long a dead consumer keeps others from a source: longer than a page and the writes for it may take.
const TURN: Duration = Duration::from_secs(60);
/// After a failure, doubled with each further one, up to the source's own interval.
const BACKOFF: Duration = Duration::from_secs(10);
const MOST_BACKOFF: Duration = Duration::from_secs(3600);

/// When each source is next to be looked at, as far as this process knows.
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

/// Looks at each source when it is due, until told to stop.
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
                // What has been handled is on record; the turn ends by itself.
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
    let taken = match worker.effects.take_turn(&source.name, &owner, TURN, now).await {
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
    match worker.effects.end_turn(turn, next).await {
        Ok(()) => worker.next_turns.set(&source.name, next),
        Err(error) => {
            tracing::warn!(source = source.name, %error, "how far a source was reconciled was not recorded")
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
    /// All of the time was looked at.
    Complete,
    /// There is more, from then on.
    CutShort { after: Duration },
    /// The provider did not answer as it should.
    Failed(Failure),
    /// The effects table did not.
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

/// In how long to go on.
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

/// How long to wait after a failure: at least `pause`, and longer with each one.
fn after_failure(pause: Option<Duration>, position: &mut Position, every: Duration) -> Duration {
    let backoff = BACKOFF.saturating_mul(1 << position.failures.min(10)).min(every);
    position.failures += 1;
    pause.unwrap_or_default().max(backoff).min(MOST_BACKOFF.max(every))
}
