//! One attempt: call, then commit, defer or park.

use uuid::Uuid;

use super::{
    Worker,
    backoff::pause,
    events::Kind,
    outcome::NotApplied,
    step::{Task, Unsettled},
};
use crate::{
    command::{Command, Input, Payload},
    config::{in_doubt::InDoubt, step::Step},
    effect_id::EffectId,
    effects::{
        Settled, StoreError,
        guard::{Deferral, Lease, Parking},
        record::Receipt,
    },
};

impl Worker {
    /// Calls the third party, and ends the attempt by what that comes to.
    pub(super) async fn attempt(&self, task: &Task<'_>, lease: Lease) -> Result<Settled, Unsettled> {
        let Task { command, effect, .. } = task;
        let Some(step) = task.step else {
            return self.park(task, lease, "webhooks.toml has no such step").await;
        };
        if lease.tries() > step.retry.max_attempts {
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
        match self.caller.call(request, step, &self.config.templates, &lease, self.now()).await {
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
        let settled = self.effects.commit(lease, receipt, self.now()).await?;
        tracing::info!(effect_id = %task.effect, attempt, status = receipt.status, "an effect is done");
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
        if in_doubt && matches!(step.in_doubt, InDoubt::Park) {
            return self.park_as(task, lease, &format!("in doubt: {why}"), in_doubt).await;
        }
        if lease.tries() >= step.retry.max_attempts {
            return self.park_as(task, lease, &format!("attempts used up; the last: {why}"), in_doubt).await;
        }
        let pause = pause(&step.retry, lease.tries(), retry_after, random());
        let attempt = lease.attempt();
        let now = self.now();
        let deferral = Deferral { command: task.command, due: now + pause, why: &why, in_doubt };
        let settled = self.effects.defer(lease, deferral, now).await?;
        tracing::warn!(effect_id = %task.effect, attempt, why, in_doubt, pause_s = pause.as_secs(), "an effect is deferred");
        self.tell(Kind::Deferred, task, attempt);
        Ok(settled)
    }

    pub(super) async fn park(&self, task: &Task<'_>, lease: Lease, why: &str) -> Result<Settled, Unsettled> {
        self.park_as(task, lease, why, false).await
    }

    async fn park_as(
        &self,
        task: &Task<'_>,
        lease: Lease,
        why: &str,
        in_doubt: bool,
    ) -> Result<Settled, Unsettled> {
        let attempt = lease.attempt();
        let parking = Parking { command: task.command, why, in_doubt };
        let settled = self.effects.park(lease, parking, self.now()).await?;
        tracing::error!(effect_id = %task.effect, attempt, why, "an effect is parked");
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
            tracing::warn!(effect_id = %task.effect, %error, "the large input of a done effect was left");
        }
    }
}

/// The low half of a v4 UUID: 62 random bits of the OS's generator.
fn random() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}
