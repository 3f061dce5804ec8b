//! Gauges: the number of waiting records, once a minute, for alarms that must stay on while records wait.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::{
    effects::{StoreError, runs::Counts},
    telemetry::{
        line::Line,
        metrics::{DUE_NOW, OLDEST_DUE_AGE, PARKED_IN_DOUBT_NOW, PARKED_NOW},
    },
};

const EVERY: Duration = Duration::from_secs(60);
/// Counts stop here, so that a long queue does not cost one read per record every minute.
const MOST: u16 = 1000;

/// When this process last counted, by the wall clock: monotonic clocks stop while a function is frozen.
#[derive(Debug, Default)]
pub(super) struct LastLook(Mutex<Option<Timestamp>>);

impl LastLook {
    /// How long until the next count; if it is due, it counts as done.
    fn due_in(&self, now: Timestamp) -> Option<Duration> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = last.map(|last| Duration::try_from(now.duration_since(last)).unwrap_or(EVERY));
        let wait = EVERY.saturating_sub(age.unwrap_or(EVERY));
        if wait.is_zero() {
            *last = Some(now);
            return None;
        }
        Some(wait)
    }
}

/// Counts once a minute until told to stop.
pub(super) async fn every_minute(worker: &Arc<Worker>, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        match worker.last_look.due_in(worker.now()) {
            None => {
                if let Err(error) = look(worker).await {
                    tracing::warn!(%error, "waiting records could not be counted");
                }
                worker.meter.print(&worker.destinations);
                log(worker);
            }
            Some(wait) => tokio::select! {
                () = sleep(wait) => {}
                () = stop.cancelled() => {}
            },
        }
    }
}

/// Logs progress, so that a long run is not silent until its end.
fn log(worker: &Worker) {
    let Counts { received, from_agenda, done, deferred, parked, .. } = worker.meter.counts();
    tracing::info!(outcome = "running", received, from_agenda, done, deferred, parked, "a run goes on");
}

async fn look(worker: &Worker) -> Result<(), StoreError> {
    let now = worker.now();
    let (mut due, mut oldest) = (0, None);
    for lane in worker.listing.lanes().await? {
        let waiting = worker.listing.waiting(&lane, now, MOST).await?;
        due += waiting.count;
        oldest = [oldest, waiting.oldest].into_iter().flatten().min();
    }
    let age = oldest.map(|oldest| Duration::try_from(now.duration_since(oldest)).unwrap_or_default());
    let parked = worker.listing.parked(i32::from(MOST)).await?;
    let in_doubt = parked.iter().filter(|record| record.doubt.is_some()).count() as u64;
    // Steps of the configuration are included with zero, so that alarms go off again.
    let mut by_step: BTreeMap<&str, u64> =
        worker.config.steps.iter().map(|step| (step.id.as_str(), 0)).collect();
    for record in &parked {
        *by_step.entry(&record.step).or_default() += 1;
    }
    Line::default()
        .property("Function", "consumer")
        .count(&DUE_NOW, due)
        .count(&OLDEST_DUE_AGE, age.unwrap_or_default().as_secs())
        .count(&PARKED_IN_DOUBT_NOW, in_doubt)
        .print();
    for (step, count) in by_step {
        Line::default().property("Step", step).count(&PARKED_NOW, count).print();
    }
    Ok(())
}
