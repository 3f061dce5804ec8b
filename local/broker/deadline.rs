//! A deadline: an RFC 3339 time, read as strictly as the real broker reads it, and refused in its words.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An RFC 3339 time that keeps the offset it was written with (transcript 10).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Deadline {
    pub(super) at: Timestamp,
    text: String,
}

impl TryFrom<String> for Deadline {
    type Error = String;

    fn try_from(given: String) -> Result<Self, String> {
        let why = |misread| match misread {
            Misread::Element { rest, element } => format!(
                "parsing time {given:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {rest:?} as {element:?}"
            ),
            Misread::Range(what) => format!("parsing time {given:?}: {what} out of range"),
            Misread::Extra(rest) => format!("parsing time {given:?}: extra text: {rest:?}"),
        };
        read(&given).map_err(why)?;
        // What is left to go wrong is a day that its month does not have.
        let at: Timestamp = given.parse().map_err(|_| why(Misread::Range("day")))?;
        let pieces = jiff::fmt::temporal::Pieces::parse(&given).map_err(|_| why(Misread::Range("day")))?;
        let text = match pieces.to_numeric_offset() {
            Some(offset) if offset.seconds() != 0 => at.display_with_offset(offset).to_string(),
            _ => at.to_string(),
        };
        Ok(Self { at, text })
    }
}

impl From<Timestamp> for Deadline {
    fn from(at: Timestamp) -> Self {
        Self { at, text: at.to_string() }
    }
}

impl From<Deadline> for String {
    fn from(deadline: Deadline) -> Self {
        deadline.text
    }
}

/// Where Go gives up on a time.
enum Misread<'a> {
    Element { rest: &'a str, element: &'static str },
    Range(&'static str),
    Extra(&'a str),
}

/// Go's layout of RFC 3339 up to the fraction: each number with the mark behind it, its name, and what it may be.
const LAYOUT: [(&str, &str, &str, RangeInclusive<u32>); 6] = [
    ("2006", "-", "year", 0..=9999),
    ("01", "-", "month", 1..=12),
    ("02", "T", "day", 1..=31),
    ("15", ":", "hour", 0..=23),
    ("04", ":", "minute", 0..=59),
    ("05", "", "second", 0..=59),
];

/// Reads a time element by element. Other readers of RFC 3339 allow more: `t`, `z`, a blank, second 60, `+0200`.
fn read(text: &str) -> Result<(), Misread<'_>> {
    let mut rest = text;
    for (element, mark, what, range) in LAYOUT {
        let (number, after) = digits(rest, element.len()).ok_or(Misread::Element { rest, element })?;
        if !range.contains(&number) {
            return Err(Misread::Range(what));
        }
        rest = after.strip_prefix(mark).ok_or(Misread::Element { rest: after, element: mark })?;
    }
    if let Some(fraction) = rest.strip_prefix('.').filter(|rest| digits(rest, 1).is_some()) {
        rest = fraction.trim_start_matches(|char: char| char.is_ascii_digit());
    }
    let rest = zone(rest)?;
    if rest.is_empty() { Ok(()) } else { Err(Misread::Extra(rest)) }
}

fn zone(rest: &str) -> Result<&str, Misread<'_>> {
    if let Some(rest) = rest.strip_prefix('Z') {
        return Ok(rest);
    }
    let offset = || {
        let (hours, rest) = digits(rest.strip_prefix(['+', '-'])?, 2)?;
        let (minutes, rest) = digits(rest.strip_prefix(':')?, 2)?;
        Some((hours, minutes, rest))
    };
    match offset().ok_or(Misread::Element { rest, element: "Z07:00" })? {
        (24.., ..) => Err(Misread::Range("time zone offset hour")),
        (_, 60.., _) => Err(Misread::Range("time zone offset minute")),
        (.., rest) => Ok(rest),
    }
}

/// A number of exactly so many digits, and what follows it.
fn digits(text: &str, count: usize) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)?;
    Some((number.parse().ok()?, rest))
}
