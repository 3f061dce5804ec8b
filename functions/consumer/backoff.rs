//! Backoff: exponential with full jitter, capped, and never before the third party's `Retry-After`
//! (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>)

use std::time::Duration;

use crate::config::retry::Retry;

/// The longest `Retry-After` that is honoured.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The pause after `attempt` attempts. `random` is a uniformly distributed number.
#[must_use]
pub fn pause(retry: &Retry, attempt: u32, retry_after: Option<Duration>, random: u64) -> Duration {
    let bound_ms = u64::try_from(retry.pause_bound(attempt).as_millis()).unwrap_or(u64::MAX);
    let jitter = Duration::from_millis(random % bound_ms.saturating_add(1).max(1));
    let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
    asked.max(jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_the_least() {
        let retry = Retry::default();
        assert_eq!(pause(&retry, 1, Some(Duration::from_secs(120)), 7), Duration::from_secs(120));
        assert_eq!(pause(&retry, 1, None, 7), Duration::from_millis(7));
    }

    proptest::proptest! {
        #[test]
        fn no_pause_is_over_its_bound(attempt in 1u32.., random in proptest::prelude::any::<u64>()) {
            let retry = Retry::default();
            proptest::prop_assert!(pause(&retry, attempt, None, random) <= retry.pause_bound(attempt));
        }
    }
}
