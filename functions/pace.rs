//! A rate limit for calls or webhooks, as a schedule: each one gets a time, and after a quiet period several
//! may begin at once. Pure: time is passed in. (The generic cell rate algorithm:
//! <https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm>.)

use std::time::Duration;

use tokio::time::Instant;

use crate::config::rate::Rate;

/// When the next call may begin.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    /// How far the schedule may lie in the past. It allows the burst.
    credit: Duration,
    next: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(rate: Rate) -> Self {
        let interval = Duration::from_secs(1) / rate.per_second.get();
        Self { interval, credit: interval.saturating_mul(rate.burst.get() - 1), next: None }
    }

    /// Books a call, and says when it may begin; none if that is later than `latest`, and then nothing is booked.
    pub(crate) fn book(&mut self, now: Instant, latest: Instant) -> Option<Instant> {
        let earliest = now.checked_sub(self.credit).unwrap_or(now);
        let scheduled = self.next.map_or(earliest, |next| next.max(earliest));
        let begins = scheduled.max(now);
        if begins > latest {
            return None;
        }
        self.next = Some(scheduled + self.interval);
        Some(begins)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn pace(per_second: u32, burst: u32) -> Pace {
        let [per_second, burst] = [per_second, burst].map(|n| NonZeroU32::new(n).unwrap());
        Pace::new(Rate { per_second, burst })
    }

    #[test]
    fn after_a_burst_calls_begin_one_interval_apart() {
        let (mut pace, now) = (pace(10, 3), Instant::now() + Duration::from_secs(60));
        let latest = now + Duration::from_secs(9);
        let begins: Vec<_> = (0..5).map(|_| pace.book(now, latest).unwrap() - now).collect();
        assert_eq!(begins, [0, 0, 0, 100, 200].map(Duration::from_millis));
        let later = now + Duration::from_secs(1);
        assert_eq!(pace.book(later, latest), Some(later));
    }

    #[test]
    fn what_would_begin_too_late_is_not_booked() {
        let (mut pace, now) = (pace(1, 1), Instant::now());
        assert_eq!(pace.book(now, now), Some(now));
        assert_eq!(pace.book(now, now + Duration::from_millis(999)), None);
        let second = now + Duration::from_secs(1);
        assert_eq!(pace.book(now, second), Some(second), "the one before took no place");
    }
}
