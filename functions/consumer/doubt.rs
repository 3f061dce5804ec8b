//! Resolves a doubt (an earlier attempt may have been applied) by the step's policy.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Worker, look_up::LookedUp, sequel::Given, task::Task, verdict::Verdict};
use crate::{
    config::{
        in_doubt::{InDoubt, LookUp},
        step::Step,
    },
    effects::guard::{Doubt, Lease},
    outcome::NotApplied,
};

/// Up to this try, an effect whose process died is tried again at once; after that, it waits as after any failure. Otherwise an effect that
/// crashes its process each time would crash one process after the other, with all other work in them.
const AT_ONCE: u32 = 2;

/// The result of a policy.
#[derive(Debug)]
pub(super) enum Resolved {
    /// Calling is safe.
    Call(Lease),
    /// Nothing is to be called.
    Ended(Lease, Verdict),
}

impl Worker {
    /// Applies the step's policy to a doubt.
    pub(super) async fn resolve(
        &self,
        task: &Task,
        (step, given): (&Step, &Given),
        doubt: Doubt,
    ) -> Resolved {
        let why = format!("in doubt: {}", doubt.why());
        if doubt.taken_over() {
            self.meter.in_doubt();
            tracing::warn!(why = doubt.why(), "an attempt did not report back; the effect is in doubt");
        }
        match &step.in_doubt {
            InDoubt::Park => Resolved::Ended(doubt.unresolved(), Verdict::Park(why)),
            _ if doubt.taken_over() && doubt.tries() > AT_ONCE => {
                Resolved::Ended(doubt.unresolved(), Verdict::NotApplied(NotApplied::NotSent(why)))
            }
            // If the transaction that writes the item had been applied, the effect would be done.
            InDoubt::Impossible => Resolved::Call(doubt.looked_up()),
            InDoubt::LookUp(look_up) => self.look_up(task, (step, given), look_up, doubt).await,
            InDoubt::SameKey { window } => {
                let lease = step.longest() + self.config.consumer.settle;
                if within(*window, doubt.first_attempt_at(), self.now() + lease) {
                    return Resolved::Call(doubt.same_key_is_safe());
                }
                let why = format!("{why}; the third party may have forgotten the key");
                Resolved::Ended(doubt.unresolved(), Verdict::Park(why))
            }
        }
    }

    /// Looks up the call. Found: commit. Not found: call. Unknown: later, and finally park.
    async fn look_up(
        &self,
        task: &Task,
        (step, given): (&Step, &Given),
        look_up: &LookUp,
        doubt: Doubt,
    ) -> Resolved {
        let input = match self.input(task, step, given) {
            Ok(input) => input,
            Err(error) => {
                let why = format!("in doubt: {}; the look-up can't be made: {error}", doubt.why());
                return Resolved::Ended(doubt.unresolved(), Verdict::Park(why));
            }
        };
        let templates = &self.config.templates;
        let Some(call) = step.call() else {
            let why = format!("in doubt: {}", doubt.why());
            return Resolved::Ended(doubt.unresolved(), Verdict::Park(why));
        };
        let (trace, began) = (task.trace.child(), Instant::now());
        let found = self.caller.look_up(look_up, call, templates, &input, &doubt, &trace).await;
        self.end_look_up(task, (trace, began), look_up);
        match found {
            LookedUp::Found(receipt) => Resolved::Ended(doubt.looked_up(), Verdict::Done(receipt)),
            LookedUp::NotFound => Resolved::Call(doubt.looked_up()),
            LookedUp::CannotTell(why) => {
                Resolved::Ended(doubt.unresolved(), Verdict::NotApplied(NotApplied::Unknown(why)))
            }
            LookedUp::CannotAsk(unfit) => {
                let why = format!("in doubt: {}; the look-up can't be made: {unfit}", doubt.why());
                Resolved::Ended(doubt.unresolved(), Verdict::Park(why))
            }
        }
    }
}

/// Whether an attempt whose lease ends at `end` is still within the window in which the third party remembers the first attempt's key. A lease
/// outlasts its call by more than clocks may differ; the first attempt's time may come from another clock.
fn within(window: Duration, first: Timestamp, end: Timestamp) -> bool {
    Duration::try_from(end.duration_since(first)).unwrap_or_default() <= window
}
