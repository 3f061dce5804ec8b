//! `retry`: for how long a failing effect is tried again, and with which backoff.
//!
//! The default outlasts an outage of a day. Whether to try again is decided when a try fails, so an effect is
//! tried until the first failure after `give_up_after`.

use std::{fmt, time::Duration};

use jiff::{RoundMode, SignedDuration, SignedDurationRound, Unit};

use super::{problems::Problems, section::Section, span::Span};

/// Tries above this number are not counted when a retry budget is described.
const MANY: u32 = 10_000;

/// The backoff and the retry budget. At least one of the two limits is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// No further try once this much time has passed since the first try began, or since an operator's retry.
    pub give_up_after: Option<Duration>,
    /// No further try after this many, including those that crashed.
    pub max_attempts: Option<u32>,
    /// Upper bound of the first pause; doubled after each try.
    pub backoff: Duration,
    /// Upper bound of every pause.
    pub max_backoff: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            give_up_after: Some(Duration::from_secs(24 * 3600)),
            max_attempts: None,
            backoff: Duration::from_secs(30),
            max_backoff: Duration::from_secs(3600),
        }
    }
}

impl Retry {
    /// Reads the section. `longest`: the longest time that one attempt may take, if known.
    pub(super) fn read(mut section: Section, longest: Option<Duration>, problems: &mut Problems) -> Self {
        let default = Self::default();
        let mut time = |field| {
            let span: Option<Span> = section.optional(field, "a time such as \"30s\"", problems);
            span.map(Duration::from)
        };
        let (give_up_after, backoff, max_backoff) =
            (time("give_up_after"), time("backoff"), time("max_backoff"));
        let max_attempts: Option<u32> = section.optional("max_attempts", "a whole number", problems);
        let retry = Self {
            give_up_after: give_up_after.or(default.give_up_after.filter(|_| max_attempts.is_none())),
            max_attempts,
            backoff: backoff.unwrap_or(default.backoff),
            max_backoff: max_backoff.unwrap_or(default.max_backoff),
        };
        retry.check(&section, longest.unwrap_or_default(), problems);
        section.finish(problems);
        retry
    }

    fn check(&self, section: &Section, longest: Duration, problems: &mut Problems) {
        if self.max_attempts == Some(0) {
            problems.add(section.path("max_attempts"), "0 would never call; write 1 or more");
        }
        if self.give_up_after.is_some_and(|limit| limit < longest) {
            let message = format!(
                "shorter than one attempt, which may take {}; write a longer time, or max_attempts = 1 to try only once",
                text(longest)
            );
            problems.add(section.path("give_up_after"), message);
        }
        if self.backoff.is_zero() {
            problems.add(
                section.path("backoff"),
                "must be over 0, or a failing call is repeated without a pause",
            );
        }
        if self.max_backoff < self.backoff {
            let (first, cap) = (text(self.backoff), text(self.max_backoff));
            let message = format!("{cap} is less than backoff, which is {first}; write {first} or more");
            problems.add(section.path("max_backoff"), message);
        }
    }

    /// Upper bound of the pause after `tries` tries.
    #[must_use]
    pub fn pause_bound(&self, tries: u32) -> Duration {
        let doubled = self.backoff.saturating_mul(2u32.saturating_pow(tries.saturating_sub(1)));
        doubled.min(self.max_backoff)
    }

    /// The limit that `tries` tries in this much time have reached. None: there is another try.
    #[must_use]
    pub fn exhausted(&self, tries: u32, time: Duration) -> Option<String> {
        if self.max_attempts.is_some_and(|max| tries >= max) {
            return Some("attempts used up".to_owned());
        }
        let limit = self.give_up_after.filter(|limit| time >= *limit)?;
        Some(format!("gave up after {}", text(limit)))
    }

    /// How many tries fit into the budget, and how long they take, if each pause is half its bound, the mean of an even distribution.
    fn expected(&self) -> (u32, Duration) {
        let (mut tries, mut time) = (1, Duration::ZERO);
        while tries < MANY && self.exhausted(tries, time).is_none() {
            time += self.pause_bound(tries) / 2;
            tries += 1;
        }
        (tries, time)
    }
}

/// Such as `24h: about 55 tries, pauses up to 1h`.
impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tries, time) = self.expected();
        match (self.give_up_after, self.max_attempts) {
            (_, Some(1)) => return f.write_str("1 try"),
            (Some(limit), Some(max)) => write!(f, "{} or {max} tries, whichever comes first", text(limit))?,
            (Some(limit), None) if tries == MANY => write!(f, "{}: over {MANY} tries", text(limit))?,
            (Some(limit), None) => write!(f, "{}: about {tries} tries", text(limit))?,
            (None, _) if tries == MANY => write!(f, "over {MANY} tries")?,
            (None, _) => write!(f, "{tries} tries: about {}", text(time))?,
        }
        // The cap, unless the tries end before the doubling reaches it.
        write!(f, ", pauses up to {}", text(self.pause_bound(tries - 1)))
    }
}

/// A duration in readable form, without parts that are negligible.
fn text(span: Duration) -> String {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    let unit = match span.as_secs() {
        0 => Unit::Millisecond,
        1..3600 => Unit::Second,
        _ => Unit::Minute,
    };
    let rounded = span.round(SignedDurationRound::new().smallest(unit).mode(RoundMode::HalfExpand));
    format!("{:#}", rounded.unwrap_or(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn the_default_outlasts_a_day() {
        let retry = Retry::default();
        assert_eq!(
            retry.exhausted(1000, 24 * HOUR - Duration::from_secs(1)),
            None,
            "one more, later than that"
        );
        assert_eq!(retry.exhausted(3, 24 * HOUR), Some("gave up after 24h".into()));
        assert_eq!(retry.to_string(), "24h: about 55 tries, pauses up to 1h");
    }

    #[test]
    fn whichever_limit_comes_first_ends_it() {
        let retry = Retry { max_attempts: Some(4), give_up_after: Some(2 * HOUR), ..Retry::default() };
        assert_eq!(retry.exhausted(3, HOUR), None);
        assert_eq!(retry.exhausted(4, HOUR), Some("attempts used up".into()));
        assert_eq!(retry.exhausted(2, 2 * HOUR), Some("gave up after 2h".into()));
        assert_eq!(retry.to_string(), "2h or 4 tries, whichever comes first, pauses up to 2m");
        let counted = Retry { give_up_after: None, ..retry };
        assert_eq!(counted.exhausted(3, 1000 * HOUR), None);
        assert_eq!(counted.to_string(), "4 tries: about 1m 45s, pauses up to 2m");
    }

    #[test]
    fn a_budget_that_is_out_of_the_ordinary_is_described_as_well() {
        let tiny = Duration::from_millis(1);
        let retry = Retry { backoff: tiny, max_backoff: tiny, ..Retry::default() };
        assert_eq!(retry.to_string(), "24h: over 10000 tries, pauses up to 1ms");
        let once = Retry { max_attempts: Some(1), ..Retry::default() };
        assert_eq!(once.to_string(), "1 try");
    }

    proptest::proptest! {
        #[test]
        fn a_pause_doubles_up_to_the_cap(tries in 1u32..) {
            let bound = Retry::default().pause_bound(tries);
            let expected = if tries > 7 { HOUR } else { Duration::from_secs(30) * 2u32.pow(tries - 1) };
            proptest::prop_assert_eq!(bound, expected);
        }
    }
}
