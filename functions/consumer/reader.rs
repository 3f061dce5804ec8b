//! Reads one broker during one run: takes its stream lease, and reads stream after stream until told to stop.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    RunError, Worker,
    activity::Activity,
    drain::{Drain, Reading, StreamEnd},
};
use crate::effects::{
    StoreError,
    stream_lease::{Released, StreamLease, Taken},
};

/// How often a broken stream is reopened.
const STREAMS: u32 = 5;
pub(super) const CREATE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the broker may take to respond.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How the reading of one broker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Stopped as told.
    Stopped,
    /// Stopped as told; another consumer was woken meanwhile, so there may be more to do.
    Requested,
    /// Another consumer reads this broker.
    Busy,
}

/// Reads one broker.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) worker: &'a Arc<Worker>,
    pub(super) reading: &'a Reading,
    pub(super) activity: &'a Activity,
    pub(super) stop: &'a CancellationToken,
}

impl Reader<'_> {
    /// Reads until told to stop.
    ///
    /// # Errors
    /// The broker or the table could not be used, or the stream lease was lost. Only this broker is affected.
    pub(super) async fn run(&self) -> Result<Read, RunError> {
        let Some(lease) = self.activity.while_busy(self.take()).await? else { return Ok(Read::Busy) };
        let lost = CancellationToken::new();
        let lease = Arc::new(lease);
        let keeping = keep(Arc::clone(self.worker), Arc::clone(&lease), lost.clone());
        let keeping = AbortOnDropHandle::new(tokio::spawn(keeping.in_current_span()));
        let outcome = self.drain(&lost).await;
        keeping.abort();
        // After the renewal task has ended, only this function holds the lease.
        let _ = keeping.await;
        let released = match Arc::into_inner(lease) {
            Some(lease) => self.worker.stream_leases.release(lease).await,
            None => Ok(Released::Quietly),
        };
        match released {
            Ok(Released::Requested) => outcome.map(|()| Read::Requested),
            Ok(Released::Quietly) => outcome.map(|()| Read::Stopped),
            Err(error) => {
                tracing::warn!(%error, "the stream lease was not released; it ends by itself");
                outcome.map(|()| Read::Stopped)
            }
        }
    }

    /// Takes the stream lease. A living consumer has renewed its lease within the last third of the lease's length; then the broker is busy. A
    /// dead consumer's lease expires while we wait.
    async fn take(&self) -> Result<Option<StreamLease>, StoreError> {
        let Worker { stream_leases, config, deadline, .. } = &**self.worker;
        let length = config.consumer.stream_lease;
        let Reading { topic, group, lease } = self.reading;
        let name = format!("{}:{group}:{}", topic.name, topic.broker_name());
        let owner = Uuid::new_v4().to_string();
        let take = || stream_leases.take(&name, &owner, length, self.worker.now());
        let until = match take().await? {
            Taken::Ours(lease) => return Ok(Some(lease)),
            Taken::Held(until) => until,
        };
        let wait = Duration::try_from(until.duration_since(self.worker.now())).unwrap_or_default();
        if wait > length * 2 / 3 || !deadline.leaves(wait + *lease) {
            return Ok(None);
        }
        let (broker, wait) = (topic.broker_name(), wait + Duration::from_millis(10));
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(broker, wait_ms, "another consumer has the stream; waiting for its lease to end");
        sleep(wait).await;
        match take().await? {
            Taken::Ours(lease) => Ok(Some(lease)),
            Taken::Held(_) => Ok(None),
        }
    }

    /// Reads stream after stream.
    async fn drain(&self, lost: &CancellationToken) -> Result<(), RunError> {
        let (mut broken, mut has_answered) = (0, false);
        loop {
            let drain = Drain::open(self.worker, self.reading, self.activity);
            let (ended, answered) = drain.run(self.stop, lost).await;
            has_answered |= answered;
            let error = match ended {
                StreamEnd::Stopped => return self.answers(has_answered).await,
                StreamEnd::LeaseLost => return Err(RunError::LeaseLost),
                StreamEnd::Broken(error) => error,
            };
            broken += 1;
            let pause = Duration::from_millis(200) * broken;
            if broken == STREAMS || !self.worker.deadline.leaves(pause + self.worker.config.consumer.settle) {
                return Err(RunError::Broker(error));
            }
            let (broker, topic) = (self.reading.topic.broker_name(), &self.reading.topic);
            if error.is_topic_missing() {
                tracing::info!(broker, "the topic does not exist; creating it");
                topic.create(CREATE_TIMEOUT).await.map_err(RunError::Broker)?;
            } else {
                tracing::warn!(broker, %error, "the stream broke; opening another");
                tokio::select! {
                    () = self.activity.while_busy(sleep(pause)) => {}
                    () = lost.cancelled() => return Err(RunError::LeaseLost),
                }
            }
        }
    }

    /// Checks that the broker responds: both an empty topic and a broker that hangs send nothing.
    async fn answers(&self, has_answered: bool) -> Result<(), RunError> {
        if has_answered {
            return Ok(());
        }
        self.reading.topic.broker.topics(ANSWER_TIMEOUT).await.map(drop).map_err(RunError::Broker)
    }
}

/// Renews the lease until it is lost: to another consumer, or because it can't be renewed before it expires.
async fn keep(worker: Arc<Worker>, lease: Arc<StreamLease>, lost: CancellationToken) {
    let mut renewed = Instant::now();
    loop {
        sleep(lease.length / 3).await;
        let asked = Instant::now();
        let left = lease.length.saturating_sub(renewed.elapsed());
        match timeout(left, worker.stream_leases.renew(&lease, worker.now())).await {
            Ok(Ok(())) => renewed = asked,
            Ok(Err(error)) if !matches!(error, StoreError::Fenced) => {
                tracing::warn!(%error, "the stream lease was not renewed; trying again");
            }
            Ok(Err(_)) | Err(_) => return lost.cancel(),
        }
    }
}
