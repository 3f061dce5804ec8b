//! The traffic of a month, and the load that it causes.

use super::prices::{LAMBDA_GB_SECOND, LAMBDA_REQUEST};

/// Seconds in a month of 30 days.
pub(crate) const MONTH: f64 = 30.0 * 24.0 * 3600.0;
/// Invocations of the schedule in a month.
pub(crate) const TICKS: f64 = MONTH / 60.0;
/// The duration of ingest per webhook on AWS: a round trip to the broker, and concurrently one to Lambda. An estimate.
const INGEST_SECONDS: f64 = 0.020;
/// The duration of a consumer invocation that finds one message: `IDLE_EXIT`, and its start.
const RUN_SECONDS: f64 = 1.1;
/// `MemorySize` of both functions.
const GB: f64 = 0.25;

/// Webhooks, and the effects that they start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traffic {
    /// Webhooks in a month.
    pub(crate) webhooks: f64,
    /// Steps that a webhook starts, on average.
    pub(crate) effects_per_webhook: f64,
    /// Calls that take longer than `slow_call` (100 ms), as most on the internet do.
    pub(crate) slow_calls: bool,
}

impl Traffic {
    pub(crate) fn effects(self) -> f64 {
        self.webhooks * self.effects_per_webhook
    }

    /// Processes of ingest, by a rule of thumb for queues: the mean plus twice its square root. An estimate.
    fn processes(self) -> f64 {
        let busy = self.webhooks / MONTH * INGEST_SECONDS;
        (busy + 2.0 * busy.sqrt()).ceil().max(1.0)
    }

    /// Each process wakes the consumer at most once per second.
    pub(crate) fn wake_ups(self) -> f64 {
        let rate = self.webhooks / MONTH / self.processes();
        self.processes() * rate / (1.0 + rate) * MONTH
    }

    /// The maximum number of seconds that the consumer runs: a message that does not wake it may prolong an invocation by a
    /// second. One invocation runs at a time.
    pub(crate) fn awake(self) -> f64 {
        let of_runs = (TICKS + self.wake_ups()) * RUN_SECONDS;
        (of_runs + self.webhooks - self.wake_ups()).min(MONTH)
    }

    /// The maximum number of invocations of the consumer.
    pub(crate) fn runs(self) -> f64 {
        (TICKS + self.wake_ups()).min(self.awake() / RUN_SECONDS)
    }

    /// The cost of Lambda for ingest, and for the consumer.
    pub(crate) fn lambda(self) -> (f64, f64) {
        let ingest = self.webhooks * (LAMBDA_REQUEST + INGEST_SECONDS * GB * LAMBDA_GB_SECOND);
        let consumer = (TICKS + self.wake_ups()) * LAMBDA_REQUEST + self.awake() * GB * LAMBDA_GB_SECOND;
        (ingest, consumer)
    }

    /// Traces: Lambda records the first request of each second, and 5 % of the others. Requests come at random, so that at a
    /// low rate nearly each is the first of its second. A wake-up has no trace context, so an invocation of the consumer has its
    /// own trace.
    pub(crate) fn traces(self) -> f64 {
        let per_second = |requests: f64| {
            let rate = requests / MONTH;
            let first = 1.0 - (-rate).exp();
            first + 0.05 * (rate - first)
        };
        // Invocations begin more than a second apart.
        per_second(self.webhooks) * MONTH + self.runs()
    }
}
