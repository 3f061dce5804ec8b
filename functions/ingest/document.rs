//! A JSON document, parsed for the few fields that templates use of it.
//!
//! A tree of maps has an allocation for each name and each text, and took a sixth of the work for a webhook. This is one list of all values in
//! their order; texts without escapes stay in the body.

mod view;

use std::ops::Range;

use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

pub(super) use self::view::view;

/// A parsed document.
#[derive(Debug, PartialEq)]
pub struct Document {
    /// The JSON that most texts are parts of.
    json: Box<str>,
    /// All values. A list or an object is followed by its content. In an object, each name is followed by its
    /// value.
    nodes: Vec<Node>,
}

#[derive(Debug, PartialEq)]
enum Node {
    Null,
    Bool(bool),
    Number(Number),
    /// A part of the JSON.
    Part(Range<usize>),
    /// A text with escapes, or from elsewhere.
    Text(Box<str>),
    /// Its items end before this node.
    List(usize),
    /// Its fields end before this node.
    Object(usize),
}

impl Document {
    /// Parses JSON; none if it is not JSON.
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        let json: Box<str> = std::str::from_utf8(json).ok()?.into();
        let mut nodes = Vec::with_capacity(json.len() / 12);
        let mut text = serde_json::Deserializer::from_str(&json);
        Writer { json: &json, nodes: &mut nodes }.deserialize(&mut text).ok()?;
        text.end().ok()?;
        Some(Self { json, nodes })
    }

    /// The document with this value.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        let mut nodes = Vec::new();
        // Err: never, for a value that is complete.
        drop(Writer { json: "", nodes: &mut nodes }.deserialize(value));
        Self { json: Box::default(), nodes }
    }

    /// The whole value.
    #[must_use]
    pub fn value(&self) -> Value {
        self.value_at(0, usize::MAX)
    }

    /// The value with null in place of each object at the third level: providers put what identifies an event
    /// above it. Lists are kept whole.
    #[must_use]
    pub fn outline(&self) -> Value {
        self.value_at(0, 2)
    }

    fn value_at(&self, at: usize, levels: usize) -> Value {
        match &self.nodes[at] {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(*value),
            Node::Number(number) => Value::Number(number.clone()),
            Node::Part(_) | Node::Text(_) => Value::from(self.text(at)),
            Node::List(_) => self.items(at).map(|item| self.value_at(item, usize::MAX)).collect(),
            Node::Object(_) if levels == 0 => Value::Null,
            Node::Object(_) => {
                let field = |(name, value): (&str, _)| (name.to_owned(), self.value_at(value, levels - 1));
                Value::Object(self.fields(at).map(field).collect::<Map<_, _>>())
            }
        }
    }

    /// The text of a node; empty if it is something else.
    fn text(&self, at: usize) -> &str {
        match &self.nodes[at] {
            Node::Part(part) => &self.json[part.clone()],
            Node::Text(text) => text,
            _ => "",
        }
    }

    /// The node after a value.
    fn after(&self, at: usize) -> usize {
        match self.nodes[at] {
            Node::List(end) | Node::Object(end) => end,
            _ => at + 1,
        }
    }

    fn items(&self, list: usize) -> impl Iterator<Item = usize> {
        let end = if let Node::List(end) = self.nodes[list] { end } else { list };
        let next = move |at: &usize| Some(self.after(*at)).filter(|at| *at < end);
        std::iter::successors(Some(list + 1).filter(|first| *first < end), next)
    }

    /// The fields of an object as they are written: a name may be repeated, and then the last one counts.
    fn fields(&self, object: usize) -> impl Iterator<Item = (&str, usize)> {
        self.names(object).map(|name| (self.text(name), name + 1))
    }

    fn names(&self, object: usize) -> impl Iterator<Item = usize> {
        let end = if let Node::Object(end) = self.nodes[object] { end } else { object };
        let next = move |name: &usize| Some(self.after(*name + 1)).filter(|at| *at < end);
        std::iter::successors(Some(object + 1).filter(|first| *first < end), next)
    }

    /// The value of a field.
    fn field(&self, object: usize, name: &str) -> Option<usize> {
        self.names(object).filter(|field| self.is_text(*field, name)).last().map(|field| field + 1)
    }

    fn is_text(&self, at: usize, text: &str) -> bool {
        match &self.nodes[at] {
            Node::Part(part) => part.len() == text.len() && self.json[part.clone()] == *text,
            Node::Text(own) => **own == *text,
            _ => false,
        }
    }
}

/// Appends a value to the nodes.
struct Writer<'a> {
    json: &'a str,
    nodes: &'a mut Vec<Node>,
}

impl Writer<'_> {
    fn next(&mut self) -> Writer<'_> {
        Writer { json: self.json, nodes: self.nodes }
    }

    /// A text, as a part of the JSON if it is one.
    fn text(self, text: &str) {
        let start = (text.as_ptr() as usize).wrapping_sub(self.json.as_ptr() as usize);
        let part = start..start.wrapping_add(text.len());
        let is_part = self.json.get(part.clone()).is_some_and(|part| std::ptr::eq(part, text));
        self.nodes.push(if is_part { Node::Part(part) } else { Node::Text(text.into()) });
    }
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Writer<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.nodes.push(Node::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.nodes.push(Node::Bool(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.nodes.push(Node::Number(value.into()));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.nodes.push(Node::Number(value.into()));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.nodes.push(Number::from_f64(value).map_or(Node::Null, Node::Number));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.text(text);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.nodes.push(Node::Text(text.into()));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let list = self.nodes.len();
        self.nodes.push(Node::List(list));
        while items.next_element_seed(self.next())?.is_some() {}
        self.nodes[list] = Node::List(self.nodes.len());
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        let object = self.nodes.len();
        self.nodes.push(Node::Object(object));
        while fields.next_key_seed(self.next())?.is_some() {
            fields.next_value_seed(self.next())?;
        }
        self.nodes[object] = Node::Object(self.nodes.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        /// This parser and `serde_json` accept the same texts as JSON, with the same values.
        #[test]
        fn it_reads_what_the_tree_reads(text in r#"[{}\[\]",:ab\\u00410-9.e -]{0,30}|"\PC{0,9}"|-?[0-9]{1,30}(\.[0-9]{1,9})?(e-?[0-9]{1,3})?"#) {
            let tree: Option<Value> = serde_json::from_str(&text).ok();
            let document = Document::parse(text.as_bytes());
            prop_assert_eq!(document.as_ref().map(Document::value), tree.clone());
            prop_assert_eq!(tree.as_ref().map(|tree| Document::of(tree).value()), tree);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let tree: Option<Value> = serde_json::from_slice(&bytes).ok();
            prop_assert_eq!(Document::parse(&bytes).map(|document| document.value()), tree);
        }
    }

    #[test]
    fn the_last_field_of_a_name_counts() {
        let document = Document::parse(br#"{"a":{"b":[1,{"c":2}]},"d":"x","\u0061":"\u00e4"}"#).unwrap();
        assert_eq!(document.value(), json!({ "a": "ä", "d": "x" }));
        assert_eq!(document.field(0, "a").map(|at| document.text(at)), Some("ä"));
        assert_eq!(document.field(0, "c"), None);
    }

    #[test]
    fn deep_nesting_is_no_json_as_everywhere_else() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert_eq!(Document::parse(deep.as_bytes()), None);
    }

    #[test]
    fn an_outline_has_lists_and_two_levels_of_objects() {
        let json =
            json!({ "a": 1, "b": { "c": "x", "d": { "e": 1 }, "f": [{ "g": { "h": {} } }] }, "i": [] });
        let mut outline = json.clone();
        outline["b"]["d"] = Value::Null;
        assert_eq!(Document::of(&json).outline(), outline);
    }
}
