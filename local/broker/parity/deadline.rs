//! A deadline: parsed as Go's `time.Parse(time.RFC3339, …)` parses it, with its error messages, and written as Go writes it.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// A time that keeps the offset it was written with. Beyond the year 9999 in UTC it can't be a [`Timestamp`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::broker) struct Deadline {
    /// Since the epoch.
    seconds: i64,
    nanos: i32,
    text: String,
}

impl Deadline {
    pub(in crate::broker) fn is_before(&self, now: Timestamp) -> bool {
        (self.seconds, self.nanos) < (now.as_second(), now.subsec_nanosecond())
    }

    /// From milliseconds after the epoch. As in Go, values beyond the range of nanoseconds overflow silently.
    pub(in crate::broker) fn of_millis(ms: i64) -> Self {
        let at = Timestamp::from_nanosecond(ms.wrapping_mul(1_000_000).into()).unwrap_or_default(); // 1677 to 2262
        let seconds = at.as_second() - i64::from(at.subsec_nanosecond() < 0);
        Self { seconds, nanos: at.subsec_nanosecond().rem_euclid(1_000_000_000), text: at.to_string() }
    }
}

impl TryFrom<String> for Deadline {
    type Error = String;

    fn try_from(given: String) -> Result<Self, String> {
        read(&given).map_err(|misread| {
            let given = quoted(&given);
            match misread {
                Misread::Element { rest, element } => {
                    let rest = quoted(rest);
                    format!("parsing time {given} as \"2006-01-02T15:04:05Z07:00\": cannot parse {rest} as \"{element}\"")
                }
                Misread::Range(what) => format!("parsing time {given}: {what} out of range"),
                Misread::Extra(rest) => format!("parsing time {given}: extra text: {}", quoted(rest)),
            }
        })
    }
}

impl From<Deadline> for String {
    fn from(deadline: Deadline) -> Self {
        deadline.text
    }
}

/// A position at which Go stops parsing a time.
enum Misread<'a> {
    Element { rest: &'a str, element: &'static str },
    Range(&'static str),
    Extra(&'a str),
}

/// Go's layout of RFC 3339 up to the fraction: each number with the separator before it, its name, and its range. A day is checked against its
/// month at the end.
const LAYOUT: [(&str, &str, &str, RangeInclusive<i32>); 6] = [
    ("", "2006", "year", 0..=9999),
    ("-", "01", "month", 1..=12),
    ("-", "02", "day", 0..=99),
    ("T", "15", "hour", 0..=23),
    (":", "04", "minute", 0..=59),
    (":", "05", "second", 0..=59),
];

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// Parses a time element by element. Other RFC 3339 parsers accept less (an hour of one digit, a comma, ten digits in a fraction) or more (`t`,
/// `z`, a space, second 60, `+0200`).
fn read(text: &str) -> Result<Deadline, Misread<'_>> {
    let mut rest = text;
    let mut numbers = [0; 6];
    for (number, (mark, element, what, range)) in numbers.iter_mut().zip(LAYOUT) {
        let after = rest.strip_prefix(mark).ok_or(Misread::Element { rest, element: mark })?;
        // Go accepts an hour of one digit.
        let shorter = || (element == "15").then(|| digits(after, 1)).flatten();
        let read = digits(after, element.len()).or_else(shorter);
        (*number, rest) = read.ok_or(Misread::Element { rest: after, element })?;
        if !range.contains(number) {
            return Err(Misread::Range(what));
        }
    }
    let (nanos, rest) = fraction(rest);
    let (offset, rest) = zone(rest)?;
    if !rest.is_empty() {
        return Err(Misread::Extra(rest));
    }
    let [year, month, day, hour, minute, second] = numbers;
    let date = date(year, month, day).ok_or(Misread::Range("day"))?;
    let second_of_day = i64::from(hour * 3600 + minute * 60 + second);
    let seconds = date.duration_since(EPOCH).as_secs() + second_of_day - i64::from(offset * 60);
    let fraction = match nanos {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    let zone = match offset {
        0 => "Z".to_owned(),
        _ => {
            format!("{}{:02}:{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 60, offset.abs() % 60)
        }
    };
    let text = format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}");
    Ok(Deadline { seconds, nanos, text })
}

fn date(year: i32, month: i32, day: i32) -> Option<Date> {
    Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()
}

/// The nanoseconds of a fraction, if there is one, after a point or a comma. Digits after the ninth are dropped.
fn fraction(rest: &str) -> (i32, &str) {
    let Some(after) = rest.strip_prefix(['.', ',']).filter(|after| digits(after, 1).is_some()) else {
        return (0, rest);
    };
    let rest = after.trim_start_matches(|char: char| char.is_ascii_digit());
    let fraction = &after[..after.len() - rest.len()];
    let nanos = format!("{fraction:0<9}");
    (nanos[..9].parse().unwrap_or_default(), rest)
}

/// The minutes of an offset.
fn zone(rest: &str) -> Result<(i32, &str), Misread<'_>> {
    if let Some(rest) = rest.strip_prefix('Z') {
        return Ok((0, rest));
    }
    let bad = || Misread::Element { rest, element: "Z07:00" };
    let offset = || {
        let (sign, after) = rest.split_at_checked(1)?;
        let (hours, after) = digits(after, 2)?;
        let (minutes, after) = digits(after.strip_prefix(':')?, 2)?;
        Some((sign, hours, minutes, after))
    };
    match offset().ok_or_else(bad)? {
        (_, 24.., ..) => Err(Misread::Range("time zone offset hour")),
        (_, _, 60.., _) => Err(Misread::Range("time zone offset minute")),
        ("+", hours, minutes, rest) => Ok((hours * 60 + minutes, rest)),
        ("-", hours, minutes, rest) => Ok((-hours * 60 - minutes, rest)),
        _ => Err(bad()),
    }
}

/// A number with exactly this many digits, and the rest of the text.
fn digits(text: &str, count: usize) -> Option<(i32, &str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)?;
    Some((number.parse().ok()?, rest))
}

/// A text as Go's package `time` quotes it: characters other than printable ASCII byte by byte.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=0x7f => quoted.push(char::from(byte)),
            other => quoted.push_str(&format!("\\x{other:02x}")),
        }
    }
    quoted + "\""
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test may panic where it fails")]
mod tests {
    use super::*;

    #[test]
    fn what_go_takes_is_taken_and_written_as_go_writes_it() {
        for (given, written) in [
            ("2099-01-01T00:00:00Z", "2099-01-01T00:00:00Z"),
            ("2099-01-01T02:00:00+02:00", "2099-01-01T02:00:00+02:00"),
            ("2099-01-01T02:00:00-00:00", "2099-01-01T02:00:00Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
            ("9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59-23:59"),
            ("2099-01-01T00:00:00,5Z", "2099-01-01T00:00:00.5Z"),
            ("2099-01-01T00:00:00.1234567891Z", "2099-01-01T00:00:00.123456789Z"),
            ("2099-01-01T00:00:00.120Z", "2099-01-01T00:00:00.12Z"),
            ("2099-01-01T1:00:00Z", "2099-01-01T01:00:00Z"),
        ] {
            let deadline = Deadline::try_from(given.to_owned()).unwrap();
            assert_eq!(String::from(deadline), written, "{given}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused_in_its_words() {
        for (given, why) in [
            ("2099-02-29T00:00:00Z", ": day out of range"),
            ("2099-01-00T00:00:00Z", ": day out of range"),
            ("2099-01-32T00:00:00x", r#" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "Z07:00""#),
            ("2099-01-01T00:00:00ZZ", r#": extra text: "Z""#),
            ("2099-01-01T00:00:00.Z", r#" as "2006-01-02T15:04:05Z07:00": cannot parse ".Z" as "Z07:00""#),
        ] {
            let refused = Deadline::try_from(given.to_owned()).unwrap_err();
            assert_eq!(refused, format!("parsing time \"{given}\"{why}"));
        }
    }

    #[test]
    fn milliseconds_overflow_as_in_go() {
        let written = |ms| String::from(Deadline::of_millis(ms));
        assert_eq!(written(4_070_908_800_000), "2099-01-01T00:00:00Z");
        assert_eq!(written(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(written(10_000_000_000_000), "1702-05-02T18:12:06.290448384Z");
    }

    #[test]
    fn a_deadline_is_before_a_later_time_only() {
        let at = |text: &str| Deadline::try_from(text.to_owned()).unwrap();
        let now: Timestamp = "2026-01-01T00:00:00.5Z".parse().unwrap();
        assert!(at("2026-01-01T00:00:00.4Z").is_before(now));
        assert!(at("2026-01-01T01:00:00.4+01:00").is_before(now));
        assert!(!at("2026-01-01T00:00:00.5Z").is_before(now));
        assert!(!at("9999-12-31T23:59:59-23:59").is_before(now));
        assert!(Deadline::of_millis(-1).is_before(Timestamp::UNIX_EPOCH));
    }
}
