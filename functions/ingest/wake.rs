//! Wake-ups: ingest invokes the consumer as soon as there is work, so that nothing waits for the schedule.
//!
//! A wake-up is best effort. The commands are durable before it, and the schedule finds them in any case, so a failed wake-up is only counted
//! and logged. It is finished or given up before the response is returned, since Lambda freezes the process then.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::timeout;

use crate::{
    clients::invoke::{InvokeError, Invoker},
    telemetry::{line::Line, metrics::WAKE_UPS_FAILED},
};

/// How much a wake-up may add to the response time.
const PATIENCE: Duration = Duration::from_millis(150);
/// The shortest interval between wake-ups. The consumer, once awake, waits at least as long for more work (`IDLE_EXIT`), and sees what became
/// durable meanwhile.
const INTERVAL: Duration = Duration::from_secs(1);

/// Wakes the consumer, at most once a second.
#[derive(Debug)]
pub struct WakeUps {
    /// None without `CONSUMER_FUNCTION`.
    consumer: Option<Invoker>,
    /// Wall-clock time: a monotonic clock may stand still while the process is frozen.
    last: Mutex<Option<Timestamp>>,
    clock: fn() -> Timestamp,
}

/// Why a wake-up failed.
#[derive(Debug, thiserror::Error)]
enum WakeUpError {
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    #[error("no answer from Lambda within {PATIENCE:?}")]
    TooLate,
}

impl WakeUps {
    /// Wakes this consumer; does nothing without one.
    #[must_use]
    pub fn new(consumer: Option<Invoker>, clock: fn() -> Timestamp) -> Self {
        Self { consumer, last: Mutex::default(), clock }
    }

    /// Makes commands durable with `work`, and wakes the consumer meanwhile. If `work` took so long that the consumer may have ended without seeing
    /// them, it is woken again.
    pub async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        let ((), done) = tokio::join!(self.wake(), work);
        self.wake().await;
        done
    }

    /// Wakes the consumer, unless that was done within the last interval.
    pub async fn wake(&self) {
        let Some(consumer) = &self.consumer else { return };
        let now = (self.clock)();
        if !self.is_time(now) {
            return;
        }
        let outcome = timeout(PATIENCE, consumer.invoke(now)).await;
        if let Err(error) = outcome.map_or(Err(WakeUpError::TooLate), |outcome| outcome.map_err(Into::into)) {
            Line::default().property("Function", "ingest").count(&WAKE_UPS_FAILED, 1).print();
            tracing::warn!(%error, "the consumer was not woken; its schedule will start it");
        }
    }

    /// Whether the next wake-up is due. If so, it counts as sent: a failed one is not repeated at once either.
    fn is_time(&self, now: Timestamp) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Negative if the clock was set back.
        let since = last.map(|last| Duration::try_from(now.duration_since(last)));
        let due = !matches!(since, Some(Ok(since)) if since < INTERVAL);
        if due {
            *last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_passes_between_wake_ups() {
        let wake_ups = WakeUps::new(None, Timestamp::now);
        let at = |ms: i64| Timestamp::from_millisecond(1_780_000_000_000 + ms).unwrap();
        let due = [0, 1, 999, 1000, 1500, 2000].map(|ms| wake_ups.is_time(at(ms)));
        assert_eq!(due, [true, false, false, true, false, true]);
        assert!(wake_ups.is_time(at(-60_000)), "a clock that was set back delays none");
    }
}
