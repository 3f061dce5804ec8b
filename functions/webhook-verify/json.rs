//! JSON that is parsed before it is verified, for providers that put the signature into the body. Duplicate keys are refused: two programs could
//! use different values of them. Also digests of verified JSON.

use std::fmt;

use ring::digest::{SHA256, digest};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// Parses a document in which no object has duplicate keys.
pub(super) fn unambiguous(bytes: &[u8]) -> Option<Value> {
    let mut document = serde_json::Deserializer::from_slice(bytes);
    let value = Unambiguous.deserialize(&mut document).ok()?;
    document.end().ok()?;
    Some(value)
}

/// The digest of a verified JSON object without one field: a field that the provider changes at a redelivery of the same event.
pub(super) fn digest_without(body: &[u8], field: &str) -> String {
    match serde_json::from_slice(body) {
        Ok(object @ Value::Object(_)) => digest_of(&object, field),
        _ => hex::encode(digest(&SHA256, body)),
    }
}

/// The digest of a document without one field.
pub(super) fn digest_of(document: &Value, field: &str) -> String {
    let mut document = document.clone();
    document.as_object_mut().map(|fields| fields.remove(field));
    // By default serde_json has the fields sorted already, but not if a crate in the build enables its `preserve_order`
    // feature.
    document.sort_all_objects();
    hex::encode(digest(&SHA256, document.to_string().as_bytes()))
}

struct Unambiguous;

impl<'de> DeserializeSeed<'de> for Unambiguous {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated keys")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            read.push(item);
        }
        Ok(read.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if read.insert(name, fields.next_value_seed(Self)?).is_some() {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(read.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_that_is_there_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#, r#"{"a":{},"a":{}}"#] {
            assert_eq!(unambiguous(text.as_bytes()), None, "{text}");
        }
        for text in ["", "{}{}", "{} x", "{\"a\":1", "\u{feff}{}", &"[".repeat(10_000)] {
            assert_eq!(unambiguous(text.as_bytes()), None, "{text}");
        }
        for text in
            [r#"{"a":{"a":1},"b":[{"a":null},{"a":-1}],"c":1.5,"d":true,"e":"x"}"#, "1", "null", " [] "]
        {
            assert_eq!(unambiguous(text.as_bytes()), serde_json::from_str(text).ok(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_it_reads_is_what_everybody_reads(bytes in "[{}\\[\\]\",:ab0-9.e-]{0,30}") {
            if let Some(value) = unambiguous(bytes.as_bytes()) {
                prop_assert_eq!(Some(value), serde_json::from_str(&bytes).ok());
            }
        }
    }
}
