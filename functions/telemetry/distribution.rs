//! Many measurements in one log line: each distinct value with its count.

use std::{collections::BTreeMap, time::Duration};

/// The maximum number of values of a metric in one line
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
const MAX_VALUES: usize = 100;

/// Measurements, as whole numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution(BTreeMap<u64, u64>);

impl Distribution {
    /// Adds a measurement.
    pub fn add(&mut self, value: u64) {
        *self.0.entry(value).or_default() += 1;
    }

    /// Adds a duration, in whole milliseconds.
    pub fn add_time(&mut self, time: Duration) {
        self.add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    /// Whether nothing was measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many measurements there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// A percentile: the smallest value that this percentage of the measurements does not exceed; none if nothing was measured.
    #[must_use]
    pub fn percentile(&self, of_hundred: u64) -> Option<u64> {
        let rank = (self.count() * of_hundred).div_ceil(100);
        let mut below = 0;
        let reaches = |(_, count): &(&u64, &u64)| {
            below += **count;
            below >= rank
        };
        self.0.iter().find(reaches).map(|(value, _)| *value)
    }

    /// Each value with its count, the smallest first: exact while a line can hold them, else rounded to as many significant bits as fit. Seven
    /// bits always fit for the milliseconds of an hour, with an error under 1 %.
    #[must_use]
    pub fn values(&self) -> Vec<(u64, u64)> {
        let longest = self.0.last_key_value().map_or(1, |(value, _)| u64::BITS - value.leading_zeros());
        let rounded = (1..=longest.max(1)).rev().map(|bits| self.rounded(bits));
        rounded
            .into_iter()
            .find(|values| values.len() <= MAX_VALUES)
            .unwrap_or_default()
            .into_iter()
            .collect()
    }

    fn rounded(&self, bits: u32) -> BTreeMap<u64, u64> {
        let mut values = BTreeMap::new();
        for (value, count) in &self.0 {
            let dropped = (u64::BITS - value.leading_zeros()).saturating_sub(bits);
            *values.entry(value >> dropped << dropped).or_default() += count;
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_values_stay_as_they_are() {
        let mut times = Distribution::default();
        for ms in [7, 1000, 7] {
            times.add_time(Duration::from_millis(ms));
        }
        assert_eq!(times.values(), [(7, 2), (1000, 1)]);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut times = Distribution::default();
        assert_eq!(times.percentile(50), None);
        (1..=200).for_each(|value| times.add(value));
        assert_eq!([1, 50, 99, 100].map(|part| times.percentile(part)), [2, 100, 198, 200].map(Some));
    }

    proptest! {
        #[test]
        fn a_line_can_hold_them_none_is_lost_and_none_is_far_off(values in prop::collection::vec(any::<u64>(), 0..400), shift in 0u32..60) {
            let values: Vec<_> = values.into_iter().map(|value| value >> shift).collect();
            let mut all = Distribution::default();
            values.iter().for_each(|value| all.add(*value));
            let rounded = all.values();
            prop_assert!(rounded.len() <= MAX_VALUES);
            prop_assert_eq!(rounded.iter().map(|(_, count)| count).sum::<u64>(), values.len() as u64);
            let largest = values.iter().max().copied().unwrap_or_default();
            let last = rounded.last().map_or(0, |(value, _)| *value);
            prop_assert!(last <= largest && largest / 2 <= last);
        }
    }
}
