//! JSON as Go's `encoding/json` reads and writes it: what the real broker refuses, in its words.
//!
//! Reading is strict (an unknown field at any depth is an error, transcript 02), yet lenient where Go is:
//! field names match in any case, `null` is absence, and a body ends with its first value (transcript 01).
//!
//! Syntax errors are refused alike, and the commoner ones in the same words. Half a surrogate pair, which Go replaces, is
//! refused.

use serde::Serialize;
use serde_json::{Map, Value};

/// Writes a value and a line end, with Go's escaping of what is special to HTML.
pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
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

/// Reads the first value of a body, and ignores what follows it.
pub(super) fn decode(body: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(body);
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    match values.next() {
        None => Err("EOF".to_owned()),
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) if error.is_eof() => Err("unexpected EOF".to_owned()),
        Some(Err(error)) => Err(syntax_error(&text, &error)),
    }
}

/// Reads a body that must be one value.
pub(super) fn decode_whole(body: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(body);
    serde_json::from_str(&text).map_err(|error| {
        if error.is_eof() { "unexpected end of JSON input".to_owned() } else { syntax_error(&text, &error) }
    })
}

/// Go names the character it stumbled over; the commonest places are told apart.
fn syntax_error(text: &str, error: &serde_json::Error) -> String {
    let line = text.split('\n').nth(error.line().saturating_sub(1)).unwrap_or("");
    let at = line.as_bytes().get(error.column().saturating_sub(1)).copied().map_or(' ', char::from);
    let said = error.to_string();
    let place = match said.as_str() {
        said if said.starts_with("key must be a string") => "looking for beginning of object key string",
        said if said.starts_with("trailing comma") && at == '}' => {
            "looking for beginning of object key string"
        }
        said if said.starts_with("expected `:`") => "after object key",
        said if said.starts_with("expected `,` or `}`") => "after object key:value pair",
        said if said.starts_with("expected `,` or `]`") => "after array element",
        said if said.starts_with("trailing characters") => "after top-level value",
        said if said.starts_with("control character") => "in string",
        _ => "looking for beginning of value",
    };
    format!("invalid character {at:?} {place}")
}

/// The fields of an object that becomes a Go struct.
pub(super) struct Fields<'a> {
    fields: Option<&'a Map<String, Value>>,
    /// The struct's name, and the path to it: both are in Go's messages.
    kind: &'static str,
    path: String,
}

impl<'a> Fields<'a> {
    /// The fields of a body, all of which must be `known`.
    pub(super) fn of(value: &'a Value, kind: &'static str, known: &[&str]) -> Result<Self, String> {
        let fields = match value {
            Value::Object(fields) => Some(fields),
            Value::Null => None,
            other => {
                return Err(format!(
                    "json: cannot unmarshal {} into Go value of type v1.{kind}",
                    name(other)
                ));
            }
        };
        Self { fields, kind, path: String::new() }.all_known(known)
    }

    fn all_known(self, known: &[&str]) -> Result<Self, String> {
        let unknown = |field: &&String| !known.iter().any(|name| name.eq_ignore_ascii_case(field));
        match self.fields.and_then(|fields| fields.keys().find(unknown)) {
            Some(field) => Err(format!("json: unknown field {field:?}")),
            None => Ok(self),
        }
    }

    /// A field that is there and not null.
    pub(super) fn get(&self, field: &str) -> Option<&'a Value> {
        let fields = self.fields?;
        let value = fields.get(field).or_else(|| {
            let (_, value) = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(field))?;
            Some(value)
        });
        value.filter(|value| !value.is_null())
    }

    /// A string; absent is empty.
    pub(super) fn string(&self, field: &str) -> Result<String, String> {
        match self.get(field) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(self.mismatch(field, &name(other), "string")),
        }
    }

    /// An integer of the Go type named.
    pub(super) fn integer(&self, field: &str, go_type: &str) -> Result<Option<i64>, String> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Number(number)) => match number.as_i64() {
                Some(integer) => Ok(Some(integer)),
                None => Err(self.mismatch(field, &format!("number {number}"), go_type)),
            },
            Some(other) => Err(self.mismatch(field, &name(other), go_type)),
        }
    }

    /// The fields of a nested struct.
    pub(super) fn object(
        &self,
        field: &str,
        kind: &'static str,
        known: &[&str],
    ) -> Result<Option<Self>, String> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Object(fields)) => {
                let path = format!("{}{field}.", self.path);
                Self { fields: Some(fields), kind, path }.all_known(known).map(Some)
            }
            Some(other) => Err(self.mismatch(field, &name(other), &format!("v1.{kind}"))),
        }
    }

    fn mismatch(&self, field: &str, found: &str, go_type: &str) -> String {
        let (kind, path) = (self.kind, &self.path);
        format!("json: cannot unmarshal {found} into Go struct field {kind}.{path}{field} of type {go_type}")
    }
}

/// What Go calls a value's type.
pub(super) fn name(value: &Value) -> String {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
    .to_owned()
}
