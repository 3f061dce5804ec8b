//! JSON as Go's `encoding/json` decodes it into structs, and writes it.
//!
//! Decoding is strict (an unknown field at any depth is an error), but lenient where Go is: field names are case-insensitive, each occurrence of a
//! field is decoded, so that the last one wins and repeated objects merge, and `null` changes nothing, or unsets an optional field.

use std::collections::BTreeMap;

use serde::Serialize;

use super::deadline::Deadline;
use super::json_text::{self, NotJson, Value};
use super::quote::quoted;

/// Writes a value and a newline, with Go's escaping of HTML characters.
pub(in crate::broker) fn encode(value: &impl Serialize) -> Vec<u8> {
    let plain = serde_json::to_string(value).unwrap_or_default(); // plain structs: cannot fail
    let mut escaped = String::with_capacity(plain.len() + 1);
    for char in plain.chars() {
        match char {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => escaped.push_str(&format!("\\u{:04x}", char as u32)),
            _ => escaped.push(char),
        }
    }
    escaped.push('\n');
    escaped.into_bytes()
}

/// A Go struct: its name and its fields.
pub(in crate::broker) struct Struct {
    pub(in crate::broker) name: &'static str,
    pub(in crate::broker) fields: &'static [(&'static str, Type)],
}

/// The Go type of a field.
pub(in crate::broker) enum Type {
    String,
    /// An integer of the type named, 0 if it is missing.
    Integer(&'static str),
    /// An optional integer.
    OptionalInteger(&'static str),
    OptionalTime,
    OptionalStruct(&'static Struct),
}

/// The decoded fields of a struct.
#[derive(Debug, Default, PartialEq)]
pub(in crate::broker) struct Fields(BTreeMap<&'static str, Field>);

#[derive(Debug, PartialEq)]
enum Field {
    String(String),
    Integer(i64),
    Time(Deadline),
    Struct(Fields),
}

impl Fields {
    /// A string; a missing one is empty.
    pub(in crate::broker) fn string(&mut self, name: &str) -> String {
        match self.0.remove(name) {
            Some(Field::String(text)) => text,
            _ => String::new(),
        }
    }

    pub(in crate::broker) fn integer(&self, name: &str) -> Option<i64> {
        match self.0.get(name) {
            Some(Field::Integer(integer)) => Some(*integer),
            _ => None,
        }
    }

    pub(in crate::broker) fn time(&mut self, name: &str) -> Option<Deadline> {
        match self.0.remove(name) {
            Some(Field::Time(time)) => Some(time),
            _ => None,
        }
    }

    pub(in crate::broker) fn object(&mut self, name: &str) -> Option<Fields> {
        match self.0.remove(name) {
            Some(Field::Struct(fields)) => Some(fields),
            _ => None,
        }
    }
}

/// Decodes the first value of a body; the rest is ignored.
pub(in crate::broker) fn decode(body: &[u8], into: &Struct) -> Result<Fields, String> {
    let (value, _) = json_text::first(body).map_err(|error| match error {
        NotJson::End { blank: true } => "EOF".to_owned(),
        NotJson::End { blank: false } => "unexpected EOF".to_owned(),
        NotJson::Syntax(what) => what,
    })?;
    let mut fields = Fields::default();
    let mut decoder = Decoder { first_error: None };
    match value {
        Value::Null => {}
        Value::Object(found) => decoder.fill(into, "", &mut fields, found)?,
        other => {
            let (found, name) = (name(&other), into.name);
            return Err(format!("json: cannot unmarshal {found} into Go value of type v1.{name}"));
        }
    }
    decoder.first_error.map_or(Ok(fields), Err)
}

/// Decodes a body that must be one object, as a map of its fields: names match exactly, and the last one wins.
pub(in crate::broker) fn decode_map(body: &[u8]) -> Result<BTreeMap<String, Value<'_>>, String> {
    match json_text::whole(body) {
        Ok(Value::Null) => Ok(BTreeMap::new()),
        Ok(Value::Object(fields)) => Ok(fields.into_iter().collect()),
        Ok(other) => Err(format!(
            "json: cannot unmarshal {} into Go value of type map[string]json.RawMessage",
            name(&other)
        )),
        Err(NotJson::End { .. }) => Err("unexpected end of JSON input".to_owned()),
        Err(NotJson::Syntax(what)) => Err(what),
    }
}

/// Go continues after most errors and reports the first one; an invalid time stops the decoding at once and is reported.
struct Decoder {
    first_error: Option<String>,
}

impl Decoder {
    fn fill(
        &mut self,
        into: &Struct,
        path: &str,
        fields: &mut Fields,
        found: Vec<(String, Value<'_>)>,
    ) -> Result<(), String> {
        for (key, value) in found {
            let Some((name, kind)) = into.field(&key) else {
                self.note(format!("json: unknown field {}", quoted(&key)));
                continue;
            };
            let field = match (kind, value) {
                (Type::String | Type::Integer(_), Value::Null) => continue,
                (_, Value::Null) => {
                    fields.0.remove(name);
                    continue;
                }
                (Type::String, Value::String(string)) => Field::String(string.text),
                (Type::Integer(_) | Type::OptionalInteger(_), Value::Number(text))
                    if text.parse::<i64>().is_ok() =>
                {
                    Field::Integer(text.parse().unwrap_or_default())
                }
                (Type::OptionalTime, Value::String(string)) => {
                    Field::Time(Deadline::try_from(String::from_utf8_lossy(string.raw).into_owned())?)
                }
                (Type::OptionalTime, _) => {
                    return Err("Time.UnmarshalJSON: input is not a JSON string".to_owned());
                }
                (Type::OptionalStruct(inner), Value::Object(found)) => {
                    let mut merged = fields.object(name).unwrap_or_default();
                    self.fill(inner, &format!("{path}{name}."), &mut merged, found)?;
                    Field::Struct(merged)
                }
                (kind, value) => {
                    let (found, kind, parent) = (kind.found(&value), kind.name(), into.name);
                    self.note(format!(
                        "json: cannot unmarshal {found} into Go struct field {parent}.{path}{name} of type {kind}"
                    ));
                    continue;
                }
            };
            fields.0.insert(name, field);
        }
        Ok(())
    }

    fn note(&mut self, error: String) {
        self.first_error.get_or_insert(error);
    }
}

impl Struct {
    /// The field for a key: the one with exactly this name, else the one with this name in another case.
    fn field(&self, key: &str) -> Option<(&'static str, &'static Type)> {
        let exact = self.fields.iter().find(|(name, _)| *name == key);
        let found =
            exact.or_else(|| self.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(&fold(key))))?;
        Some((found.0, &found.1))
    }
}

/// The two characters outside ASCII that case-fold to ASCII: long s and the Kelvin sign.
fn fold(key: &str) -> String {
    key.replace('\u{17f}', "s").replace('\u{212a}', "k")
}

impl Type {
    fn name(&self) -> String {
        match self {
            Type::String => "string".to_owned(),
            Type::Integer(name) | Type::OptionalInteger(name) => (*name).to_owned(),
            Type::OptionalTime => "time.Time".to_owned(),
            Type::OptionalStruct(inner) => format!("v1.{}", inner.name),
        }
    }

    /// Go's description of the value that was found.
    fn found(&self, value: &Value<'_>) -> String {
        match (self, value) {
            (Type::Integer(_) | Type::OptionalInteger(_), Value::Number(text)) => format!("number {text}"),
            _ => name(value).to_owned(),
        }
    }
}

/// Go's name of a value's type.
fn name(value: &Value<'_>) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array => "array",
        Value::Object(_) => "object",
    }
}
