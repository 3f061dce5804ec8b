//! One attempt: call, then commit, defer or park.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::Span;
use uuid::Uuid;

use super::{Worker, backoff::pause, events::Kind, outcome::NotApplied, step::Unsettled, task::Task};
use crate::{
    command::{Command, Input, Payload},
    config::{in_doubt::InDoubt, step::Step},
    effect_id::EffectId,
    effects::{
        Settled, StoreError,
        guard::{Deferral, Lease},
        record::Receipt,
    },
};

impl Worker {
    /// Calls the third party, and ends the attempt by what that comes to.
    pub(super) async fn attempt(&self, task: &Task<'_>, lease: Lease) -> Result<Settled, Unsettled> {
        let Task { command, effect, trace, .. } = task;
        Span::current().record("attempt", lease.attempt());
        let Some(step) = task.step else {
            return self.park(task, lease, "webhooks.toml has no such step").await;
        };
        if let Some(over) = used_up_before(step, &lease, self.now()) {
            return self.park(task, lease, &over).await;
        }
        let input = match self.input(command, effect).await {
            Ok(input) => input,
            Err(error) => {
                let outcome = NotApplied::NotSent(format!("its input could not be fetched: {error}"));
                return self.not_applied(task, step, lease, outcome).await;
            }
        };
        let request = match self.caller.prepare(step, &self.config.templates, &input, &lease, trace) {
            Ok(request) => request,
            Err(unfit) => return self.park(task, lease, &unfit.to_string()).await,
        };
        self.tell(Kind::Started, task, lease.attempt());
        let called = Instant::now();
        let outcome = self.caller.call(request, step, &self.config.templates, &lease, self.now()).await;
        self.meter.called(step.id.as_str(), called.elapsed());
        match outcome {
            Ok(receipt) => self.done(task, lease, &receipt).await,
            Err(outcome) => self.not_applied(task, step, lease, outcome).await,
        }
    }

    pub(super) async fn done(
        &self,
        task: &Task<'_>,
        lease: Lease,
        receipt: &Receipt,
    ) -> Result<Settled, Unsettled> {
        let attempt = lease.attempt();
        let now = self.now();
        let settled = self.effects.commit(lease, receipt, now).await?;
        let (status, duration_ms) = (receipt.status, task.duration_ms());
        tracing::info!(outcome = "done", status, duration_ms, "an effect is done");
        let age = now.duration_since(task.command.received_at);
        self.meter.done(Duration::try_from(age).unwrap_or_default());
        self.tell(Kind::Done, task, attempt);
        self.discard_input(task).await;
        Ok(settled)
    }

    pub(super) async fn not_applied(
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
        if in_doubt {
            self.meter.in_doubt();
        }
        let lease = if in_doubt { lease.doubted() } else { lease };
        if in_doubt && matches!(step.in_doubt, InDoubt::Park) {
            return self.park(task, lease, &format!("in doubt: {why}")).await;
        }
        if let Some(over) = step.retry.exhausted(lease.tries(), lease.tried_for(self.now())) {
            return self.park(task, lease, &format!("{over}; the last: {why}")).await;
        }
        let mut pause = pause(&step.retry, lease.tries(), retry_after, random());
        if in_doubt && matches!(step.in_doubt, InDoubt::LookUp(_)) {
            // A call that has timed out may yet land. Asked before that, the third party would say that nothing happened.
            pause = pause.max(step.longest() + self.config.consumer.settle);
        }
        let attempt = lease.attempt();
        let now = self.now();
        let deferral = Deferral { command: task.command, due: now + pause, why: &why, in_doubt };
        let settled = self.effects.defer(lease, deferral, now).await?;
        let (in_doubt, pause_s, duration_ms) = (u8::from(in_doubt), pause.as_secs(), task.duration_ms());
        tracing::warn!(outcome = "deferred", why, in_doubt, pause_s, duration_ms, "an effect is deferred");
        self.tell(Kind::Deferred, task, attempt);
        Ok(settled)
    }

    pub(super) async fn park(&self, task: &Task<'_>, lease: Lease, why: &str) -> Result<Settled, Unsettled> {
        let (attempt, in_doubt) = (lease.attempt(), lease.in_doubt());
        let settled = self.effects.park(lease, task.command, why, self.now()).await?;
        self.meter.parked(task.step_id(), in_doubt);
        let (in_doubt, duration_ms) = (u8::from(in_doubt), task.duration_ms());
        tracing::error!(outcome = "parked", why, in_doubt, duration_ms, "an effect is parked");
        self.tell(Kind::Parked, task, attempt);
        Ok(settled)
    }

    pub(super) async fn input(&self, command: &Command, effect: &EffectId) -> Result<Input, StoreError> {
        match &command.payload {
            Payload::Input(input) => Ok(input.clone()),
            Payload::ClaimCheck(check) => self.effects.check_out(effect, &command.input_hash, check).await,
        }
    }

    /// Best effort: what is left costs storage and nothing else.
    pub(super) async fn discard_input(&self, task: &Task<'_>) {
        let Payload::ClaimCheck(check) = &task.command.payload else { return };
        if let Err(error) = self.effects.discard(task.effect, &task.command.input_hash, check).await {
            tracing::warn!(%error, "the large input of a done effect was left");
        }
    }
}

/// Whether earlier attempts have used the budget up: crashed ones, since what was deferred had another try left, however
/// late that comes.
fn used_up_before(step: &Step, lease: &Lease, now: Timestamp) -> Option<String> {
    let time = if lease.taken_over() { lease.tried_for(now) } else { Duration::ZERO };
    step.retry.exhausted(lease.tries().saturating_sub(1), time)
}

/// The low half of a v4 UUID: 62 random bits of the OS's generator.
fn random() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}
