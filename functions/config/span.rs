//! Durations in readable form: `30s`, `5m`, `1h 30m`, `24h`.

use std::{str::FromStr, time::Duration};

use jiff::SignedDuration;
use serde::Deserialize;

/// The longest duration: longer than any setting needs, and short enough to be added to any date.
const MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A duration, never negative and at most ten years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Span(Duration);

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a time; write 30s, 5m or 1h 30m");
        let span: SignedDuration = text.parse().map_err(|_| wrong())?;
        match Duration::try_from(span) {
            Ok(span) if span <= MAX => Ok(Self(span)),
            Ok(_) => Err(format!("{text:?} is over ten years")),
            Err(_) => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
