//! Parses a body: as JSON, else as a form, else as bytes. Only the bytes decide, since they are signed. The Content-Type is not signed: anyone
//! who replays a webhook can change it, and must not change how the body is parsed.

use std::{collections::BTreeSet, sync::Arc};

use percent_encoding::percent_decode;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::document::Document;

/// A parsed body.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Any JSON value. Shared with the templates that use it.
    Json(Arc<Document>),
    /// A form, with the JSON document in the field that the source names, if there is one.
    Form {
        /// The fields.
        form: Form,
        /// The document.
        document: Option<Arc<Document>>,
    },
    /// Neither.
    Bytes,
}

/// A form's fields by name. A repeated pair of name and value counts once, as in Twilio's signature. A name with several values has no value
/// here: only the order could tell which one is meant, and the order is not always signed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Form {
    /// Names with one value.
    pub fields: Map<String, Value>,
    /// Names with several values.
    pub ambiguous: BTreeSet<String>,
}

impl Content {
    /// Reads a body. `json_field` names the field of a form that holds the event.
    #[must_use]
    pub fn read(body: &[u8], json_field: Option<&str>) -> Self {
        match Document::parse(body) {
            Some(json) => Self::Json(json.into()),
            None => Self::read_form(body, json_field),
        }
    }

    /// Parses a body that was signed as a form. It is never parsed as JSON, even if it is valid JSON as well.
    #[must_use]
    pub fn read_form(body: &[u8], json_field: Option<&str>) -> Self {
        let Some(form) = Form::read(body) else { return Self::Bytes };
        let document = json_field
            .and_then(|name| Document::parse(form.fields.get(name)?.as_str()?.as_bytes()))
            .map(Arc::new);
        Self::Form { form, document }
    }

    /// A JSON body.
    #[must_use]
    pub fn json(json: &Value) -> Self {
        Self::Json(Document::of(json).into())
    }

    /// The value of `event` in templates.
    #[must_use]
    pub fn event(&self) -> Option<&Arc<Document>> {
        match self {
            Self::Json(json) => Some(json),
            Self::Form { document, .. } => document.as_ref(),
            Self::Bytes => None,
        }
    }

    /// The value of `form` in templates.
    #[must_use]
    pub fn form(&self) -> Option<&Form> {
        match self {
            Self::Form { form, .. } => Some(form),
            Self::Json(_) | Self::Bytes => None,
        }
    }

    /// Why a name such as `event.data.id` or `form.To` is missing, if the body is the reason.
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
    /// Parses a form, only as a browser writes it: no bytes that a query can't contain (RFC 3986, section 3.4), every escape complete, and UTF-8
    /// after decoding. Anything else is not a form, so that there is only one way to parse a body.
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
        let read = Content::read(body, Some("payload"));
        let event = read.event().map(|event| event.value());
        assert_eq!(event, Some(json!({ "type": "block_actions" })));
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
