//! A circuit breaker. Pure: time is passed in.
//!
//! ```text
//! closed ──several failures in a row──▶ open ──pause over──▶ half open: one probe
//!    ▲                                   ▲                        │
//!    └────────── it succeeds ────────────┼──────── it fails ──────┘
//! ```

use std::time::Duration;

use tokio::time::Instant;

/// Number of consecutive failures that opens it.
const THRESHOLD: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The circuit breaker of one destination.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: State,
    /// Consecutive failures while closed.
    failures: u32,
    /// How often it has opened since the last success.
    openings: u32,
    /// When it first opened since the last success.
    failing_since: Option<Instant>,
}

/// The breaker's state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Closed,
    Open {
        until: Instant,
    },
    Probing,
}

/// Whether a call may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Yes,
    /// Yes, as a probe: all other calls wait for its outcome.
    Probe,
    /// Not before this time.
    No(Instant),
}

/// What a result has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    Nothing,
    Closed,
    /// Opened, for this long.
    Opened(Duration),
}

impl Breaker {
    /// Whether a call may begin now. [`Admission::Probe`] is given once; its call must be reported or abandoned.
    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        let admission = self.look(now);
        if admission == Admission::Probe {
            self.state = State::Probing;
        }
        admission
    }

    /// The state, and since when it has been open or half open.
    pub(super) fn state(&self) -> (State, Option<Instant>) {
        (self.state, self.failing_since)
    }

    /// As [`Breaker::admit`], without starting a probe.
    pub(super) fn look(&self, now: Instant) -> Admission {
        match self.state {
            State::Closed => Admission::Yes,
            State::Open { until } if now >= until => Admission::Probe,
            State::Open { until } => Admission::No(until),
            State::Probing => Admission::No(now + FIRST_PAUSE),
        }
    }

    /// Records a response. A call that began before the breaker opened does not change it.
    pub(super) fn succeeded(&mut self) -> Changed {
        self.failures = 0;
        match self.state {
            State::Open { .. } | State::Closed => Changed::Nothing,
            State::Probing => {
                *self = Self::default();
                Changed::Closed
            }
        }
    }

    /// Records a call without a response, or with a server failure. `random` is a uniformly distributed number.
    pub(super) fn failed(&mut self, now: Instant, random: u64) -> Changed {
        self.failures = self.failures.saturating_add(1);
        match self.state {
            State::Open { .. } => return Changed::Nothing,
            State::Closed if self.failures < THRESHOLD => return Changed::Nothing,
            State::Closed | State::Probing => {}
        }
        let doubled = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(self.openings));
        let most = doubled.min(LONGEST_PAUSE);
        // From half of it to all of it, so that several processes do not probe at the same time.
        let half = most / 2;
        let jitter = random % u64::try_from(half.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let pause = half + Duration::from_millis(jitter);
        self.openings = self.openings.saturating_add(1);
        self.state = State::Open { until: now + pause };
        self.failing_since.get_or_insert(now);
        Changed::Opened(pause)
    }

    /// Adds time that the monotonic clock has not counted.
    pub(super) fn advance(&mut self, by: Duration) {
        if let State::Open { until } = &mut self.state {
            *until = until.checked_sub(by).unwrap_or(*until);
        }
        self.failing_since = self.failing_since.and_then(|since| since.checked_sub(by).or(Some(since)));
    }

    /// Records that a probe was not made.
    pub(super) fn abandoned(&mut self, now: Instant) {
        if self.state == State::Probing {
            self.state = State::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(breaker: &mut Breaker, now: Instant) -> Duration {
        (1..THRESHOLD).for_each(|_| assert_eq!(breaker.failed(now, 0), Changed::Nothing));
        let Changed::Opened(pause) = breaker.failed(now, 0) else { panic!("not open") };
        pause
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not_count() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        (1..THRESHOLD).for_each(|_| assert_eq!(breaker.failed(now, 0), Changed::Nothing));
        assert_eq!(breaker.succeeded(), Changed::Nothing);
        let pause = opened(&mut breaker, now);
        assert_eq!(breaker.admit(now), Admission::No(now + pause));
        assert_eq!(breaker.failed(now, 0), Changed::Nothing, "began before it opened");
        assert_eq!(breaker.succeeded(), Changed::Nothing, "began before it opened");
        assert_eq!(breaker.admit(now), Admission::No(now + pause));
    }

    #[test]
    fn one_probe_at_a_time_decides() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        now += opened(&mut breaker, now);
        assert_eq!(breaker.admit(now), Admission::Probe);
        assert!(matches!(breaker.admit(now), Admission::No(_)), "the others wait");
        breaker.abandoned(now);
        assert_eq!(breaker.admit(now), Admission::Probe, "the first was not made");
        assert!(matches!(breaker.failed(now, 0), Changed::Opened(_)), "one failure is enough");
        now += LONGEST_PAUSE;
        assert_eq!(breaker.admit(now), Admission::Probe);
        assert_eq!(breaker.succeeded(), Changed::Closed);
        assert_eq!(breaker.admit(now), Admission::Yes);
        assert_eq!(breaker.failed(now, 0), Changed::Nothing, "it begins anew");
    }

    #[test]
    fn it_opens_no_later_for_time_that_its_clock_has_not_shown() {
        let (mut breaker, now) = (Breaker::default(), Instant::now() + Duration::from_secs(60));
        let pause = opened(&mut breaker, now);
        breaker.advance(pause);
        assert_eq!(breaker.admit(now), Admission::Probe);
    }

    #[test]
    fn the_pause_doubles_up_to_a_limit() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        let mut pauses = vec![opened(&mut breaker, now)];
        for _ in 0..6 {
            now += LONGEST_PAUSE;
            assert_eq!(breaker.admit(now), Admission::Probe);
            let Changed::Opened(pause) = breaker.failed(now, u64::MAX / 2) else { panic!("not open") };
            assert!(pause <= LONGEST_PAUSE);
            pauses.push(pause);
        }
        assert!(pauses[0] < pauses[2] && pauses[2] < pauses[4], "{pauses:?}");
        assert!(pauses[6] >= LONGEST_PAUSE / 2, "{pauses:?}");
    }
}
