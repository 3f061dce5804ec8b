//! Conditional writes in DynamoDB's JSON, field by field as the SDK writes them, and the items in its answers
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html>).

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{
    Deserialize, Serialize, Serializer,
    ser::{Error as _, SerializeMap as _},
};

use super::{
    record::Item,
    store::{Change, Condition},
};

/// A PutItem, or an UpdateItem: what is none is left out.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Write<'a> {
    table_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Attributes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Key<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_values: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_expression: Option<String>,
    condition_expression: &'a str,
    expression_attribute_names: Names<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression_attribute_values: Option<Values<'a>>,
    return_values_on_condition_check_failure: &'a str,
}

/// The body of a PutItem. None: the item has a value of a kind that hot writes do not have.
pub(super) fn put(table: &str, item: &Item, condition: &Condition<'_>) -> Option<Vec<u8>> {
    let item = Some(Attributes(item));
    serde_json::to_vec(&Write { item, ..Write::of(table, &Change::default(), condition) }).ok()
}

/// The body of an UpdateItem, likewise.
pub(super) fn update(
    table: &str,
    (run_id, effect_id): (&str, &str),
    change: &Change,
    condition: &Condition<'_>,
    returned: &str,
) -> Option<Vec<u8>> {
    let key = Some(Key { run_id: Text { s: run_id }, effect_id: Text { s: effect_id } });
    let (return_values, update_expression) = (Some(returned), Some(change.expression()));
    let write = Write { key, return_values, update_expression, ..Write::of(table, change, condition) };
    serde_json::to_vec(&write).ok()
}

/// The item in an answer, empty if there is none. None: it has a value of a kind that hot writes do not have.
pub(super) fn item(answer: &[u8]) -> Option<Item> {
    let Answer { item } = serde_json::from_slice(answer).ok()?;
    Some(item.into_iter().map(|(name, value)| (name, value.into())).collect())
}

impl<'a> Write<'a> {
    fn of(table_name: &'a str, change: &'a Change, condition: &'a Condition<'_>) -> Self {
        let values: Vec<_> =
            change.values().chain(condition.values.iter().map(|(name, value)| (*name, value))).collect();
        Self {
            table_name,
            item: None,
            key: None,
            return_values: None,
            update_expression: None,
            condition_expression: condition.expression,
            expression_attribute_names: Names(
                change.names().chain(condition.names.iter().copied()).collect(),
            ),
            expression_attribute_values: Some(Values(values)).filter(|values| !values.0.is_empty()),
            return_values_on_condition_check_failure: "ALL_OLD",
        }
    }
}

#[derive(Serialize)]
struct Key<'a> {
    run_id: Text<'a>,
    effect_id: Text<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "UPPERCASE")]
struct Text<'a> {
    s: &'a str,
}

struct Attributes<'a>(&'a Item);

struct Names<'a>(BTreeSet<&'a str>);

struct Values<'a>(Vec<(&'a str, &'a AttributeValue)>);

struct Value<'a>(&'a AttributeValue);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, Value(value))))
    }
}

impl Serialize for Names<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|name| (Prefixed('#', name), name)))
    }
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (Prefixed(':', name), Value(value))))
    }
}

struct Prefixed<'a>(char, &'a str);

impl Serialize for Prefixed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(prefix, name) = self;
        serializer.collect_str(&format_args!("{prefix}{name}"))
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut value = serializer.serialize_map(Some(1))?;
        match self.0 {
            AttributeValue::S(text) => value.serialize_entry("S", text)?,
            AttributeValue::N(number) => value.serialize_entry("N", number)?,
            AttributeValue::Bool(is) => value.serialize_entry("BOOL", is)?,
            AttributeValue::M(item) => value.serialize_entry("M", &Attributes(item))?,
            AttributeValue::L(list) => {
                value.serialize_entry("L", &list.iter().map(Value).collect::<Vec<_>>())?
            }
            _ => return Err(S::Error::custom("hot writes have no such value")),
        }
        value.end()
    }
}

#[derive(Deserialize)]
struct Answer {
    /// Of a refusal, and of an update that returns the item.
    #[serde(default, rename = "Item", alias = "Attributes")]
    item: HashMap<String, Read>,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Read {
    S(String),
    N(String),
    Bool(bool),
    M(HashMap<String, Self>),
    L(Vec<Self>),
}

impl From<Read> for AttributeValue {
    fn from(value: Read) -> Self {
        match value {
            Read::S(text) => Self::S(text),
            Read::N(number) => Self::N(number),
            Read::Bool(is) => Self::Bool(is),
            Read::M(item) => Self::M(item.into_iter().map(|(name, value)| (name, value.into())).collect()),
            Read::L(list) => Self::L(list.into_iter().map(Into::into).collect()),
        }
    }
}
