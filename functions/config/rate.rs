//! `rate` and `burst`: how fast something may go, in a destination and in a source.

use std::num::NonZeroU32;

use super::{problems::Problems, section::Section};

/// A rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In a second.
    pub per_second: NonZeroU32,
    /// How many may come at once after a quiet time.
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
