//! Works on due records directly: each lane is polled during the run, and a due record goes straight to claim, call and commit.
//!
//! A lane is read page by page, so that each record is read about once, however many are due. A due record waits for a call slot at its
//! step's destination like any message, and a lane is rarely read while its destination is closed. So no lane delays another, and a failing
//! destination with a long queue costs very little.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{
    StreamExt as _,
    future::{self, join_all},
    stream,
};
use jiff::Timestamp;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    Worker,
    activity::Activity,
    destinations::{Destination, NoPlace},
    plan::Plan,
    task::Task,
};
use crate::{
    config::step::Step,
    effects::{Cursor, StoreError, agenda::Due},
};

/// Records read from a lane at a time.
const PAGE: i32 = 64;
/// Records of a lane that may wait for a call slot at a time.
const WAITING: usize = 16;
/// Polling interval of a lane with nothing due.
const POLL: Duration = Duration::from_secs(1);
/// The run does not end while a record becomes due within this time.
const SOON: Duration = Duration::from_secs(5);
/// Polling interval for records that need a newer version.
pub(super) const NEWER_POLL: Duration = Duration::from_secs(60);
/// Tolerance for due times: they are stored in whole milliseconds, and two clocks are read one after the other.
const SLACK: Duration = Duration::from_millis(20);
/// Polling interval of lanes whose step is not in `webhooks.toml`.
const UNKNOWN_POLL: Duration = Duration::from_secs(10);

/// Works on due records.
#[derive(Debug)]
pub(super) struct DueWork<'a> {
    pub(super) worker: &'a Arc<Worker>,
    pub(super) activity: &'a Activity,
    pub(super) stop: &'a CancellationToken,
    /// Wakes the lanes that are waiting.
    pub(super) look_again: Notify,
}

/// When a lane is read next.
enum Next {
    /// From this position, at once.
    Page(Cursor),
    /// From the beginning, at this time.
    At(Instant),
    /// As [`Next::At`], and the run does not end before.
    Soon(Instant),
}

impl DueWork<'_> {
    /// Works on all lanes until told to stop.
    pub(super) async fn run(&self) {
        let steps = &self.worker.config.steps;
        if let Err(error) = self.worker.agenda.register_lanes(steps.iter().map(|step| &step.id)).await {
            tracing::warn!(%error, "the lanes of the agenda could not be written down");
        }
        let known = join_all(steps.iter().map(|step| self.work_lane(step)));
        tokio::join!(known, self.work_unknown());
    }

    async fn work_lane(&self, step: &Step) {
        let destination = self.worker.destinations.of(step);
        let (mut from, mut is_first) = (None, true);
        while !self.stop.is_cancelled() {
            let next = match self.work_page(step, &destination, from.take(), is_first).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(step = %step.id, %error, "the agenda could not be read; trying again");
                    Next::At(Instant::now() + POLL)
                }
            };
            is_first = false;
            match next {
                Next::Page(cursor) => from = Some(cursor),
                Next::At(time) => self.pause_until(time).await,
                Next::Soon(time) => self.activity.while_busy(self.pause_until(time)).await,
            }
        }
    }

    async fn pause_until(&self, time: Instant) {
        tokio::select! {
            () = sleep_until(time) => {}
            () = self.look_again.notified() => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Whether a record is due that could be worked on now or soon. If so, all lanes are read again at once.
    pub(super) async fn has_due(&self) -> bool {
        let steps = self.worker.config.steps.iter().filter_map(|step| Some((step, self.horizon(step)?)));
        let looks = steps.map(async |(step, horizon)| {
            let until = self.worker.now() + horizon;
            let page = self.worker.agenda.due(step.id.as_str(), until, 1, None).await;
            page.is_ok_and(|page| !page.due.is_empty())
        });
        let has_due = join_all(looks).await.contains(&true);
        if has_due {
            self.look_again.notify_waiters();
        }
        has_due
    }

    /// How far ahead the run looks for due records of the step: none if there is no time for it, or its destination stays closed.
    fn horizon(&self, step: &Step) -> Option<Duration> {
        let lease = step.longest() + self.worker.config.consumer.settle;
        let closed_until = self.worker.destinations.of(step).closed_until();
        let opens = closed_until.map(|until| until.saturating_duration_since(Instant::now()) + SLACK);
        let has_time = |horizon: &Duration| self.worker.deadline.leaves(lease + *horizon) && *horizon <= SOON;
        match opens {
            None => [SOON, Duration::ZERO].into_iter().find(has_time),
            Some(opens) => Some(opens).filter(has_time),
        }
    }

    /// Starts the due records of one page.
    async fn work_page(
        &self,
        step: &Step,
        destination: &Arc<Destination>,
        from: Option<Cursor>,
        is_first: bool,
    ) -> Result<Next, StoreError> {
        let lease = step.longest() + self.worker.config.consumer.settle;
        let has_time = self.worker.deadline.leaves(lease);
        if !has_time && self.worker.deadline.could_leave(lease) {
            // Left to the next run, which has more time.
            return Ok(Next::At(Instant::now() + POLL));
        }
        if let Some(until) = destination.closed_until() {
            return self.wait_closed(step, until).await;
        }
        let (now, limit) = (self.worker.now(), if destination.is_probing() { 1 } else { PAGE });
        let page = self.worker.agenda.due(step.id.as_str(), now + SOON, limit, from);
        let page = if is_first { self.activity.while_busy(page).await? } else { page.await? };
        if is_first {
            self.worker.meter.oldest_due(page.due.first().map(|due| due.due_at), now);
        }
        if page.unreadable > 0 {
            let count = page.unreadable;
            tracing::error!(step = %step.id, count, "the agenda holds records that can't be read; they are passed over");
        }
        if !page.due.is_empty() {
            self.activity.touch();
        }
        let (due, later): (Vec<_>, Vec<_>) = page.due.into_iter().partition(|due| due.due_at <= now);
        let begun = stream::iter(due).map(|due| self.begin(due, destination, lease, has_time));
        // Several records wait at a time, as several messages do, so that both get a share of the call slots.
        let all_begun = begun.buffer_unordered(WAITING).all(future::ready).await;
        Ok(match (all_begun, later.first(), page.next) {
            (false, ..) => Next::At(Instant::now()),
            (true, Some(first), _) => Next::Soon(Instant::now() + until(first.due_at, now).min(POLL)),
            (true, None, Some(next)) => Next::Page(next),
            (true, None, None) => Next::At(Instant::now() + POLL),
        })
    }

    /// Keeps the run going for a destination that opens soon, if a record will be due there.
    async fn wait_closed(&self, step: &Step, until: Instant) -> Result<Next, StoreError> {
        let now = Instant::now();
        let closed_for = until.saturating_duration_since(now);
        if closed_for > SOON {
            return Ok(Next::At(now + POLL));
        }
        let opens = self.worker.now() + closed_for + SLACK;
        let page = self.worker.agenda.due(step.id.as_str(), opens, 1, None).await?;
        Ok(if page.due.is_empty() { Next::At(until.min(now + POLL)) } else { Next::Soon(until) })
    }

    /// Starts a record once its destination has a call slot. False: not now.
    async fn begin(&self, due: Due, destination: &Arc<Destination>, lease: Duration, has_time: bool) -> bool {
        let Ok(task) = Task::new(due.command, &self.worker.spans) else { return true };
        if !task.command.is_understood() {
            self.leave_to_newer(task).await;
            return true;
        }
        let plan = if has_time {
            let place = tokio::select! {
                place = self.activity.while_busy(destination.place_for_due()) => place,
                () = self.stop.cancelled() => return false,
            };
            match place {
                Ok(_) if !self.worker.deadline.leaves(lease) => return false,
                Ok(place) => Plan::Call(place),
                Err(NoPlace::Closed { .. } | NoPlace::Busy) => return false,
            }
        } else {
            Plan::never_fits(lease)
        };
        self.spawn(task, plan, lease);
        true
    }

    /// Leaves a record on the agenda for the next version. It does not keep this run going.
    async fn leave_to_newer(&self, task: Task) {
        if let Some(plan) = self.worker.not_for_us(&task) {
            return self.spawn(task, plan, self.worker.config.consumer.settle);
        }
        let now = self.worker.now();
        if let Err(error) = self.worker.agenda.postpone(&task.effect, now + NEWER_POLL, now).await {
            tracing::warn!(effect_id = %task.effect, %error, "a command that needs a newer version stays due");
        }
    }

    fn spawn(&self, task: Task, plan: Plan, lease: Duration) {
        let work = Arc::clone(self.worker).due(task, plan, lease);
        self.worker.background.spawn(Box::pin(work).in_current_span());
    }

    /// Parks old records of steps that are no longer in the configuration, or not yet.
    async fn work_unknown(&self) {
        while !self.stop.is_cancelled() {
            if let Err(error) = self.work_unknown_lanes().await {
                tracing::warn!(%error, "the agenda's lanes of unknown steps could not be read");
            }
            tokio::select! {
                () = sleep(UNKNOWN_POLL) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    async fn work_unknown_lanes(&self) -> Result<(), StoreError> {
        let worker = self.worker;
        let known: BTreeSet<&str> = worker.config.steps.iter().map(|step| step.id.as_str()).collect();
        let lanes = worker.agenda.lanes().await?;
        for lane in lanes.iter().filter(|lane| !known.contains(lane.as_str())) {
            let mut from = None;
            while !self.stop.is_cancelled() {
                let page = worker.agenda.due(lane, worker.now(), PAGE, from.take()).await?;
                // The longest due come first, and those are about the oldest.
                let mut is_old = false;
                for due in page.due {
                    let Ok(task) = Task::new(due.command, &worker.spans) else { continue };
                    if let Some(plan) = worker.not_for_us(&task) {
                        is_old = true;
                        Arc::clone(worker).due(task, plan, worker.config.consumer.settle).await;
                    }
                }
                from = page.next.filter(|_| is_old);
                if from.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn until(due: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(due.duration_since(now)).unwrap_or_default()
}
