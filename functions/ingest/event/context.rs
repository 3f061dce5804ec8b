//! The `requestContext` of an event, as far as it is read. A part of another type than AWS documents counts as missing.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Context {
    /// Only in a load balancer's event.
    pub(super) elb: Option<IgnoredAny>,
    #[serde(deserialize_with = "text")]
    pub(super) stage: Option<String>,
    /// In format 2.0.
    #[serde(deserialize_with = "object")]
    pub(super) http: Option<Http>,
    /// In format 1.0.
    #[serde(deserialize_with = "object")]
    pub(super) identity: Option<Identity>,
    pub(super) authorizer: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Http {
    #[serde(deserialize_with = "text")]
    pub(super) method: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(super) source_ip: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Identity {
    #[serde(deserialize_with = "text")]
    pub(super) source_ip: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(super) user_arn: Option<String>,
}

/// An object; none if it is something else.
pub(super) fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(IfObject(PhantomData))
}

/// A text; none if it is something else.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    deserializer.deserialize_any(IfText)
}

struct IfObject<T>(PhantomData<T>);

struct IfText;

/// The visits of values that are neither a text nor an object: they give none.
macro_rules! others_are_none {
    ($de:lifetime) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("JSON")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<$de>>(self, items: A) -> Result<Self::Value, A::Error> {
            IgnoredAny.visit_seq(items).map(|_| None)
        }
    };
}

impl<'de, T: DeserializeOwned> Visitor<'de> for IfObject<T> {
    type Value = Option<T>;

    others_are_none!('de);

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Some)
    }
}

impl<'de> Visitor<'de> for IfText {
    type Value = Option<String>;

    others_are_none!('de);

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_map(fields).map(|_| None)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_of_another_type_is_missing() {
        for odd in
            [json!(null), json!(true), json!(7), json!(-7), json!(0.5), json!([{}]), json!({ "a": [] })]
        {
            let context = json!({ "stage": odd, "http": { "method": odd, "sourceIp": "192.0.2.1" } });
            let context: Context = serde_json::from_value(context).unwrap();
            let http = context.http.unwrap();
            assert_eq!(
                (context.stage, http.method, http.source_ip.as_deref()),
                (None, None, Some("192.0.2.1"))
            );
        }
        for odd in [json!(null), json!(true), json!(7), json!(-7), json!(0.5), json!("x"), json!([{}])] {
            assert!(object::<_, Context>(&odd).unwrap().is_none(), "{odd}");
        }
    }
}
