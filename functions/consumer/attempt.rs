//! One attempt: resolve a doubt, call, and have the outcome recorded.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::{pin, time::sleep};
use tracing::Span;

use super::{
    Worker,
    call::{Called, Unfit},
    destinations::Place,
    doubt::Resolved,
    events::Kind,
    plan::Plan,
    sequel::Given,
    task::Task,
    verdict::{Ended, Verdict},
};
use crate::{
    command::Input,
    config::{
        call::Call,
        step::{Action, Step},
    },
    effects::{
        Settled, StoreError,
        guard::{Doubt, Held, Lease},
    },
    outcome::NotApplied,
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
            // Boxed, since it is the largest of these, and most attempts are calls.
            Verdict::Write(prepared) => Box::pin(self.write(task, lease, *prepared, &given)).await,
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
}

/// Whether earlier attempts have used up the budget. Only crashed attempts can do that: an effect is deferred
/// only if it has a try left, and that try is made however late it is.
fn used_up_before(step: &Step, lease: &Lease, now: Timestamp) -> Option<String> {
    let time = if lease.taken_over() { lease.tried_for(now) } else { Duration::ZERO };
    step.retry.exhausted(lease.tries().saturating_sub(1), time)
}
