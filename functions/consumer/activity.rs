//! Whether anything happens in a run.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::time::interval;

/// How often it is checked whether the run is over.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// The number of quiet ticks. Ticks and not time: a process that gets no CPU for a while has not been quiet.
#[derive(Debug, Default)]
pub(super) struct Activity(AtomicU32);

impl Activity {
    /// Reports activity.
    pub(super) fn touch(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Counts a tick. Returns how long nothing has happened.
    pub(super) fn tick(&self) -> Duration {
        TICK * self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Reports activity for as long as this future takes.
    pub(super) async fn while_busy<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut ticks = interval(TICK);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => self.touch(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_got_no_cpu_has_not_been_quiet() {
        let activity = Activity::default();
        activity.touch();
        std::thread::sleep(TICK * 3);
        assert_eq!(activity.tick(), TICK);
        assert_eq!(activity.tick(), TICK * 2);
        activity.touch();
        assert_eq!(activity.tick(), TICK);
    }
}
