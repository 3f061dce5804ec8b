//! `rate` and `burst`: the rate limits of destinations and sources.

use std::num::NonZeroU32;

use super::{problems::Problems, section::Section};

/// A rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Operations per second.
    pub per_second: NonZeroU32,
    /// How many operations may come at once after a quiet period.
    pub burst: NonZeroU32,
}

impl Rate {
    /// Reads both fields; none if there is no `rate`.
    pub(super) fn read(section: &mut Section, problems: &mut Problems) -> Option<Self> {
        let rate = section.optional("rate", "how many in a second, a whole number from 1 on", problems);
        let burst = section.optional("burst", "a whole number from 1 on", problems);
        if burst.is_some() && rate.is_none() {
            problems.add(section.path("burst"), "means nothing without a rate; add rate = 10 or another");
        }
        rate.map(|per_second| Self { per_second, burst: burst.unwrap_or(NonZeroU32::MIN) })
    }
}
