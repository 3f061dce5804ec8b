//! Records how an attempt ended, and reports it.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Worker, backoff::pause, report::Conclusion, sequel::Given, task::Task, verdict::Ended};
use crate::{
    command::{Command, Payload},
    config::in_doubt::InDoubt,
    effects::{
        Settled, StoreError,
        guard::{Deferral, Lease},
        record::Receipt,
    },
    outcome::NotApplied,
    random,
};

impl Worker {
    /// Records that it is done, and begins what comes after it.
    pub(super) async fn commit(
        &self,
        task: &Task,
        lease: Lease,
        receipt: &Receipt,
        given: &Given,
    ) -> Result<Ended, StoreError> {
        let (attempt, now) = (lease.attempt(), self.now());
        let next = given.next(task, receipt, now)?;
        let (settled, begun) =
            self.guard.commit_and_begin(lease, receipt, self.kept(task), &next, now).await?;
        self.report(task, attempt, &Conclusion::Done { status: receipt.status, at: now });
        self.discard_input(task).await;
        Ok(Ended { settled, begun })
    }

    /// Records that its condition does not hold.
    pub(super) async fn skip(
        &self,
        task: &Task,
        lease: Lease,
        why: &str,
        given: &Given,
    ) -> Result<Settled, StoreError> {
        let (attempt, now) = (lease.attempt(), self.now());
        let next = given.skipped(task, now)?;
        let settled = self.guard.skip(lease, why, &next, now).await?;
        self.report(task, attempt, &Conclusion::Skipped { why });
        self.discard_input(task).await;
        Ok(settled)
    }

    /// Records that it is not known to have been applied: it is tried again later, or parked.
    pub(super) async fn not_applied(
        &self,
        task: &Task,
        lease: Lease,
        outcome: NotApplied,
    ) -> Result<Settled, StoreError> {
        let (why, retry_after, in_doubt) = match outcome {
            NotApplied::NotSent(why) => (why, None, false),
            NotApplied::RefusedForNow { why, retry_after } => (why, retry_after, false),
            NotApplied::Unknown(why) => (why, None, true),
            NotApplied::RefusedForGood(why) => return self.park(task, lease, &why).await,
        };
        // Only the call of an existing step ends here.
        let Some(step) = task.step(&self.config) else { return self.park(task, lease, &why).await };
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
        let mut pause = pause(&step.retry, lease.tries(), retry_after, random::bits());
        if in_doubt && matches!(step.in_doubt, InDoubt::LookUp(_)) {
            // A call that timed out may still arrive. A look-up before it arrives would find that it was not
            // applied.
            pause = pause.max(step.longest() + self.config.consumer.settle);
        }
        self.defer(task, lease, &why, in_doubt, pause).await
    }

    async fn defer(
        &self,
        task: &Task,
        lease: Lease,
        why: &str,
        in_doubt: bool,
        pause: Duration,
    ) -> Result<Settled, StoreError> {
        let (attempt, now) = (lease.attempt(), self.now());
        let deferral = Deferral { command: &task.command, due: now + pause, why, in_doubt };
        let settled = self.guard.defer(lease, deferral, now).await?;
        self.report(task, attempt, &Conclusion::Deferred { why, in_doubt, pause });
        Ok(settled)
    }

    /// Records that an operator has to decide.
    pub(super) async fn park(&self, task: &Task, lease: Lease, why: &str) -> Result<Settled, StoreError> {
        let (attempt, in_doubt) = (lease.attempt(), lease.in_doubt());
        let settled = self.guard.park(lease, &task.command, why, self.now()).await?;
        self.report(task, attempt, &Conclusion::Parked { why, in_doubt });
        Ok(settled)
    }

    /// The command, if the effect's record must keep it.
    pub(super) fn kept<'t>(&self, task: &'t Task) -> Option<&'t Command> {
        self.config.consumer.keep_commands.then_some(&task.command)
    }

    /// Records metrics of a call, or of a write.
    pub(super) fn called(&self, task: &Task, began: Instant) {
        let waited = waited(task, began, self.now());
        self.meter.called(task.step_id(&self.config), began.elapsed(), waited);
    }

    /// Discards large input, best effort: what is left costs storage only.
    pub(super) async fn discard_input(&self, task: &Task) {
        let Payload::ClaimCheck(check) = &task.command.payload else { return };
        if let Err(error) = self.large_inputs.discard(&task.effect, &task.command.input_hash, check).await {
            tracing::warn!(%error, "the large input of a done effect was left");
        }
    }
}

/// The time from ingest to the start of the first call; none for later calls, which were delayed on purpose.
fn waited(task: &Task, began: Instant, now: Timestamp) -> Option<Duration> {
    let age = Duration::try_from(now.duration_since(task.command.received_at)).unwrap_or_default();
    (task.command.attempt == 0).then(|| age.saturating_sub(began.elapsed()))
}
