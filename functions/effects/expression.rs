//! Update expressions and conditions.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// An update expression. All names go through `#`, since DynamoDB reserves many words.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    set: Vec<(&'static str, AttributeValue)>,
    set_once: Vec<(&'static str, AttributeValue)>,
    remove: Vec<&'static str>,
}

impl Change {
    pub(super) fn set(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.set.push((name, value));
        self
    }

    /// Sets an attribute if it is missing.
    pub(super) fn set_once(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.set_once.push((name, value));
        self
    }

    pub(super) fn remove(mut self, names: &[&'static str]) -> Self {
        self.remove.extend(names);
        self
    }

    /// The attributes that it names.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let set = self.set.iter().chain(&self.set_once).map(|(name, _)| *name);
        set.chain(self.remove.iter().copied())
    }

    /// The values, by attribute name.
    pub(super) fn values(&self) -> impl Iterator<Item = (&'static str, &AttributeValue)> {
        self.set.iter().chain(&self.set_once).map(|(name, value)| (*name, value))
    }

    /// The same, by value.
    pub(super) fn into_values(self) -> impl Iterator<Item = (&'static str, AttributeValue)> {
        self.set.into_iter().chain(self.set_once)
    }

    pub(super) fn expression(&self) -> String {
        let mut text = String::with_capacity(512);
        let mut before = "SET ";
        for (name, _) in &self.set {
            add(&mut text, &[before, "#", name, " = :", name]);
            before = ", ";
        }
        for (name, _) in &self.set_once {
            add(&mut text, &[before, "#", name, " = if_not_exists(#", name, ", :", name, ")"]);
            before = ", ";
        }
        // DynamoDB rejects empty clauses.
        before = if text.is_empty() { "REMOVE " } else { " REMOVE " };
        for name in &self.remove {
            add(&mut text, &[before, "#", name]);
            before = ", ";
        }
        text
    }
}

fn add(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
}

/// A condition: its expression, the attributes it names with `#`, and its values.
#[derive(Debug, Clone)]
pub(super) struct Condition<'a> {
    pub(super) expression: &'a str,
    pub(super) names: &'a [&'static str],
    pub(super) values: Vec<(&'static str, AttributeValue)>,
}

type Names = Option<HashMap<String, String>>;
type Values = Option<HashMap<String, AttributeValue>>;

/// The names and values of a change and of a condition, for the SDK. DynamoDB refuses empty maps.
pub(super) fn named(
    change: Change,
    names: &[&'static str],
    values: Vec<(&'static str, AttributeValue)>,
) -> (Names, Values) {
    let names = change.names().chain(names.iter().copied());
    let names: HashMap<_, _> = names.map(|name| (format!("#{name}"), name.to_owned())).collect();
    let values = change.into_values().chain(values);
    let values: HashMap<_, _> = values.map(|(name, value)| (format!(":{name}"), value)).collect();
    (Some(names).filter(|names| !names.is_empty()), Some(values).filter(|values| !values.is_empty()))
}
