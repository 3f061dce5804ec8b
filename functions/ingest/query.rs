//! A request's query: as it was sent, or as far as the event contains it.
//!
//! Twilio and Square sign the exact bytes of the URL with its query. Payload format 2.0 has these bytes. Format 1.0 and load balancers have a
//! table of the parameters: their order is lost, and in format 1.0 also their encoding. A single parameter has only one order; if it also has
//! only one encoding, its bytes are known. Nothing else is guessed.

use std::collections::BTreeMap;

use url::form_urlencoded::byte_serialize;

/// A query string; empty if there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// The exact bytes.
    AsSent(String),
    /// The same parameters, perhaps in another order or encoding.
    Rebuilt(String),
}

/// Parameters by name, with all their values.
pub(super) type Parameters = BTreeMap<String, Vec<String>>;

impl Query {
    /// The parameters, encoded.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::AsSent(text) | Self::Rebuilt(text) => text,
        }
    }

    /// The exact bytes, if known.
    #[must_use]
    pub fn as_sent(&self) -> Option<&str> {
        match self {
            Self::AsSent(text) => Some(text),
            Self::Rebuilt(_) => None,
        }
    }

    /// From decoded parameters. A sender could write `a` as `%61`, but none does: a text without special characters has one encoding.
    pub(super) fn of_decoded(parameters: &Parameters) -> Self {
        let encode = |text: &String| byte_serialize(text.as_bytes()).collect::<String>();
        let pairs = pairs(parameters);
        let plain = pairs.iter().all(|(name, value)| is_unreserved(name) && is_unreserved(value));
        let encoded = pairs.iter().map(|(name, value)| (encode(name), encode(value))).collect();
        Self::of(encoded, plain)
    }

    /// From encoded parameters.
    pub(super) fn of_encoded(parameters: &Parameters) -> Self {
        let pairs = pairs(parameters);
        Self::of(pairs.iter().map(|(name, value)| ((*name).clone(), (*value).clone())).collect(), true)
    }

    /// Builds a query. `a` and `a=` look alike in a table.
    fn of(pairs: Vec<(String, String)>, one_spelling: bool) -> Self {
        let known = one_spelling && pairs.len() <= 1 && pairs.iter().all(|(_, value)| !value.is_empty());
        let text: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        if known { Self::AsSent(text.join("&")) } else { Self::Rebuilt(text.join("&")) }
    }
}

fn pairs(parameters: &Parameters) -> Vec<(&String, &String)> {
    parameters.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value))).collect()
}

/// Whether all characters are unreserved (RFC 3986, section 2.3).
fn is_unreserved(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &[&str])]) -> Parameters {
        let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        pairs.iter().map(|(name, values)| ((*name).to_owned(), owned(values))).collect()
    }

    #[test]
    fn only_what_has_one_order_and_one_spelling_is_as_sent() {
        let hash = "9f86d081884c7d65";
        let (as_sent, rebuilt) =
            (|text: &str| Query::AsSent(text.into()), |text: &str| Query::Rebuilt(text.into()));
        for (pairs, decoded, encoded) in [
            (&[][..], as_sent(""), as_sent("")),
            (
                &[("bodySHA256", &[hash][..])],
                as_sent("bodySHA256=9f86d081884c7d65"),
                as_sent("bodySHA256=9f86d081884c7d65"),
            ),
            (&[("a", &["b c"])], rebuilt("a=b+c"), as_sent("a=b c")),
            (&[("a", &["b%20c"])], rebuilt("a=b%2520c"), as_sent("a=b%20c")),
            (&[("a", &[""])], rebuilt("a="), rebuilt("a=")),
            (&[("a", &["1", "2"])], rebuilt("a=1&a=2"), rebuilt("a=1&a=2")),
            (&[("a", &["1"]), ("b", &["2"])], rebuilt("a=1&b=2"), rebuilt("a=1&b=2")),
        ] {
            assert_eq!(Query::of_decoded(&parameters(pairs)), decoded);
            assert_eq!(Query::of_encoded(&parameters(pairs)), encoded);
        }
    }
}
