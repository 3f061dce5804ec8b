//! One message: claim, call, commit. Every way through ends in a [`Settled`], or in a reason why the message must
//! come back.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Worker, backoff::pause, deadline::Deadline, events::Kind, outcome::NotApplied};
use crate::{
    command::{Command, Input, Payload},
    config::step::{InDoubt, Step},
    effect_id::EffectId,
    effects::{
        Settled, StoreError,
        guard::{Claim, Deferral, Doubt, Lease, Mismatch, Request},
        record::Status,
    },
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

/// How often a claim is repeated when another attempt reports back in between.
const CLAIMS: u32 = 3;

/// What a message asks for, and when that has to be finished.
struct Task<'a> {
    command: &'a Command,
    effect: &'a EffectId,
    /// None: `webhooks.toml` has no such step any more.
    step: Option<&'a Step>,
}

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
        let parsed = serde_json::from_str::<Command>(value).map_err(|error| error.to_string());
        let parsed = parsed.and_then(|command| {
            let effect = command.effect_id().map_err(|error| error.to_string())?;
            Ok((command, effect))
        });
        let (command, effect) = match parsed {
            Ok(parsed) => parsed,
            Err(why) => {
                tracing::error!(why, "a message that is no command is parked");
                return Ok(self.effects.park_malformed(key, value, &why, self.now()).await?);
            }
        };
        let _turn = self.turns.take(&effect).await;
        let step = self.config.step(command.step.as_str());
        let needed = step.map_or(Duration::ZERO, |step| step.call.timeout) + self.config.consumer.settle;
        if !deadline.leaves(needed) {
            return Err(Unsettled::NoTime);
        }
        self.settle(&Task { command: &command, effect: &effect, step }, needed).await
    }

    async fn settle(&self, task: &Task<'_>, lease: Duration) -> Result<Settled, Unsettled> {
        let Task { command, effect, .. } = task;
        let mut left = CLAIMS;
        loop {
            left -= 1;
            let attempt_id = Uuid::new_v4();
            let ask = Request {
                effect,
                input_hash: &command.input_hash,
                attempt: command.attempt,
                attempt_id,
                lease,
            };
            return match self.effects.claim(&ask, self.now()).await? {
                Claim::Won(lease) => self.attempt(task, lease).await,
                Claim::InDoubt(doubt) => self.resolve(task, doubt).await,
                Claim::Held(held) => match self.effects.watch(held, command, self.now()).await {
                    Err(StoreError::Fenced) if left > 0 => continue,
                    watched => Ok(watched?),
                },
                Claim::Recorded(recorded) => {
                    tracing::info!(effect_id = %effect, status = ?recorded.status, "a duplicate");
                    self.tell(Kind::Skipped, task, command.attempt);
                    if recorded.status == Status::Done {
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
        tracing::error!(effect_id = %effect, ?mismatch, "a command that contradicts the record is parked");
        self.tell(Kind::Parked, task, command.attempt);
        Ok(self.effects.park_mismatch(effect, command, mismatch, self.now()).await?)
    }

    /// An earlier attempt may have been applied: what does the step's policy say?
    async fn resolve(&self, task: &Task<'_>, doubt: Doubt) -> Result<Settled, Unsettled> {
        let why = format!("in doubt: {}", doubt.why());
        tracing::warn!(effect_id = %task.effect, attempt = doubt.attempt(), why = doubt.why(), "an effect is in doubt");
        let Some(step) = task.step else { return self.park(task, doubt.unresolved(), &why).await };
        match step.in_doubt {
            InDoubt::SameKey { window }
                if within(window, doubt.first_attempt_at(), self.now() + step.call.timeout) =>
            {
                self.attempt(task, doubt.same_key_is_safe()).await
            }
            InDoubt::SameKey { .. } => {
                let why = format!("{why}; the third party may have forgotten the key");
                self.park(task, doubt.unresolved(), &why).await
            }
            InDoubt::Park => self.park(task, doubt.unresolved(), &why).await,
        }
    }

    async fn attempt(&self, task: &Task<'_>, lease: Lease) -> Result<Settled, Unsettled> {
        let Task { command, effect, .. } = task;
        let Some(step) = task.step else {
            return self.park(task, lease, "webhooks.toml has no such step").await;
        };
        if lease.attempt() > step.retry.max_attempts {
            return self.park(task, lease, "attempts used up").await;
        }
        let input = match self.input(command, effect).await {
            Ok(input) => input,
            Err(error) => {
                let outcome = NotApplied::NotSent(format!("its input could not be fetched: {error}"));
                return self.not_applied(task, step, lease, outcome).await;
            }
        };
        let request = match self.caller.prepare(step, &self.config.templates, &input, &lease) {
            Ok(request) => request,
            Err(unfit) => return self.park(task, lease, &unfit.to_string()).await,
        };
        self.tell(Kind::Started, task, lease.attempt());
        let attempt = lease.attempt();
        match self.caller.call(request, step, &self.config.templates, &lease, self.now()).await {
            Ok(receipt) => {
                let settled = self.effects.commit(lease, &receipt, self.now()).await?;
                tracing::info!(effect_id = %effect, attempt, status = receipt.status, "an effect is done");
                self.tell(Kind::Done, task, attempt);
                self.discard_input(task).await;
                Ok(settled)
            }
            Err(outcome) => self.not_applied(task, step, lease, outcome).await,
        }
    }

    async fn not_applied(
        &self,
        task: &Task<'_>,
        step: &Step,
        lease: Lease,
        outcome: NotApplied,
    ) -> Result<Settled, Unsettled> {
        let (why, retry_after, in_doubt) = match outcome {
            NotApplied::NotSent(why) => (why, None, false),
            NotApplied::RefusedForNow { why, retry_after } => (why, retry_after, false),
            NotApplied::Unknown(why) => (why, None, true),
            NotApplied::RefusedForGood(why) => return self.park(task, lease, &why).await,
        };
        if in_doubt && step.in_doubt == InDoubt::Park {
            return self.park(task, lease, &format!("in doubt: {why}")).await;
        }
        if lease.attempt() >= step.retry.max_attempts {
            return self.park(task, lease, &format!("attempts used up; the last: {why}")).await;
        }
        let pause = pause(&step.retry, lease.attempt(), retry_after, random());
        let attempt = lease.attempt();
        let now = self.now();
        let deferral = Deferral { command: task.command, due: now + pause, why: &why, in_doubt };
        let settled = self.effects.defer(lease, deferral, now).await?;
        tracing::warn!(effect_id = %task.effect, attempt, why, in_doubt, pause_s = pause.as_secs(), "an effect is deferred");
        self.tell(Kind::Deferred, task, attempt);
        Ok(settled)
    }

    async fn park(&self, task: &Task<'_>, lease: Lease, why: &str) -> Result<Settled, Unsettled> {
        let attempt = lease.attempt();
        let settled = self.effects.park(lease, task.command, why, self.now()).await?;
        tracing::error!(effect_id = %task.effect, attempt, why, "an effect is parked");
        self.tell(Kind::Parked, task, attempt);
        Ok(settled)
    }

    async fn input(&self, command: &Command, effect: &EffectId) -> Result<Input, StoreError> {
        match &command.payload {
            Payload::Input(input) => Ok(input.clone()),
            Payload::ClaimCheck(check) => self.effects.check_out(effect, &command.input_hash, check).await,
        }
    }

    /// Best effort: what is left costs storage and nothing else.
    async fn discard_input(&self, task: &Task<'_>) {
        let Payload::ClaimCheck(check) = &task.command.payload else { return };
        if let Err(error) = self.effects.discard(task.effect, &task.command.input_hash, check).await {
            tracing::warn!(effect_id = %task.effect, %error, "the large input of a done effect was left");
        }
    }

    fn tell(&self, kind: Kind, task: &Task<'_>, attempt: u32) {
        self.events.tell(kind, task.command, task.effect, attempt);
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

/// Whether a call that ends at `end` still falls into the third party's memory of the first one's key.
fn within(window: Duration, first: Timestamp, end: Timestamp) -> bool {
    Duration::try_from(end.duration_since(first)).unwrap_or_default() <= window
}

/// The low half of a v4 UUID: 62 random bits of the OS's generator.
fn random() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}
