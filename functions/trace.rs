//! The trace that a webhook belongs to, in the form of a `traceparent` header (W3C Trace Context,
//! <https://www.w3.org/TR/trace-context/>): it goes with the command to the third party and stands in every log line.
//!
//! It only helps to follow one delivery through many systems: it is no part of an effect's identity,
//! and an invalid one is ignored.

use std::fmt;

use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

use crate::random;

/// The header.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The only flag of version 00: the caller may have recorded the trace.
const SAMPLED: u8 = 1;

/// A trace, and the current span in it. Neither id is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traceparent {
    trace: u128,
    span: u64,
    flags: u8,
}

impl Traceparent {
    /// The trace of a request: that of its `traceparent` header, else the X-Ray trace that Lambda passes,
    /// else a new one.
    #[must_use]
    pub fn of_request(headers: &HeaderMap, xray: Option<&str>) -> Self {
        Self::of_headers(headers).or_else(|| Self::of_xray(xray?)).unwrap_or_else(Self::new)
    }

    /// The trace in a request's `traceparent` header; none if there are several such headers.
    #[must_use]
    pub fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(TRACEPARENT).iter();
        let header = all.next().filter(|_| all.next().is_none())?;
        Self::parse(header.to_str().ok()?)
    }

    /// Reads a header. Later versions may have more behind the four fields of version 00.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let (fields, rest) = header.split_at_checked(55)?;
        let [version, trace, span, flags] = fields.split('-').collect::<Vec<_>>()[..] else { return None };
        let version = hex(version, 2)?;
        let ends_here = rest.is_empty() || (version > 0 && rest.starts_with('-'));
        if version == 0xff || !ends_here {
            return None;
        }
        let flags = hex(flags, 2)?.to_be_bytes()[15];
        Self::of(hex(trace, 32)?, hex(span, 16)?, flags & SAMPLED)
    }

    /// Reads the X-Ray header that Lambda passes:
    /// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`
    /// (<https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>).
    #[must_use]
    pub fn of_xray(header: &str) -> Option<Self> {
        let field = |name: &str| {
            let fields = header.split(';').filter_map(|field| field.trim().split_once('='));
            fields.into_iter().find_map(|(key, value)| (key == name).then_some(value))
        };
        let (time, unique) = field("Root")?.strip_prefix("1-")?.split_once('-')?;
        let trace = hex(time, 8)? << 96 | hex(unique, 24)?;
        let span =
            field("Parent").and_then(|parent| hex(parent, 16)).unwrap_or_else(|| random::bits().into());
        Self::of(trace, span, u8::from(field("Sampled") == Some("1")))
    }

    /// A new trace, not sampled.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a random value is no default")]
    pub fn new() -> Self {
        Self { trace: Uuid::new_v4().as_u128(), span: random::bits(), flags: 0 }
    }

    /// A new span of the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span: random::bits(), ..*self }
    }

    /// The same span, marked as recorded.
    #[must_use]
    pub fn sampled(self) -> Self {
        Self { flags: self.flags | SAMPLED, ..self }
    }

    /// Whether the sender records it.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The id of the span: 16 hex digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// The id of the trace: 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    fn of(trace: u128, span: u128, flags: u8) -> Option<Self> {
        let span = u64::try_from(span).ok()?;
        (trace != 0 && span != 0).then_some(Self { trace, span, flags })
    }
}

/// As a header.
impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

impl Serialize for Traceparent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads a field that may hold anything; none if it is not a `traceparent`.
///
/// # Errors
/// The text around it is not JSON.
pub fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Traceparent>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_str().and_then(Traceparent::parse))
}

/// Parses a number that has exactly this many lower-case hex digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let fits = text.len() == digits && text.bytes().all(lower);
    if fits { u128::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// The example of the specification.
    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const XRAY: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (TRACEPARENT, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn what_the_specification_calls_invalid_is_none() {
        let (zero_trace, zero_span) = ("0".repeat(32), "0".repeat(16));
        let invalid = [
            String::new(),
            GIVEN[..54].to_owned(),
            GIVEN.to_uppercase(),
            GIVEN.replacen("00", "ff", 1),
            GIVEN.replacen("00", "0g", 1),
            GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", &zero_trace),
            GIVEN.replace("00f067aa0ba902b7", &zero_span),
            format!("{GIVEN}-more"),
            format!("{GIVEN},{GIVEN}"),
            format!("{}x", GIVEN.replacen("00", "01", 1)),
            format!(" {GIVEN}"),
            GIVEN.replace('-', "_"),
        ];
        for header in invalid {
            assert_eq!(Traceparent::parse(&header), None, "{header}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_this_one_goes() {
        let later = format!("{}-more", GIVEN.replacen("00", "01", 1));
        assert_eq!(Traceparent::parse(&later).unwrap().to_string(), GIVEN);
        let flags = GIVEN.replace("-01", "-fe");
        assert_eq!(Traceparent::parse(&flags).unwrap().to_string(), GIVEN.replace("-01", "-00"));
    }

    #[test]
    fn a_header_goes_before_xray_and_two_headers_are_none() {
        let of = |values: &[&'static str], xray| Traceparent::of_request(&headers(values), xray).to_string();
        let of_xray = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
        assert_eq!(of(&[GIVEN], Some(XRAY)), GIVEN);
        assert_eq!(of(&[], Some(XRAY)), of_xray);
        assert_eq!(of(&["nonsense"], Some(XRAY)), of_xray);
        assert_eq!(of(&[GIVEN, GIVEN], Some(XRAY)), of_xray);
        assert_ne!(of(&[], None), of(&[], Some("Root=1-0")), "a new one each");
    }

    #[test]
    fn a_child_is_another_span_of_the_same_trace() {
        let given = Traceparent::parse(GIVEN).unwrap();
        let (one, other) = (given.child(), given.child());
        assert_eq!((one.trace_id(), one.flags), (given.trace_id(), given.flags));
        assert!(one.span != other.span && one.span != given.span);
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_as_a_header_that_can_be_read(header in "(?s).{0,80}|[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,9})?") {
            if let Some(read) = Traceparent::parse(&header) {
                prop_assert_eq!(Traceparent::parse(&read.to_string()), Some(read));
                prop_assert!(header.contains(&read.trace_id()));
            }
        }

        #[test]
        fn no_xray_header_makes_it_panic(header in "(?s).{0,80}|Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=.{0,20};Sampled=.") {
            if let Some(read) = Traceparent::of_xray(&header) {
                prop_assert_eq!(Traceparent::parse(&read.to_string()), Some(read));
            }
        }

        #[test]
        fn a_new_one_is_valid(_ in 0..9) {
            let new = Traceparent::new();
            prop_assert_eq!(Traceparent::parse(&new.to_string()), Some(new));
        }
    }
}
