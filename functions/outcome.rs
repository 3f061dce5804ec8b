//! The outcome of a call. It is decided here and nowhere else.
//!
//! | class | examples | then |
//! |---|---|---|
//! | applied | 2xx | commit |
//! | not sent | DNS, refused connection, TLS failure | defer |
//! | refused for now | 408, 425, 429, 503 with Retry-After | defer |
//! | refused for good | other 4xx, 3xx (redirects are not followed), a request that can't be made | park |
//! | unknown | timeout after sending, connection lost, other 5xx | in doubt |

use std::{error::Error, io, iter, time::Duration};

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use jiff::{Timestamp, fmt::rfc2822};
use rustls::AlertDescription;

use crate::config::statuses::Statuses;

/// Why a call is not known to have succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotApplied {
    /// Nothing was sent.
    NotSent(String),
    /// Refused, but may be accepted later.
    RefusedForNow {
        /// The response, in short.
        why: String,
        /// The response's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// Refused permanently.
    RefusedForGood(String),
    /// The call may have been applied.
    Unknown(String),
}

impl NotApplied {
    /// The reason, in words.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::NotSent(why)
            | Self::RefusedForNow { why, .. }
            | Self::RefusedForGood(why)
            | Self::Unknown(why) => why,
        }
    }
}

/// Judges a response by its status. The step's `statuses` take precedence over the usual meanings.
///
/// # Errors
/// Every class but applied.
pub fn of_status(
    status: StatusCode,
    headers: &HeaderMap,
    own: &Statuses,
    now: Timestamp,
) -> Result<(), NotApplied> {
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| parse_retry_after(value.to_str().ok()?, now));
    let why = format!("answered {}", status.as_u16());
    match status.as_u16() {
        code if own.applied.contains(&code) => Ok(()),
        code if own.refused_for_now.contains(&code) => Err(NotApplied::RefusedForNow { why, retry_after }),
        code if own.refused_for_good.contains(&code) => Err(NotApplied::RefusedForGood(why)),
        code if own.unknown.contains(&code) => Err(NotApplied::Unknown(why)),
        200..=299 => Ok(()),
        408 | 425 | 429 => Err(NotApplied::RefusedForNow { why, retry_after }),
        503 if retry_after.is_some() => Err(NotApplied::RefusedForNow { why, retry_after }),
        300..=499 => Err(NotApplied::RefusedForGood(why)),
        _ => Err(NotApplied::Unknown(why)),
    }
}

/// Judges a call without a response. If the connection failed, nothing was sent. If the request itself can't
/// be made, nothing was sent either, and the next attempt would fail in the same way. After any other error
/// the call may have been applied.
#[must_use]
pub fn of_error(error: reqwest::Error) -> NotApplied {
    let error = error.without_url();
    if error.is_builder() {
        return NotApplied::RefusedForGood(format!("the request can't be made: {}", root_cause(&error)));
    }
    let what = if error.is_connect() {
        "could not connect"
    } else if error.is_timeout() {
        "no answer in time"
    } else {
        "the connection was lost"
    };
    let why = format!("{what}: {}", root_cause(&error));
    if error.is_connect() || is_refused_handshake(&error) {
        return NotApplied::NotSent(why);
    }
    NotApplied::Unknown(why)
}

/// Whether the third party refused our certificate, or requires one. In TLS 1.3 it reports this after we have completed the handshake and sent
/// the request, which it then can't read.
fn is_refused_handshake(error: &reqwest::Error) -> bool {
    use AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked,
        CertificateUnknown, UnknownCA, UnsupportedCertificate,
    };
    let first: &(dyn Error + 'static) = error;
    let alert = iter::successors(Some(first), |error| (*error).source()).find_map(alert_received);
    alert.is_some_and(|alert| {
        matches!(
            alert,
            AccessDenied
                | BadCertificate
                | CertificateExpired
                | CertificateRequired
                | CertificateRevoked
                | CertificateUnknown
                | UnknownCA
                | UnsupportedCertificate
        )
    })
}

/// The TLS alert that caused a connection error.
fn alert_received(cause: &(dyn Error + 'static)) -> Option<AlertDescription> {
    match cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Parses `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
pub(crate) fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_class() {
        let now = Timestamp::UNIX_EPOCH;
        let class = |status: u16, retry_after: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = retry_after {
                headers.insert(RETRY_AFTER, value.parse().unwrap());
            }
            of_status(StatusCode::from_u16(status).unwrap(), &headers, &Statuses::default(), now)
        };
        assert_eq!(class(201, None), Ok(()));
        assert!(matches!(class(429, None), Err(NotApplied::RefusedForNow { retry_after: None, .. })));
        assert!(matches!(class(503, Some("7")), Err(NotApplied::RefusedForNow { retry_after: Some(_), .. })));
        assert!(matches!(class(503, None), Err(NotApplied::Unknown(_))));
        assert!(matches!(class(500, Some("7")), Err(NotApplied::Unknown(_))));
        assert!(matches!(class(301, None), Err(NotApplied::RefusedForGood(_))));
        assert!(matches!(class(422, None), Err(NotApplied::RefusedForGood(_))));
    }

    #[tokio::test]
    async fn a_request_that_can_not_be_made_is_refused_and_not_in_doubt() {
        let clients = crate::clients::http(&|_| None).unwrap();
        let url = format!("http://127.0.0.1:1/{}", "x".repeat(70_000));
        let outcome = of_error(clients.get(url).send().await.unwrap_err());
        assert_eq!(
            outcome,
            NotApplied::RefusedForGood("the request can't be made: Parsed Url is not a valid Uri".to_owned())
        );
        let outcome =
            of_error(clients.get("http://127.0.0.1:1/").header("a", "\n").send().await.unwrap_err());
        assert!(matches!(outcome, NotApplied::RefusedForGood(_)), "{outcome:?}");
    }

    #[test]
    fn a_step_may_know_better_what_a_status_means() {
        let own = Statuses {
            applied: vec![409],
            refused_for_now: vec![500],
            refused_for_good: vec![429],
            unknown: vec![200],
        };
        let class = |status| {
            of_status(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &own, Timestamp::UNIX_EPOCH)
        };
        assert_eq!(class(409), Ok(()));
        assert!(matches!(class(500), Err(NotApplied::RefusedForNow { .. })));
        assert!(matches!(class(429), Err(NotApplied::RefusedForGood(_))));
        assert!(matches!(class(200), Err(NotApplied::Unknown(_))));
    }

    #[test]
    fn retry_after_may_be_seconds_or_a_date() {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        assert_eq!(parse_retry_after("90", now), Some(Duration::from_secs(90)));
        let date = "Mon, 23 Nov 2026 12:01:00 GMT";
        assert_eq!(parse_retry_after(date, now), Some(Duration::from_secs(60)));
        assert_eq!(parse_retry_after("Mon, 23 Nov 2020 12:01:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("soon", now), None);
        assert_eq!(parse_retry_after("-1", now), None);
    }

    proptest::proptest! {
        #[test]
        fn any_retry_after_is_read_or_ignored(value in "(?s).{0,60}", seconds in proptest::prelude::any::<u64>()) {
            let _ = parse_retry_after(&value, Timestamp::MAX);
            let _ = parse_retry_after(&seconds.to_string(), Timestamp::MIN);
        }
    }
}
