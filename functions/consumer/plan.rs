//! What an attempt is to do, decided before its effect is claimed.

use std::time::Duration;

use super::destinations::Place;

/// What the attempt does.
#[derive(Debug)]
pub(super) enum Plan {
    /// Call, unless a doubt has to be resolved first.
    Call(Place),
    /// Nothing can be called, for this reason.
    Park(String),
}

impl Plan {
    /// Whether the call is likely to take long.
    pub(super) fn is_slow(&self) -> bool {
        matches!(self, Self::Call(place) if place.is_at_slow_destination())
    }

    /// The plan for a step that needs more time than the function's timeout.
    pub(super) fn never_fits(needed: Duration) -> Self {
        let needed = needed.as_secs_f64();
        Self::Park(format!(
            "the step needs {needed} s, which no invocation has; raise the consumer's timeout, or shorten the step's"
        ))
    }
}
