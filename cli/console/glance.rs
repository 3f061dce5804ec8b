//! Data that several pages show: the newest effects of the last hour, what waits, and the consumer's last runs. Each is cached
//! briefly, so that several pages and windows don't multiply the reads. Each read is bounded.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use driftq_webhooks::effects::{
    listing::{Listing, Waiting},
    record::Record,
    runs::{ConsumerRun, RunLog},
};
use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Mutex, time::Instant};

use crate::groups::{Groups, groups};

/// The maximum number of effects, runs and waiting records that are read.
const EFFECTS: usize = 500;
pub(super) const RUNS: u16 = 300;
pub(super) const WAITING: u16 = 200;
/// The maximum number of parked records that are grouped.
const PARKED: u64 = 20_000;
pub(super) const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The cached data.
#[derive(Debug, Default)]
pub(super) struct Glance {
    effects: Look<Recent>,
    lanes: Look<Vec<(String, Waiting)>>,
    runs: Look<Vec<ConsumerRun>>,
    parked: Look<ParkedCount>,
    groups: Look<Groups>,
}

/// The number of parked records, counted up to one page.
#[derive(Debug)]
pub(super) struct ParkedCount {
    pub(super) all: u64,
    pub(super) in_doubt: u64,
    /// Whether there are more.
    pub(super) more: bool,
}

/// The newest effects of the last hour.
#[derive(Debug)]
pub(super) struct Recent {
    pub(super) records: Vec<Record>,
    /// Whether these are all of them.
    pub(super) whole: bool,
}

#[derive(Debug)]
struct Look<T>(Mutex<Option<(Instant, Arc<T>)>>);

impl<T> Default for Look<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Look<T> {
    async fn take(&self, fresh: Duration, look: impl Future<Output = Result<T>>) -> Result<Arc<T>> {
        let mut last = self.0.lock().await;
        if let Some((at, seen)) = &*last
            && at.elapsed() < fresh
        {
            return Ok(Arc::clone(seen));
        }
        let seen = Arc::new(look.await?);
        *last = Some((Instant::now(), Arc::clone(&seen)));
        Ok(seen)
    }
}

impl Glance {
    /// The newest effects.
    pub(super) async fn recent(&self, listing: &Listing, fresh: Duration) -> Result<Arc<Recent>> {
        self.effects.take(fresh * 2, recent(listing)).await
    }

    /// What waits in each lane.
    pub(super) async fn lanes(
        &self,
        listing: &Listing,
        fresh: Duration,
    ) -> Result<Arc<Vec<(String, Waiting)>>> {
        let look = async {
            let mut lanes = Vec::new();
            for lane in listing.lanes().await? {
                let waiting = listing.waiting(&lane, Timestamp::MAX, WAITING).await?;
                lanes.push((lane, waiting));
            }
            Ok(lanes)
        };
        self.lanes.take(fresh, look).await
    }

    /// The consumer's last runs, the newest first.
    pub(super) async fn runs(&self, log: &RunLog, fresh: Duration) -> Result<Arc<Vec<ConsumerRun>>> {
        let look = async { Ok(log.since(Timestamp::now() - HOUR, i32::from(RUNS), None).await?.0) };
        self.runs.take(fresh, look).await
    }

    /// The number of parked records.
    pub(super) async fn parked(&self, listing: &Listing, fresh: Duration) -> Result<Arc<ParkedCount>> {
        let look = async {
            let (page, next) = listing.parked_page(i32::from(WAITING), None).await?;
            let in_doubt = page.iter().filter(|record| record.doubt.is_some()).count() as u64;
            Ok(ParkedCount { all: page.len() as u64, in_doubt, more: next.is_some() })
        };
        self.parked.take(fresh, look).await
    }

    /// The groups of parked records.
    pub(super) async fn groups(&self, listing: &Listing, fresh: Duration) -> Result<Arc<Groups>> {
        self.groups.take(fresh * 2, groups(listing, None, PARKED)).await
    }
}

async fn recent(listing: &Listing) -> Result<Recent> {
    let now = Timestamp::now();
    let mut recent = listing.recent(now - HOUR, now + SignedDuration::from_secs(5));
    let mut records = Vec::new();
    while records.len() < EFFECTS {
        match recent.next().await? {
            Some(record) => records.push(record),
            None => return Ok(Recent { records, whole: true }),
        }
    }
    Ok(Recent { records, whole: false })
}
