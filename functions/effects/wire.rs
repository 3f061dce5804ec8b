//! Conditional writes in DynamoDB's JSON, field by field as the SDK writes them, and the items in its answers
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html>).

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Deserialize;

use super::{
    attributes::{Item, attr},
    expression::{Change, Condition},
};

/// More than most writes take.
const CAPACITY: usize = 2048;

/// The body of a PutItem. None: the item has a value of a kind that hot writes do not have.
pub(super) fn put(table: &str, item: &Item, condition: &Condition<'_>) -> Option<Vec<u8>> {
    let mut json = Json::of(table);
    json.raw(",\"Item\":").item(item)?;
    json.rest(&Change::default(), condition)
}

/// The body of an UpdateItem. None: as for [`put`].
pub(super) fn update(
    table: &str,
    (run_id, effect_id): (&str, &str),
    change: &Change,
    condition: &Condition<'_>,
    returned: &str,
) -> Option<Vec<u8>> {
    let mut json = Json::of(table);
    json.raw(",\"Key\":{").name("", attr::RUN_ID).raw(":{\"S\":").text(run_id).raw("},");
    json.name("", attr::EFFECT_ID).raw(":{\"S\":").text(effect_id).raw("}},\"ReturnValues\":").text(returned);
    json.raw(",\"UpdateExpression\":").text(&change.expression());
    json.rest(change, condition)
}

/// The item in an answer, empty if there is none. None: it has a value of a kind that hot writes do not have.
pub(super) fn item(answer: &[u8]) -> Option<Item> {
    let Answer { item } = serde_json::from_slice(answer).ok()?;
    Some(item.into_iter().map(|(name, value)| (name, value.into())).collect())
}

/// A JSON text that is being written.
struct Json(Vec<u8>);

impl Json {
    fn of(table: &str) -> Self {
        let mut json = Self(Vec::with_capacity(CAPACITY));
        json.raw("{\"TableName\":").text(table);
        json
    }

    fn raw(&mut self, json: &str) -> &mut Self {
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        // Writing text into memory can't fail.
        let _ = serde_json::to_writer(&mut self.0, text);
        self
    }

    /// An attribute's name, which has nothing to escape.
    fn name(&mut self, prefix: &str, name: &str) -> &mut Self {
        self.raw("\"").raw(prefix).raw(name).raw("\"")
    }

    /// The condition, and the names and values that it and the change have.
    fn rest(mut self, change: &Change, condition: &Condition<'_>) -> Option<Vec<u8>> {
        self.raw(",\"ConditionExpression\":").text(condition.expression);
        let names: BTreeSet<_> = change.names().chain(condition.names.iter().copied()).collect();
        (!names.is_empty()).then_some(())?;
        let mut before = ",\"ExpressionAttributeNames\":{";
        for name in names {
            self.raw(before).name("#", name).raw(":").name("", name);
            before = ",";
        }
        before = "},\"ExpressionAttributeValues\":{";
        for (name, value) in
            change.values().chain(condition.values.iter().map(|(name, value)| (*name, value)))
        {
            self.raw(before).name(":", name).raw(":").value(value)?;
            before = ",";
        }
        self.raw("},\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"}");
        Some(self.0)
    }

    fn item(&mut self, item: &Item) -> Option<()> {
        let mut before = "{";
        for (name, value) in item {
            self.raw(before).text(name).raw(":").value(value)?;
            before = ",";
        }
        self.raw(if item.is_empty() { "{}" } else { "}" });
        Some(())
    }

    fn value(&mut self, value: &AttributeValue) -> Option<()> {
        match value {
            AttributeValue::S(text) => drop(self.raw("{\"S\":").text(text)),
            AttributeValue::N(number) => drop(self.raw("{\"N\":").text(number)),
            AttributeValue::Bool(is) => drop(self.raw("{\"BOOL\":").raw(if *is { "true" } else { "false" })),
            AttributeValue::M(item) => self.raw("{\"M\":").item(item)?,
            AttributeValue::L(list) => {
                self.raw("{\"L\":");
                let mut before = "[";
                for value in list {
                    self.raw(before).value(value)?;
                    before = ",";
                }
                self.raw(if list.is_empty() { "[]" } else { "]" });
            }
            _ => return None,
        }
        self.raw("}");
        Some(())
    }
}

#[derive(Deserialize)]
struct Answer {
    /// The item in a refusal, or in the answer to an update that returns it.
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
