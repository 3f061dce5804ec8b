//! The state of each destination, for operators.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Destination, Destinations, breaker::State};
use crate::effects::runs::{Breaker, DestinationState};

/// One moment, by the monotonic and the wall clock.
#[derive(Debug, Clone, Copy)]
struct Now {
    shown: Instant,
    real: Timestamp,
}

impl Destinations {
    /// The states of all destinations, by host.
    pub(in crate::consumer) fn states(&self, now: Timestamp) -> Vec<DestinationState> {
        let now = Now { shown: Instant::now(), real: now };
        self.0.values().map(|destination| destination.shown(now)).collect()
    }
}

impl Destination {
    fn shown(&self, now: Now) -> DestinationState {
        let in_flight = self.limit.saturating_sub(self.places.available_permits());
        let (breaker, paused_until) = {
            let state = self.lock();
            (state.breaker.state(), state.paused_until)
        };
        DestinationState {
            host: self.host.clone(),
            in_flight: in_flight as u64,
            limit: self.limit as u64,
            waiting: self.waiting.load(Ordering::Relaxed) as u64,
            breaker: now.breaker(breaker),
            paused_until: paused_until.filter(|until| now.shown < *until).map(|until| now.real(until)),
        }
    }
}

impl Now {
    fn breaker(self, (state, since): (State, Option<Instant>)) -> Breaker {
        let since = self.real(since.unwrap_or(self.shown));
        match state {
            State::Closed => Breaker::Closed,
            State::Open { until } => Breaker::Open { since, until: self.real(until) },
            State::Probing => Breaker::Probing { since },
        }
    }

    /// The wall-clock time of an instant.
    fn real(self, at: Instant) -> Timestamp {
        let ahead = jiff::SignedDuration::try_from(at.saturating_duration_since(self.shown));
        let behind = jiff::SignedDuration::try_from(self.shown.saturating_duration_since(at));
        self.real + ahead.unwrap_or_default() - behind.unwrap_or_default()
    }
}
