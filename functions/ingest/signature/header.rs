//! Headers that leave no room for a second reading.

use std::time::Duration;

use lambda_http::http::HeaderMap;

use super::Refused;

/// A header's only line.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Refused> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next().ok_or(Refused::Missing(name))?;
    if lines.next().is_some() {
        return Err(Refused::Repeated(name));
    }
    line.to_str().map_err(|_| Refused::Malformed(name))
}

/// When a webhook may have been signed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) tolerance: Duration,
    pub(super) now_unix: i64,
}

impl Window {
    /// Checks seconds since 1970 that stand in the header `name`. Only digits, and no zero before others: the signature
    /// is over the text, so a second way to write a number would be a second text for one time.
    pub(super) fn check(self, seconds: &str, name: &'static str) -> Result<(), Refused> {
        let canonical =
            seconds.bytes().all(|b| b.is_ascii_digit()) && (seconds == "0" || !seconds.starts_with('0'));
        let signed_at: i64 = match seconds.parse() {
            Ok(signed_at) if canonical => signed_at,
            _ => return Err(Refused::Malformed(name)),
        };
        let distance = self.now_unix.saturating_sub(signed_at).unsigned_abs();
        if distance > self.tolerance.as_secs() { Err(Refused::OutsideWindow { signed_at }) } else { Ok(()) }
    }
}
