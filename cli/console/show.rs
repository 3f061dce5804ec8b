//! How every page shows a state, a time, an id, and a link with a filter.

use driftq_webhooks::effects::record::Record;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde::{Deserialize, Deserializer};

use crate::effect::state;

/// A state as a symbol, a word and a colour, so that the colour never carries information alone.
pub(super) fn badge(state: &str) -> Markup {
    let sign = match state {
        "done" => "●",
        "in progress" => "◐",
        "waiting" => "◔",
        "parked" => "▲",
        "in doubt" => "?",
        "discarded" => "×",
        "blocked" => "■",
        "skipped" => "–",
        "awaiting" => "◌",
        _ => "○",
    };
    html! { span.state data-state=(state) { span aria-hidden="true" { (sign) } " " (state) } }
}

/// The state of an effect.
pub(super) fn standing(record: &Record) -> Markup {
    badge(state(record))
}

/// A time of day in UTC with milliseconds; date and time on hover.
pub(super) fn clock(time: Timestamp) -> Markup {
    html! { time datetime=(time) title=(time) { (time.strftime("%H:%M:%S.%3f").to_string()) } }
}

/// How long ago, or in how long; the time itself on hover.
pub(super) fn relative(time: Timestamp, now: Timestamp) -> Markup {
    let (span, ahead) = (now.duration_since(time), time > now);
    let text = length(span.abs());
    html! { time datetime=(time) title=(time) { @if ahead { "in " (text) } @else { (text) " ago" } } }
}

/// A duration in its two largest units.
pub(super) fn length(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    let (large, unit, small, smaller) = match seconds {
        0..60 => (seconds, "s", 0, ""),
        60..3600 => (seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => (seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => (seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    };
    if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {smaller}") }
}

/// An id: one click selects all of it for copying.
pub(super) fn id(text: &str) -> Markup {
    html! { code.id { (text) } }
}

/// The URL of a page with its parameters.
pub(super) fn to(page: &str, fields: &[(&str, &str)]) -> String {
    let said = fields.iter().filter(|(_, value)| !value.is_empty());
    let query =
        said.fold(url::form_urlencoded::Serializer::new(String::new()), |mut query, (name, value)| {
            query.append_pair(name, value);
            query
        });
    let query = { query }.finish();
    if query.is_empty() { page.to_owned() } else { format!("{page}?{query}") }
}

/// Treats an empty form field as missing.
pub(super) fn said<'de, D: Deserializer<'de>>(field: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(field)?.filter(|text| !text.trim().is_empty()))
}

/// A number with separated thousands.
pub(super) fn number(count: u64) -> String {
    let digits = count.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join("\u{202f}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lengths_and_links_read_well() {
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(number(12), "12");
        assert_eq!(length(SignedDuration::from_secs(59)), "59 s");
        assert_eq!(length(SignedDuration::from_secs(3600)), "1 h");
        assert_eq!(length(SignedDuration::from_secs(3725)), "1 h 2 min");
        assert_eq!(to("run", &[("id", "a b:c&d"), ("input", "")]), "run?id=a+b%3Ac%26d");
        assert_eq!(to("parked", &[]), "parked");
    }
}
