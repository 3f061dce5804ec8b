//! What a body says: JSON, else a form, else bytes. Only the bytes decide, which are what is signed. The Content-Type is
//! not: whoever sends a webhook again can write any there, and must not have it read in another way.

use std::{collections::BTreeSet, sync::Arc};

use percent_encoding::percent_decode;
use serde_json::{Map, Value};
use url::form_urlencoded;

/// A body, read.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// JSON of any kind. Shared with the templates that look into it.
    Json(Arc<Value>),
    /// A form, and the JSON document in the field that the source names, if it is there.
    Form {
        /// The fields.
        form: Form,
        /// The document.
        document: Option<Arc<Value>>,
    },
    /// Neither.
    Bytes,
}

/// A form's fields by name. The same pair of name and value counts once, as it does for Twilio's signature. A name with
/// several values has none here: which of them is meant would be for their order to say, and that is not always signed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Form {
    /// What can be used.
    pub fields: Map<String, Value>,
    /// The names that have several values.
    pub ambiguous: BTreeSet<String>,
}

impl Content {
    /// Reads a body. `json_field` names the field of a form that holds the event.
    #[must_use]
    pub fn read(body: &[u8], json_field: Option<&str>) -> Self {
        match serde_json::from_slice(body) {
            Ok(json) => Self::json(json),
            Err(_) => Self::read_form(body, json_field),
        }
    }

    /// Reads a body that was signed as a form, and so is nothing else, even if it is valid JSON as well.
    #[must_use]
    pub fn read_form(body: &[u8], json_field: Option<&str>) -> Self {
        let Some(form) = Form::read(body) else { return Self::Bytes };
        let document = json_field
            .and_then(|name| serde_json::from_str(form.fields.get(name)?.as_str()?).ok())
            .map(Arc::new);
        Self::Form { form, document }
    }

    /// JSON.
    #[must_use]
    pub fn json(json: Value) -> Self {
        Self::Json(json.into())
    }

    /// What `event` is in templates.
    #[must_use]
    pub fn event(&self) -> Option<&Value> {
        match self {
            Self::Json(json) => Some(json),
            Self::Form { document, .. } => document.as_deref(),
            Self::Bytes => None,
        }
    }

    /// The same, to be kept.
    #[must_use]
    pub fn shared_event(&self) -> Option<Arc<Value>> {
        match self {
            Self::Json(json) => Some(json.clone()),
            Self::Form { document, .. } => document.clone(),
            Self::Bytes => None,
        }
    }

    /// What `form` is in templates.
    #[must_use]
    pub fn form(&self) -> Option<&Form> {
        match self {
            Self::Form { form, .. } => Some(form),
            Self::Json(_) | Self::Bytes => None,
        }
    }

    /// Why there is no such name as `event.data.id` or `form.To`, if the body is the reason.
    #[must_use]
    pub fn why_missing(&self, name: &str) -> Option<String> {
        let (root, field) = name.split_once('.').unwrap_or((name, ""));
        match (root, self) {
            ("event", Self::Bytes) => Some("the body is not JSON".to_owned()),
            ("event", Self::Form { document: None, .. }) => Some(
                "the body is a form; use form, or name the field that holds JSON as the source's json_field"
                    .to_owned(),
            ),
            ("form", Self::Json(_) | Self::Bytes) => Some("the body is not a form".to_owned()),
            ("form", Self::Form { form, .. }) if form.ambiguous.contains(field) => {
                Some("the form has several values for it".to_owned())
            }
            _ => None,
        }
    }
}

impl Form {
    /// Only what a browser could write: no byte that a query can't hold (RFC 3986, section 3.4), every escape whole, and
    /// text when unescaped. Whatever else is no form, so that nothing is read in two ways.
    fn read(body: &[u8]) -> Option<Self> {
        let written = body.contains(&b'=') && body.iter().all(|b| stands_in_a_query(*b));
        if !written || !escapes_are_whole(body) || percent_decode(body).decode_utf8().is_err() {
            return None;
        }
        let pairs: BTreeSet<_> = form_urlencoded::parse(body).collect();
        let mut form = Self::default();
        for (name, value) in pairs {
            if form.fields.insert(name.to_string(), value.into()).is_some() {
                form.ambiguous.insert(name.into_owned());
            }
        }
        for name in &form.ambiguous {
            form.fields.remove(name);
        }
        Some(form)
    }
}

fn stands_in_a_query(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
}

fn escapes_are_whole(body: &[u8]) -> bool {
    let whole = |rest: &[u8]| rest.get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    body.split(|b| *b == b'%').skip(1).all(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn form(body: &str) -> Option<Form> {
        Content::read(body.as_bytes(), None).form().cloned()
    }

    #[test]
    fn a_form_is_read_by_its_bytes_and_strictly() {
        let read = form("command=%2Fdeploy&text=a+b%20c&empty=&flag").unwrap();
        assert_eq!(
            Value::Object(read.fields),
            json!({ "command": "/deploy", "text": "a b c", "empty": "", "flag": "" })
        );
        for other in [
            "",
            "text",
            "a=b c",
            "a=%",
            "a=%2",
            "a=%zz",
            "a=%ff",
            "a=\u{e4}",
            "<a b=\"c\"/>",
            "a=b\n",
            "{\"a\"=1}",
        ] {
            assert_eq!(Content::read(other.as_bytes(), None), Content::Bytes, "{other}");
        }
        for json in ["1", "\"a=b\"", "{\"a\":\"=\"}", "null"] {
            assert!(matches!(Content::read(json.as_bytes(), None), Content::Json(_)), "{json}");
        }
        assert_eq!(Content::read(&[0xff, b'='], None), Content::Bytes);
    }

    #[test]
    fn a_name_with_several_values_has_none_in_whatever_order_they_come() {
        for body in ["a=1&b=2&a=3", "a=3&a=1&b=2"] {
            let read = form(body).unwrap();
            assert_eq!(
                (Value::Object(read.fields), read.ambiguous),
                (json!({ "b": "2" }), ["a".to_owned()].into())
            );
        }
        assert_eq!(form("a=1&a=%31").unwrap(), form("a=1").unwrap(), "the same pair twice");
    }

    #[test]
    fn the_document_of_a_field_is_the_event_if_the_source_says_so() {
        let body = b"payload=%7B%22type%22%3A%22block_actions%22%7D";
        assert_eq!(Content::read(body, Some("payload")).event(), Some(&json!({ "type": "block_actions" })));
        assert_eq!(Content::read(body, Some("other")).event(), None);
        assert_eq!(Content::read(body, None).event(), None);
        assert_eq!(Content::read(b"payload=no", Some("payload")).event(), None);
        assert_eq!(
            Content::read(b"payload={}&payload=1", Some("payload")),
            Content::Bytes,
            "braces are escaped"
        );
        assert_eq!(Content::read(b"payload=2&payload=1", Some("payload")).event(), None, "which of the two?");
    }

    proptest! {
        #[test]
        fn a_body_is_a_form_exactly_if_it_reads_as_one_in_one_way(
            pairs in prop::collection::btree_map("\\PC{0,6}", "(?s).{0,6}", 1..5),
            other in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut written = form_urlencoded::Serializer::new(String::new());
            let body = written.extend_pairs(&pairs).finish();
            let expected = pairs.into_iter().map(|(name, value)| (name, value.into())).collect();
            prop_assert_eq!(form(&body).map(|form| form.fields), Some(expected));
            let _ = Content::read(&other, Some("payload"));
        }
    }

    #[test]
    fn what_a_body_lacks_is_said() {
        let why = |body: &[u8], name: &str| Content::read(body, Some("payload")).why_missing(name);
        assert_eq!(why(b"\xff", "event.id").as_deref(), Some("the body is not JSON"));
        assert!(why(b"a=1", "event.id").unwrap().contains("use form"));
        assert_eq!(why(b"{}", "form.To").as_deref(), Some("the body is not a form"));
        assert_eq!(why(b"To=1&To=2", "form.To").as_deref(), Some("the form has several values for it"));
        for (body, name) in [
            (&b"{}"[..], "event.id"),
            (b"payload=1", "event.id"),
            (b"To=1", "form.From"),
            (b"To=1", "headers.a"),
        ] {
            assert_eq!(why(body, name), None);
        }
    }
}
