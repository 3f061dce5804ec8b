//! The limits that a broker reports at `GET /v1/config`, which only newer versions have. A limit that is not reported is
//! not assumed.

use serde_json::Value;

/// A broker's limits, as far as it tells them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Whether it has `GET /v1/config` at all. Those that do have `POST /v1/ack-cumulative` as well.
    pub is_told: bool,
    /// How many unacked messages of a partition the broker delivers to a group at most, to all its streams together.
    pub max_in_flight: Option<u64>,
    /// The most bytes of key and value together that an empty partition takes.
    pub max_value: Option<usize>,
}

impl Limits {
    /// Reads an answer. The fields may be at the top level or one level deeper; others are ignored.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let Some(fields) = body.as_object() else { return Err("not a JSON object".to_owned()) };
        let find = |name: &str| {
            let nested = fields.values().filter_map(|value| value.get(name));
            fields.get(name).into_iter().chain(nested).find_map(Value::as_u64)
        };
        // Unacked bytes must stay below the partition's limit, hence one byte less. A limit of 0 would mean that there
        // is none.
        let bytes = find("max_partition_bytes").filter(|bytes| *bytes > 0);
        let max_value = bytes.and_then(|bytes| usize::try_from(bytes - 1).ok());
        let max_in_flight = find("max_inflight").filter(|messages| *messages > 0);
        Ok(Self { is_told: true, max_in_flight, max_value })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits_may_stand_in_the_answer_or_one_level_deeper() {
        let expected = Limits { is_told: true, max_in_flight: Some(32), max_value: Some(4_194_303) };
        for body in [
            r#"{"max_inflight":32,"max_partition_bytes":4194304,"other":[]}"#,
            r#"{"version":"1.3.0","broker":{"max_inflight":32,"max_partition_bytes":4194304}}"#,
        ] {
            assert_eq!(Limits::read(body.as_bytes()), Ok(expected), "{body}");
        }
    }

    #[test]
    fn what_is_not_said_is_not_assumed() {
        let silent = Limits { is_told: true, ..Limits::default() };
        for body in ["{}", r#"{"max_inflight":0}"#, r#"{"max_inflight":"32"}"#, r#"{"max_inflight":-1}"#] {
            assert_eq!(Limits::read(body.as_bytes()), Ok(silent), "{body}");
        }
        assert!(Limits::read(b"<html>").is_err() && Limits::read(b"[]").is_err());
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Limits::read(&bytes);
        }
    }
}
