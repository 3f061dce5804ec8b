//! When to try again: exponential with full jitter, capped, and never before the third party wants to be asked.
//! (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>)

use std::time::Duration;

use crate::config::step::Retry;

/// The longest `Retry-After` that is honoured.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The pause after `attempt` attempts. `random` is any number, evenly spread.
#[must_use]
pub fn pause(retry: &Retry, attempt: u32, retry_after: Option<Duration>, random: u64) -> Duration {
    let doubled = retry.backoff.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1)));
    let bound = doubled.min(retry.max_backoff);
    let bound_ms = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
    let jitter = Duration::from_millis(random % bound_ms.saturating_add(1).max(1));
    let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
    asked.max(jitter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RETRY: Retry =
        Retry { max_attempts: 8, backoff: Duration::from_secs(30), max_backoff: Duration::from_secs(300) };

    #[test]
    fn retry_after_is_the_least() {
        assert_eq!(pause(&RETRY, 1, Some(Duration::from_secs(120)), 7), Duration::from_secs(120));
        assert_eq!(pause(&RETRY, 1, None, 7), Duration::from_millis(7));
    }

    proptest! {
        #[test]
        fn the_bound_doubles_up_to_the_cap(attempt in any::<u32>(), random in any::<u64>()) {
            let bound = Duration::from_secs(if attempt < 2 { 30 } else if attempt == 2 { 60 } else if attempt == 3 { 120 } else if attempt == 4 { 240 } else { 300 });
            prop_assert!(pause(&RETRY, attempt, None, random) <= bound);
        }
    }
}
