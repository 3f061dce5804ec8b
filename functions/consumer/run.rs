//! One run: every broker's stream and the agenda, in parallel, until all of them are quiet or time is up.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    RunError, Worker,
    activity::{Activity, TICK},
    agenda::DueWork,
    decided,
    drain::Reading,
    gauges,
    reader::{Read, Reader},
    reconcile,
    streams::Streams,
    summary::End,
};
use crate::effects::pause::Pauses;

/// A run ends only after this many quiet ticks, in each of which its parts can report activity.
const QUIET_TICKS: u32 = 4;

/// What a run works with.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) pauses: &'a Pauses,
    pub(super) worker: &'a Arc<Worker>,
    pub(super) readings: &'a [Reading],
    pub(super) streams: &'a Streams,
    pub(super) idle_exit: Duration,
}

impl Run<'_> {
    /// Runs, unless an operator has paused the consumer. If another consumer was woken meanwhile and found the stream taken, runs once more.
    ///
    /// # Errors
    /// A broker's topic could not be read; the other brokers and the agenda are still worked on. Or the pause could not be read: then nothing is
    /// done, since claims need the table as well.
    pub(super) async fn run(&self) -> Result<End, RunError> {
        if let Some(pause) = self.pauses.current().await? {
            tracing::info!(since = %pause.since, by = pause.by, why = pause.note, "the consumer is paused");
            return Ok(End::Paused);
        }
        loop {
            let (end, reads) = self.round().await;
            let reads = reads.into_iter().collect::<Result<Vec<_>, _>>()?;
            let is_requested = reads.contains(&Read::Requested);
            if end == End::Drained && is_requested && self.worker.deadline.leaves(self.idle_exit * 2) {
                continue;
            }
            let is_busy = !reads.is_empty() && reads.iter().all(|read| *read == Read::Busy);
            return Ok(if is_busy && end == End::Drained { End::Busy } else { end });
        }
    }

    async fn round(&self) -> (End, Vec<Result<Read, RunError>>) {
        let (activity, stop) = (Activity::default(), CancellationToken::new());
        let readers = self.readings.iter().map(|reading| {
            let reader = Reader { worker: self.worker, reading, activity: &activity, stop: &stop };
            async move {
                let broker = reading.topic.broker_name();
                self.streams.begin(broker);
                let read = reader.run().await.inspect_err(|error| log(reading, error));
                self.streams.end(broker, &read, self.worker.now());
                read
            }
        });
        let agenda =
            DueWork { worker: self.worker, activity: &activity, stop: &stop, look_again: Notify::new() };
        let (reads, (), end, (), (), ()) = tokio::join!(
            join_all(readers),
            agenda.run(),
            self.watch(&activity, &agenda, &stop),
            gauges::every_minute(self.worker, &stop),
            reconcile::as_due(self.worker, &activity, &stop),
            decided::tell(self.worker, &stop)
        );
        self.worker.finish().await;
        (end, reads)
    }

    /// Stops everything once the run is quiet, or time is up. Ingest does not wake a consumer that it has
    /// just woken, so the agenda is checked again at the end for what ingest has added.
    async fn watch(&self, activity: &Activity, agenda: &DueWork<'_>, stop: &CancellationToken) -> End {
        let idle_exit = self.idle_exit.max(TICK * QUIET_TICKS);
        loop {
            sleep(TICK).await;
            if !self.worker.background.is_empty() {
                activity.touch();
            }
            let end = if !self.worker.deadline.leaves(self.worker.config.consumer.settle) {
                End::Deadline
            } else if activity.tick() < idle_exit {
                continue;
            } else if agenda.has_due().await {
                activity.touch();
                continue;
            } else {
                End::Drained
            };
            stop.cancel();
            return end;
        }
    }
}

/// Logs the failure of one broker. The others and the agenda go on; the run fails at its end.
fn log(reading: &Reading, error: &RunError) {
    tracing::warn!(broker = reading.topic.broker_name(), %error, "a broker is not read any more in this run");
}
