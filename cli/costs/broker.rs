//! The number and size of the `driftq.yaml` brokers that a traffic needs.

use local::counted::{BROKER_BYTES_PER_MESSAGE, BROKER_FULL};

use super::{
    prices::{FARGATE_GB_HOUR, VCPU_HOUR},
    traffic::MONTH,
};

/// vCPU and GB: the smallest processor for each size of memory, from the template's default up.
const SIZES: [(f64, f64); 4] = [(0.5, 4.0), (1.0, 8.0), (2.0, 16.0), (4.0, 30.0)];

/// Parallel brokers of one size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Brokers {
    pub(super) count: f64,
    pub(super) vcpu: f64,
    pub(super) gb: f64,
    /// Days until each must be replaced with an empty one.
    pub(super) days: f64,
}

impl Brokers {
    /// The fewest brokers of the smallest size that last for that many days.
    pub(super) fn that_last(days: f64, messages_a_month: f64) -> Self {
        let daily = messages_a_month / 30.0;
        let holds = |gb: f64| gb * 1024.0_f64.powi(3) * BROKER_FULL / BROKER_BYTES_PER_MESSAGE;
        let (vcpu, gb) = SIZES.into_iter().find(|(_, gb)| holds(*gb) >= daily * days).unwrap_or(SIZES[3]);
        let count = (daily * days / holds(gb)).ceil().max(1.0);
        Self { count, vcpu, gb, days: count * holds(gb) / daily }
    }

    pub(super) fn fargate(&self) -> f64 {
        self.count * MONTH / 3600.0 * (self.vcpu * VCPU_HOUR + self.gb * FARGATE_GB_HOUR)
    }
}
