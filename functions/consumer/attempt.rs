//! One attempt: resolve a doubt, call, and record the outcome.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::{pin, time::sleep};
use tracing::Span;

use super::{
    Worker,
    backoff::pause,
    call::{Called, Unfit},
    destinations::Place,
    doubt::Resolved,
    events::Kind,
    plan::Plan,
    report::Conclusion,
    sequel::Given,
    task::Task,
    verdict::{Ended, Verdict},
};
use crate::{
    command::{Command, Input, Payload},
    config::{
        call::Call,
        in_doubt::InDoubt,
        step::{Action, Step},
    },
    effects::{
        Settled, StoreError,
        guard::{Deferral, Doubt, Held, Lease},
        record::Receipt,
    },
    outcome::NotApplied,
    random,
};

/// A claimed effect.
#[derive(Debug)]
pub(super) enum Claimed {
    /// No earlier attempt has an unknown outcome.
    Won(Lease),
    /// An earlier attempt may have been applied.
    InDoubt(Doubt),
}

impl Claimed {
    /// See [`Lease::handed_over`].
    pub(super) fn handed_over(&self) -> Option<Settled> {
        match self {
            Self::Won(lease) => lease.handed_over(),
            Self::InDoubt(doubt) => doubt.handed_over(),
        }
    }

    /// See [`Lease::held`].
    pub(super) fn held(&self) -> Held {
        match self {
            Self::Won(lease) => lease.held(),
            Self::InDoubt(doubt) => doubt.held(),
        }
    }

    fn attempt(&self) -> u32 {
        match self {
            Self::Won(lease) => lease.attempt(),
            Self::InDoubt(doubt) => doubt.attempt(),
        }
    }

    fn unresolved(self) -> Lease {
        match self {
            Self::Won(lease) => lease,
            Self::InDoubt(doubt) => doubt.unresolved(),
        }
    }
}

impl Worker {
    /// Makes an attempt, and records how it ended.
    ///
    /// # Errors
    /// It could not be recorded: the effect will be in doubt.
    pub(super) async fn attempt(
        &self,
        task: &Task,
        claimed: Claimed,
        plan: Plan,
    ) -> Result<Ended, StoreError> {
        Span::current().record("attempt", claimed.attempt());
        let place = match plan {
            Plan::Call(place) => place,
            Plan::Park(why) => return Ok(self.park(task, claimed.unresolved(), &why).await?.into()),
        };
        let given = match self.given(task).await {
            Ok(given) => given,
            Err(error) => {
                let outcome = NotApplied::NotSent(format!("its input could not be fetched: {error}"));
                return Ok(self.not_applied(task, claimed.unresolved(), outcome).await?.into());
            }
        };
        let (lease, verdict) = self.judge(task, &given, claimed, place).await;
        match verdict {
            Verdict::Done(receipt) => self.commit(task, lease, &receipt, &given).await,
            Verdict::NotApplied(outcome) => Ok(self.not_applied(task, lease, outcome).await?.into()),
            Verdict::Park(why) => Ok(self.park(task, lease, &why).await?.into()),
            Verdict::Skip(why) => Ok(self.skip(task, lease, &why, &given).await?.into()),
            Verdict::Write(prepared) => self.write(task, lease, *prepared, &given).await,
        }
    }

    async fn judge(&self, task: &Task, given: &Given, claimed: Claimed, place: Place) -> (Lease, Verdict) {
        let Some(step) = task.step(&self.config) else {
            let why = "webhooks.toml has no such step".to_owned();
            return (claimed.unresolved(), Verdict::Park(why));
        };
        // Also when in doubt: an attempt that died had evaluated the same condition, and called only if it held.
        if let Some(verdict) = self.unwanted(task, step, given) {
            return (claimed.unresolved(), verdict);
        }
        let lease = match claimed {
            Claimed::Won(lease) => lease,
            Claimed::InDoubt(doubt) => match self.resolve(task, (step, given), doubt).await {
                Resolved::Call(lease) => lease,
                Resolved::Ended(lease, verdict) => return (lease, verdict),
            },
        };
        if let Some(over) = used_up_before(step, &lease, self.now()) {
            return (lease, Verdict::Park(over));
        }
        let verdict = match &step.action {
            Action::Call(call) => match self.input(task, step, given) {
                Ok(input) => self.call(task, (call, &input), &lease, place).await,
                Err(error) => Verdict::Park(error.to_string()),
            },
            Action::Write(row) => match self.input(task, step, given) {
                Ok(input) => self.prepare_row(task, (row, &input), &lease, place),
                Err(error) => Verdict::Park(error.to_string()),
            },
        };
        (lease, verdict)
    }

    async fn call(
        &self,
        task: &Task,
        (call, input): (&Call, &Input),
        lease: &Lease,
        mut place: Place,
    ) -> Verdict {
        let templates = &self.config.templates;
        let trace = task.trace.child();
        let request = match self.caller.prepare(call, templates, input, lease, &trace, self.now()) {
            Ok(request) => request,
            Err(unfit @ Unfit::Secret { .. }) => {
                return Verdict::NotApplied(NotApplied::NotSent(unfit.to_string()));
            }
            Err(unfit) => return Verdict::Park(unfit.to_string()),
        };
        self.events.tell(Kind::Started, &task.command, &task.effect, lease.attempt());
        let began = Instant::now();
        let called = self.caller.call(request, call, templates, lease, self.now());
        pin!(called);
        let Called { outcome, health } = tokio::select! {
            called = &mut called => called,
            () = sleep(self.config.consumer.slow_call) => {
                place.slow();
                called.await
            }
        };
        place.report(health);
        self.called(task, began);
        self.end_call(task, (trace, began), call, &outcome);
        match outcome {
            Ok(receipt) => Verdict::Done(receipt),
            Err(outcome) => Verdict::NotApplied(outcome),
        }
    }

    async fn commit(
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

    /// The command, if the effect's record must keep it.
    pub(super) fn kept<'t>(&self, task: &'t Task) -> Option<&'t Command> {
        self.config.consumer.keep_commands.then_some(&task.command)
    }

    async fn skip(&self, task: &Task, lease: Lease, why: &str, given: &Given) -> Result<Settled, StoreError> {
        let (attempt, now) = (lease.attempt(), self.now());
        let next = given.skipped(task, now)?;
        let settled = self.guard.skip(lease, why, &next, now).await?;
        self.report(task, attempt, &Conclusion::Skipped { why });
        self.discard_input(task).await;
        Ok(settled)
    }

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
            // A call that timed out may still arrive. A look-up before that would find that it was not applied.
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

    pub(super) async fn park(&self, task: &Task, lease: Lease, why: &str) -> Result<Settled, StoreError> {
        let (attempt, in_doubt) = (lease.attempt(), lease.in_doubt());
        let settled = self.guard.park(lease, &task.command, why, self.now()).await?;
        self.report(task, attempt, &Conclusion::Parked { why, in_doubt });
        Ok(settled)
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

/// Whether earlier attempts have used up the budget. Only crashed attempts can: a deferred effect still had a try left, however late it is made.
fn used_up_before(step: &Step, lease: &Lease, now: Timestamp) -> Option<String> {
    let time = if lease.taken_over() { lease.tried_for(now) } else { Duration::ZERO };
    step.retry.exhausted(lease.tries().saturating_sub(1), time)
}
