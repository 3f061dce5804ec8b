//! A row: an item of one of the user's tables, written in the transaction that records its effect as done.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use serde_json::{Map, Value, json};

/// One write to an item, with all templates filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The table's name.
    pub table: String,
    /// The change.
    pub change: RowChange,
    /// The condition of the write.
    pub condition: Option<RowCondition>,
}

/// A change of an item.
#[derive(Debug, Clone, PartialEq)]
pub enum RowChange {
    /// Puts an item.
    Put(Map<String, Value>),
    /// Updates fields of an item.
    Update {
        /// The item's key.
        key: Map<String, Value>,
        /// Fields to set.
        set: Map<String, Value>,
        /// Numbers to add to fields.
        add: Map<String, Value>,
        /// Fields to remove.
        remove: Vec<String>,
    },
    /// Deletes an item.
    Delete(Map<String, Value>),
}

/// A DynamoDB condition expression, with its placeholders.
#[derive(Debug, Clone, PartialEq)]
pub struct RowCondition {
    /// The expression.
    pub expression: String,
    /// The names after `#`.
    pub names: Vec<String>,
    /// The values after `:`.
    pub values: Map<String, Value>,
}

#[derive(Default)]
struct Placeholders {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Row {
    /// The write as JSON, to be shown.
    #[must_use]
    pub fn json(&self) -> Value {
        let change = match &self.change {
            RowChange::Put(item) => json!({ "item": item }),
            RowChange::Update { key, set, add, remove } => {
                json!({ "key": key, "set": set, "add": add, "remove": remove })
            }
            RowChange::Delete(key) => json!({ "key": key }),
        };
        match &self.condition {
            None => change,
            Some(RowCondition { expression, values, .. }) => {
                json!({ "change": change, "condition": expression, "values": values })
            }
        }
    }

    /// The write as part of a transaction. None: the SDK can't build it.
    pub(super) fn write(&self) -> Option<TransactWriteItem> {
        let mut given = Placeholders::default();
        let condition = self.condition.as_ref().map(|condition| {
            given.names.extend(condition.names.iter().map(|name| (format!("#{name}"), name.clone())));
            let values = condition.values.iter();
            given.values.extend(values.map(|(name, value)| (format!(":{name}"), attribute(value))));
            condition.expression.clone()
        });
        let table = &self.table;
        let write = TransactWriteItem::builder();
        let write = match &self.change {
            RowChange::Put(item) => {
                let put = Put::builder().table_name(table).set_item(Some(attributes(item)));
                let put = put.set_condition_expression(condition);
                let put = put.set_expression_attribute_names(given.names());
                write.put(put.set_expression_attribute_values(given.values()).build().ok()?)
            }
            RowChange::Delete(key) => {
                let delete = Delete::builder().table_name(table).set_key(Some(attributes(key)));
                let delete = delete.set_condition_expression(condition);
                let delete = delete.set_expression_attribute_names(given.names());
                write.delete(delete.set_expression_attribute_values(given.values()).build().ok()?)
            }
            RowChange::Update { key, set, add, remove } => {
                let update = Update::builder().table_name(table).set_key(Some(attributes(key)));
                let update = update.update_expression(given.update(set, add, remove));
                let update = update.set_condition_expression(condition);
                let update = update.set_expression_attribute_names(given.names());
                write.update(update.set_expression_attribute_values(given.values()).build().ok()?)
            }
        };
        Some(write.build())
    }
}

impl Placeholders {
    /// The update expression. Reserved names are legal, since all go through `#`. Our placeholders begin with a digit, and those of the
    /// condition never do.
    fn update(&mut self, set: &Map<String, Value>, add: &Map<String, Value>, remove: &[String]) -> String {
        let mut parts = Vec::new();
        let mut clause = |word: &str, fields: Vec<String>| {
            parts.extend((!fields.is_empty()).then(|| format!("{word} {}", fields.join(", "))));
        };
        let set = set.iter().map(|(name, value)| {
            let (name, value) = (self.name(name), self.value(value));
            format!("{name} = {value}")
        });
        clause("SET", set.collect());
        let add = add.iter().map(|(name, value)| {
            let (name, value) = (self.name(name), self.value(value));
            format!("{name} {value}")
        });
        clause("ADD", add.collect());
        clause("REMOVE", remove.iter().map(|name| self.name(name)).collect());
        parts.join(" ")
    }

    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{}field", self.names.len());
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn value(&mut self, value: &Value) -> String {
        let placeholder = format!(":{}value", self.values.len());
        self.values.insert(placeholder.clone(), attribute(value));
        placeholder
    }

    /// The names for the SDK. None instead of an empty map, which DynamoDB refuses.
    fn names(&self) -> Option<HashMap<String, String>> {
        Some(self.names.clone()).filter(|names| !names.is_empty())
    }

    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        Some(self.values.clone()).filter(|values| !values.is_empty())
    }
}

fn attributes(fields: &Map<String, Value>) -> HashMap<String, AttributeValue> {
    fields.iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

/// JSON as an attribute value.
fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(value) => AttributeValue::Bool(*value),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(items) => AttributeValue::L(items.iter().map(attribute).collect()),
        Value::Object(fields) => AttributeValue::M(attributes(fields)),
    }
}
