//! One message: claim, call, commit. Every way through ends in a [`Settled`], or in a reason why the message must
//! come back.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use super::{
    Worker, deadline::Deadline, events::Kind, look_up::LookedUp, meter::NO_STEP, outcome::NotApplied,
    task::Task,
};
use crate::{
    command::Command,
    config::{
        in_doubt::{InDoubt, LookUp},
        step::Step,
    },
    effects::{
        Settled, StoreError,
        guard::{Claim, Doubt, Mismatch, Request},
        parked::MALFORMED_RUN,
    },
    trace::Traceparent,
};

/// Why a message is not settled. It stays in the topic and comes back.
#[derive(Debug, thiserror::Error)]
pub enum Unsettled {
    /// There is not enough time left in this invocation for the call and its commit.
    #[error("no time left for the step")]
    NoTime,
    /// A defect in this program.
    #[error("the step panicked")]
    Panicked,
    /// The effects table could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An effect whose process died is taken up at once until this try, and waits from then on, as after any failure: what
/// kills its process each time must not kill one after the other, and all that is under way in them.
const AT_ONCE: u32 = 2;
/// How often a claim is repeated when another attempt reports back in between.
const CLAIMS: u32 = 3;

impl Worker {
    /// Works on one message.
    ///
    /// # Errors
    /// See [`Unsettled`].
    pub(super) async fn work(
        &self,
        key: &str,
        value: &str,
        deadline: Deadline,
    ) -> Result<Settled, Unsettled> {
        let began = Instant::now();
        let parsed = serde_json::from_str::<Command>(value).map_err(|error| error.to_string());
        let parsed = parsed.and_then(|command| {
            let effect = command.effect_id().map_err(|error| error.to_string())?;
            Ok((command, effect))
        });
        let (command, effect) = match parsed {
            Ok(parsed) => parsed,
            Err(why) => return self.park_malformed(key, value, &why).await,
        };
        let step = self.config.step(command.step.as_str());
        let trace = command.traceparent.unwrap_or_else(Traceparent::new);
        let task = Task { command: &command, effect: &effect, step, trace, began };
        let span = task.span();
        let work = async {
            let outcome = self.take_turn(&task, deadline).await;
            let outcome = outcome.inspect(|_| self.published.settled(&effect, &command));
            outcome.inspect_err(|error| {
                let duration_ms = task.duration_ms();
                if matches!(error, Unsettled::NoTime) {
                    tracing::info!(outcome = "unsettled", %error, duration_ms, "a message is left to the next run");
                } else {
                    tracing::error!(outcome = "unsettled", %error, duration_ms, "a message stays in the topic");
                }
            })
        };
        work.instrument(span).await
    }

    async fn take_turn(&self, task: &Task<'_>, deadline: Deadline) -> Result<Settled, Unsettled> {
        let Task { step, effect, .. } = task;
        let _turn = self.turns.take(effect).await;
        let needed = step.map_or(Duration::ZERO, Step::longest) + self.config.consumer.settle;
        if !deadline.leaves(needed) {
            return Err(Unsettled::NoTime);
        }
        self.settle(task, needed).await
    }

    /// `why` may quote the message, so it goes into the record and not into the log.
    async fn park_malformed(&self, key: &str, value: &str, why: &str) -> Result<Settled, Unsettled> {
        let settled = self.effects.park_malformed(key, value, why, self.now()).await?;
        tracing::error!(
            outcome = "parked",
            run_id = MALFORMED_RUN,
            step = NO_STEP,
            in_doubt = 0,
            "a message that is no command is parked"
        );
        self.meter.parked(NO_STEP, false);
        Ok(settled)
    }

    async fn settle(&self, task: &Task<'_>, lease: Duration) -> Result<Settled, Unsettled> {
        let Task { command, effect, .. } = task;
        let mut left = CLAIMS;
        loop {
            left -= 1;
            let attempt_id = Uuid::new_v4();
            let ask = Request { effect, command, attempt_id, lease, journal: self.config.journal };
            return match self.effects.claim(&ask, self.now()).await? {
                Claim::Won(lease) => self.attempt(task, lease).await,
                Claim::InDoubt(doubt) => self.resolve(task, doubt).await,
                Claim::Held(held) => match self.effects.watch(held, command, self.now()).await {
                    Err(StoreError::Fenced) if left > 0 => continue,
                    watched => {
                        let settled = watched?;
                        let duration_ms = task.duration_ms();
                        tracing::info!(outcome = "held", duration_ms, "another attempt has the effect");
                        Ok(settled)
                    }
                },
                Claim::Recorded(recorded) => {
                    let (status, duration_ms) = (recorded.status.as_str(), task.duration_ms());
                    tracing::info!(outcome = "duplicate", status, duration_ms, "the effect is on record");
                    self.tell(Kind::Skipped, task, command.attempt);
                    if recorded.status.is_over() {
                        self.discard_input(task).await;
                    }
                    Ok(recorded.settled())
                }
                Claim::Mismatch(mismatch) => self.mismatch(task, &mismatch).await,
            };
        }
    }

    async fn mismatch(&self, task: &Task<'_>, mismatch: &Mismatch) -> Result<Settled, Unsettled> {
        let Task { command, effect, .. } = task;
        let settled = self.effects.park_mismatch(effect, command, mismatch, self.now()).await?;
        let (in_doubt, why) = (mismatch.in_doubt(), mismatch.why(command));
        self.meter.parked(task.step_id(), in_doubt);
        let (in_doubt, duration_ms) = (u8::from(in_doubt), task.duration_ms());
        tracing::error!(
            outcome = "parked",
            in_doubt,
            why,
            duration_ms,
            "a command that can't be claimed is parked"
        );
        self.tell(Kind::Parked, task, command.attempt);
        Ok(settled)
    }

    /// An earlier attempt may have been applied: what does the step's policy say?
    async fn resolve(&self, task: &Task<'_>, doubt: Doubt) -> Result<Settled, Unsettled> {
        let why = format!("in doubt: {}", doubt.why());
        Span::current().record("attempt", doubt.attempt());
        if doubt.taken_over() {
            self.meter.in_doubt();
            tracing::warn!(why = doubt.why(), "an attempt did not report back; the effect is in doubt");
        }
        let Some(step) = task.step else { return self.park(task, doubt.unresolved(), &why).await };
        match &step.in_doubt {
            InDoubt::Park => self.park(task, doubt.unresolved(), &why).await,
            _ if doubt.taken_over() && doubt.tries() > AT_ONCE => {
                self.not_applied(task, step, doubt.unresolved(), NotApplied::NotSent(why)).await
            }
            InDoubt::LookUp(look_up) => self.resolve_by_look_up(task, step, look_up, doubt).await,
            InDoubt::SameKey { window } => {
                let lease = step.longest() + self.config.consumer.settle;
                if within(*window, doubt.first_attempt_at(), self.now() + lease) {
                    return self.attempt(task, doubt.same_key_is_safe()).await;
                }
                let why = format!("{why}; the third party may have forgotten the key");
                self.park(task, doubt.unresolved(), &why).await
            }
        }
    }

    /// Found: commit. Not found: call. Nobody knows: later, and at the end park.
    async fn resolve_by_look_up(
        &self,
        task: &Task<'_>,
        step: &Step,
        look_up: &LookUp,
        doubt: Doubt,
    ) -> Result<Settled, Unsettled> {
        let input = match self.input(task.command, task.effect).await {
            Ok(input) => input,
            Err(error) => {
                let why = format!("its input could not be fetched: {error}");
                return self.not_applied(task, step, doubt.unresolved(), NotApplied::Unknown(why)).await;
            }
        };
        let templates = &self.config.templates;
        match self.caller.look_up(look_up, step, templates, &input, &doubt, &task.trace).await {
            LookedUp::Found(receipt) => self.done(task, doubt.looked_up(), &receipt).await,
            LookedUp::NotFound => self.attempt(task, doubt.looked_up()).await,
            LookedUp::CannotTell(why) => {
                self.not_applied(task, step, doubt.unresolved(), NotApplied::Unknown(why)).await
            }
        }
    }

    pub(super) fn tell(&self, kind: Kind, task: &Task<'_>, attempt: u32) {
        self.events.tell(kind, task.command, task.effect, attempt);
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

/// Whether an attempt whose lease ends at `end` still falls into the third party's memory of the first one's key. A lease
/// outlasts its call by more than clocks may differ, and the first attempt's time was told by another clock.
fn within(window: Duration, first: Timestamp, end: Timestamp) -> bool {
    Duration::try_from(end.duration_since(first)).unwrap_or_default() <= window
}
