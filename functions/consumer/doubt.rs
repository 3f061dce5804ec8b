//! An earlier attempt may have been applied: what the step's policy says about calling again.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Worker, attempt::Verdict, look_up::LookedUp, outcome::NotApplied, sequel::Given, task::Task};
use crate::{
    config::{
        in_doubt::{InDoubt, LookUp},
        step::Step,
    },
    effects::guard::{Doubt, Lease},
};

/// An effect whose process died is taken up at once until this try, and waits from then on, as after any failure: what
/// kills its process each time must not kill one after the other, and all that is under way in them.
const AT_ONCE: u32 = 2;

/// What the policy says.
#[derive(Debug)]
pub(super) enum Resolved {
    /// Calling is safe.
    Call(Lease),
    /// There is nothing to call.
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
            // The transaction that was to write the item was not applied, or the effect would be done.
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

    /// Found: commit. Not found: call. Cannot tell: later, and at the end park.
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

/// Whether an attempt whose lease ends at `end` still falls into the third party's memory of the first one's key. A lease
/// outlasts its call by more than clocks may differ, and the first attempt's time was told by another clock.
fn within(window: Duration, first: Timestamp, end: Timestamp) -> bool {
    Duration::try_from(end.duration_since(first)).unwrap_or_default() <= window
}
