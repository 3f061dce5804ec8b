//! The time left in this invocation.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The end of the invocation, if known.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Option<Time>);

#[derive(Debug, Clone, Copy)]
struct Time {
    whole: Duration,
    end: Instant,
}

impl Deadline {
    /// From `Context.deadline`, in ms since 1970. A time in the past means "unknown", not "no time left": some tools send 0 or a time in 1970.
    #[must_use]
    pub fn from_context(deadline_ms: u64, now: Timestamp) -> Self {
        let now_ms = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let left = deadline_ms.checked_sub(now_ms).filter(|left| *left > 0);
        let time = |whole| Time { whole, end: Instant::now() + whole };
        Self(left.map(|ms| time(Duration::from_millis(ms))))
    }

    /// Whether there is time left for something that may take this long.
    #[must_use]
    pub fn leaves(&self, needed: Duration) -> bool {
        self.0.is_none_or(|time| Instant::now() + needed <= time.end)
    }

    /// Whether there would be time for it in a full invocation of this length, less one second for its start.
    #[must_use]
    pub fn could_leave(&self, needed: Duration) -> bool {
        self.0.is_none_or(|time| needed + Duration::from_secs(1) <= time.whole)
    }

    /// The time limit for the last operation: `most`, or half of what is left, so that there is time to report.
    #[must_use]
    pub fn half(&self, most: Duration) -> Duration {
        self.0.map_or(most, |time| most.min(time.end.saturating_duration_since(Instant::now()) / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_in_the_past_is_unknown() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let ms = 1_700_000_000_000;
        for unknown in [0, 1, ms - 1, ms] {
            let unknown = Deadline::from_context(unknown, now);
            assert!(unknown.leaves(Duration::from_secs(900)));
            assert_eq!(unknown.half(Duration::from_secs(900)), Duration::from_secs(900));
        }
        let known = Deadline::from_context(ms + 10_000, now);
        assert!(known.leaves(Duration::from_secs(9)) && !known.leaves(Duration::from_secs(11)));
        assert!(known.could_leave(Duration::from_secs(9)) && !known.could_leave(Duration::from_secs(10)));
        assert_eq!(known.half(Duration::from_secs(4)), Duration::from_secs(4));
        assert!(known.half(Duration::from_secs(9)) <= Duration::from_secs(5));
    }
}
