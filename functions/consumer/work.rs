//! Works on one command until it is settled: a received message, or a due record.
//!
//! A message is settled as soon as it is covered durably: its effect's record is done, parked, or on the agenda. So a message never waits
//! long. While its effect's destination is closed, or its call is slow, the record is put on the agenda, the message leaves the topic, and
//! its partition goes on.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout};
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use super::{
    Worker, agenda::NEWER_POLL, attempt::Claimed, destinations::NoPlace, plan::Plan, report::Conclusion,
    task::Task, turns::Turn, verdict::Ended,
};
use crate::{
    command::Command,
    effects::{
        Settled, StoreError,
        guard::{Claim, ClaimRequest, Held, Mismatch, Recorded},
    },
};

/// Why a message is not settled. It stays in the topic and is redelivered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsettled {
    /// A defect in this program.
    #[error("the step panicked")]
    Panicked,
    /// The effects table could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How often a claim is repeated when another attempt records its outcome in between.
const CLAIMS: u32 = 3;
/// How long a command is kept before it is parked if its step is not in `webhooks.toml`, or if it needs a newer version: during a
/// deployment, ingest can be newer than this consumer.
const NOT_FOR_US: SignedDuration = SignedDuration::from_hours(1);

/// Whether an attempt fits into the time.
enum Fit {
    /// It fits: its lease takes this long.
    Now(Duration),
    /// Not into the rest of this invocation.
    Later,
    /// Not into any invocation.
    Never(Duration),
}

/// Where a command was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Message,
    Agenda,
}

impl Worker {
    /// Works on one message until it is settled. A slow call goes on in the background.
    ///
    /// # Errors
    /// See [`Unsettled`].
    pub(super) async fn message(self: Arc<Self>, key: &str, value: &str) -> Result<Settled, Unsettled> {
        let task = match self.read(value).await {
            Ok(task) => Arc::new(task),
            Err(why) => {
                let settled = self.guard.park_malformed(key, value, &why, self.now()).await?;
                self.report_malformed();
                return Ok(settled);
            }
        };
        let span = task.span();
        let work = async {
            let settled = self.settle(&task).await;
            settled.inspect_err(|error| {
                let duration_ms = task.duration_ms();
                tracing::error!(outcome = "unsettled", %error, duration_ms, "a message stays in the topic");
            })
        };
        work.instrument(span).await
    }

    async fn settle(self: &Arc<Self>, task: &Arc<Task>) -> Result<Settled, Unsettled> {
        // A duplicate often follows its original in the same partition: it waits for the original's attempt, and then finds the effect recorded.
        // If that takes long, the claim tells which attempt has it.
        let turn = timeout(self.config.consumer.slow_call, self.turns.take(&task.effect)).await.ok();
        let step = task.step(&self.config).filter(|_| task.command.is_understood());
        let Some(step) = step else {
            return match self.not_for_us(task) {
                None if task.command.is_understood() => {
                    self.enqueue(task, self.now(), "webhooks.toml has no such step; it may be new").await
                }
                None => self.enqueue(task, self.now() + NEWER_POLL, "it needs a newer version").await,
                Some(plan) => {
                    self.claim(task, plan, self.config.consumer.settle, turn, Origin::Message).await
                }
            };
        };
        let lease = match self.fit(step.longest() + self.config.consumer.settle) {
            Fit::Now(lease) => lease,
            Fit::Later => return self.enqueue(task, self.now(), "no time left for the step").await,
            Fit::Never(needed) => {
                return self.claim(task, Plan::never_fits(needed), needed, turn, Origin::Message).await;
            }
        };
        match self.destinations.of(step).place_for_message().await {
            Ok(place) => self.claim(task, Plan::Call(place), lease, turn, Origin::Message).await,
            Err(NoPlace::Busy) => self.enqueue(task, self.now(), "its destination is busy").await,
            Err(NoPlace::Closed { until }) => {
                let due = self.now() + until.saturating_duration_since(Instant::now());
                self.enqueue(task, due, "its destination is closed").await
            }
        }
    }

    /// Works on a due record. The result is recorded.
    pub(super) async fn due(self: Arc<Self>, task: Task, plan: Plan, lease: Duration) {
        // It is already being worked on here, as a message: that attempt moves the record.
        let Some(turn) = self.turns.try_take(&task.effect) else { return };
        self.meter.taken_from_agenda();
        let (span, task) = (task.span(), Arc::new(task));
        let work = async {
            if let Err(error) = self.claim(&task, plan, lease, Some(turn), Origin::Agenda).await {
                let duration_ms = task.duration_ms();
                tracing::error!(outcome = "unsettled", %error, duration_ms, "a due effect stays due");
            }
        };
        work.instrument(span).await;
    }

    /// The plan for a command of an unknown step, or one that only a newer version understands. None: wait.
    pub(super) fn not_for_us(&self, task: &Task) -> Option<Plan> {
        let why = if task.command.is_understood() {
            "webhooks.toml has no such step".to_owned()
        } else {
            format!("only a newer version understands it; it needs {}", task.command.needs.join(", "))
        };
        let age = self.now().duration_since(task.command.received_at);
        (age >= NOT_FOR_US).then(|| Plan::Park(why))
    }

    fn fit(&self, needed: Duration) -> Fit {
        if self.deadline.leaves(needed) {
            Fit::Now(needed)
        } else if self.deadline.could_leave(needed) {
            Fit::Later
        } else {
            Fit::Never(needed)
        }
    }

    /// Puts the command on the agenda, before any claim: no attempt is used.
    async fn enqueue(&self, task: &Task, due: Timestamp, why: &'static str) -> Result<Settled, Unsettled> {
        let settled = self.agenda.enqueue(&task.effect, &task.command, due, self.now()).await?;
        self.report(task, task.command.attempt, &Conclusion::of_enqueued(settled.how(), why));
        Ok(settled)
    }

    /// Claims the effect, and continues by the result.
    async fn claim(
        self: &Arc<Self>,
        task: &Arc<Task>,
        plan: Plan,
        lease: Duration,
        turn: Option<Turn>,
        origin: Origin,
    ) -> Result<Settled, Unsettled> {
        let Task { command, effect, .. } = &**task;
        let is_recorded = origin == Origin::Agenda || self.config.journal;
        let on_agenda = is_recorded || plan.is_slow();
        for left in (0..CLAIMS).rev() {
            let ask =
                ClaimRequest { effect, command, attempt_id: Uuid::new_v4(), lease, is_recorded, on_agenda };
            let held = match self.guard.claim(&ask, self.now()).await? {
                Claim::Won(lease) => return self.begin(task, Claimed::Won(lease), plan, turn, origin).await,
                Claim::InDoubt(doubt) => {
                    return self.begin(task, Claimed::InDoubt(doubt), plan, turn, origin).await;
                }
                Claim::Recorded(recorded) => return Ok(self.recorded(task, recorded).await),
                Claim::Mismatch(mismatch) => return self.mismatch(task, &mismatch).await,
                Claim::Held(held) => held,
            };
            match self.watch(task, held).await {
                Err(StoreError::Fenced) if left > 0 => {}
                watched => return Ok(watched?),
            }
        }
        Err(StoreError::Fenced.into())
    }

    /// Starts an attempt. A message waits for it, but not long.
    async fn begin(
        self: &Arc<Self>,
        task: &Arc<Task>,
        claimed: Claimed,
        plan: Plan,
        turn: Option<Turn>,
        origin: Origin,
    ) -> Result<Settled, Unsettled> {
        let (handed_over, held) = (claimed.handed_over(), claimed.held());
        let (worker, its_task) = (Arc::clone(self), Arc::clone(task));
        let attempt = async move {
            // Boxed here, where it is made: a task is copied several times until it runs. In a block, which is made in the box: what a
            // function returns is copied there.
            let ended = Box::pin(async { worker.attempt(&its_task, claimed, plan).await }).await;
            drop(turn);
            match ended {
                Ok(Ended { settled, begun }) => {
                    worker.go_on(begun);
                    Ok(settled)
                }
                Err(error) => {
                    let duration_ms = its_task.duration_ms();
                    tracing::error!(outcome = "unrecorded", %error, duration_ms, "the outcome of an attempt could not be recorded");
                    Err(error)
                }
            }
        };
        if origin == Origin::Agenda {
            return Ok(attempt.await?);
        }
        let mut attempt = self.background.spawn(Box::pin(attempt).instrument(Span::current()));
        if let Some(settled) = handed_over {
            return Ok(settled);
        }
        if let Ok(ended) = timeout(self.config.consumer.slow_call, &mut attempt).await {
            return Ok(ended.map_err(|_| Unsettled::Panicked)??);
        }
        match self.guard.hand_over(held, &task.command, self.now()).await {
            Ok(settled) => Ok(settled),
            // The attempt has just ended, or the table can't be asked: then the message waits for the end.
            Err(_) => Ok(attempt.await.map_err(|_| Unsettled::Panicked)??),
        }
    }

    async fn watch(&self, task: &Task, held: Held) -> Result<Settled, StoreError> {
        let settled = self.guard.watch(held, &task.command, self.now()).await?;
        self.report(task, task.command.attempt, &Conclusion::Held);
        Ok(settled)
    }

    async fn recorded(&self, task: &Task, recorded: Recorded) -> Settled {
        self.report(task, task.command.attempt, &Conclusion::Duplicate { status: Some(recorded.status) });
        if recorded.status.is_over() {
            self.discard_input(task).await;
        }
        recorded.settled()
    }

    async fn mismatch(&self, task: &Task, mismatch: &Mismatch) -> Result<Settled, Unsettled> {
        let Task { command, effect, .. } = task;
        let settled = self.guard.park_mismatch(effect, command, mismatch, self.now()).await?;
        let (why, in_doubt) = (mismatch.why(command), mismatch.in_doubt());
        self.report(task, command.attempt, &Conclusion::Parked { why: &why, in_doubt });
        Ok(settled)
    }

    /// Works on the commands that have begun. They are on the agenda as well, in case the destination has no call slot now, or this process dies.
    pub(super) fn go_on(self: &Arc<Self>, begun: Vec<Command>) {
        for command in begun {
            let Ok(task) = Task::new(command, &self.spans) else { continue };
            let span = task.span();
            self.background.spawn(Arc::clone(self).begin_next(task).instrument(span));
        }
    }

    async fn begin_next(self: Arc<Self>, task: Task) {
        let Some(step) = task.step(&self.config) else { return };
        let lease = step.longest() + self.config.consumer.settle;
        if !self.deadline.leaves(lease) {
            return;
        }
        if let Ok(place) = self.destinations.of(step).place_for_message().await {
            self.due(task, Plan::Call(place), lease).await;
        }
    }
}
