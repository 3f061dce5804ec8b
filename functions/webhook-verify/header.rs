//! Strict parsing of headers: exactly one line, canonical timestamps, and the tolerance window.

use std::time::Duration;

use http::{HeaderMap, header::AsHeaderName};
use jiff::Timestamp;

use super::Refused;

/// The maximum number of signatures. While a provider rotates secrets it signs with each of them: two, rarely three. More are refused before any
/// is checked: an Ed25519 signature costs another pass over the body, and 110 of them over 1 MB took 118 ms.
pub(super) const MAX_SIGNATURES: usize = 16;

/// A header's only line.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Refused> {
    only_as(headers, name, name)
}

/// A header's only line, with the name for the log.
pub(super) fn only_as<'a>(
    headers: &'a HeaderMap,
    name: impl AsHeaderName,
    known_as: &'static str,
) -> Result<&'a str, Refused> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next().ok_or(Refused::Missing(known_as))?;
    if lines.next().is_some() {
        return Err(Refused::Repeated(known_as));
    }
    line.to_str().map_err(|_| Refused::Malformed(known_as))
}

/// The only line of an optional header, if it is not empty.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    only(headers, name).ok().filter(|value| !value.is_empty())
}

/// Refuses a request with different values under two names of the same header.
pub(super) fn same(headers: &HeaderMap, name: &'static str, other: &'static str) -> Result<(), Refused> {
    let mut values = headers.get_all(name).iter().chain(headers.get_all(other));
    let first = values.next();
    if values.all(|value| Some(value) == first) { Ok(()) } else { Err(Refused::Contradicted(name)) }
}

/// The tolerance window of signed timestamps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) tolerance: Duration,
    pub(super) now_unix: i64,
}

impl Window {
    /// Checks seconds since 1970; `malformed` is the error for anything else. Only digits without leading zeros: the signature covers the text, so a
    /// second notation would be a second text for the same time.
    pub(super) fn check(self, seconds: &str, malformed: Refused) -> Result<(), Refused> {
        let canonical =
            seconds.bytes().all(|b| b.is_ascii_digit()) && (seconds == "0" || !seconds.starts_with('0'));
        match seconds.parse::<i64>() {
            Ok(signed_at) if canonical => self.check_millis(signed_at.saturating_mul(1000)),
            _ => Err(malformed),
        }
    }

    /// Checks seconds that are signed without a separator after them. All have ten digits (until 2286), so the boundary to what follows is
    /// unambiguous.
    pub(super) fn check_unseparated(self, seconds: &str, malformed: Refused) -> Result<(), Refused> {
        if seconds.len() == 10 { self.check(seconds, malformed) } else { Err(malformed) }
    }

    /// Checks milliseconds that are signed with no separator before them. All have thirteen digits (until 2286).
    pub(super) fn check_millis_unseparated(self, millis: &str, malformed: Refused) -> Result<(), Refused> {
        match millis.parse::<i64>() {
            Ok(signed_at) if millis.len() == 13 && millis.bytes().all(|b| b.is_ascii_digit()) => {
                self.check_millis(signed_at)
            }
            _ => Err(malformed),
        }
    }

    /// Checks a time such as `2021-03-25T05:09:27Z` that is signed without a separator after it. It ends with its only `Z`, so the boundary to what
    /// follows is unambiguous.
    pub(super) fn check_rfc3339(self, time: &str, malformed: Refused) -> Result<(), Refused> {
        let canonical = time.len() <= 30 && time.find('Z').is_some_and(|at| at + 1 == time.len());
        match time.parse::<Timestamp>() {
            Ok(signed_at) if canonical => self.check_millis(signed_at.as_millisecond()),
            _ => Err(malformed),
        }
    }

    /// Checks milliseconds since 1970.
    pub(super) fn check_millis(self, signed_at: i64) -> Result<(), Refused> {
        let distance = self.now_unix.saturating_mul(1000).saturating_sub(signed_at).unsigned_abs();
        if u128::from(distance) > self.tolerance.as_millis() {
            return Err(Refused::OutsideWindow { signed_at: signed_at / 1000 });
        }
        Ok(())
    }
}
