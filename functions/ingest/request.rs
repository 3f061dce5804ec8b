//! A webhook before and after its signature has been checked. Only [`Unverified::verify`] makes a [`Verified`], and
//! only that has an event: raw bytes are verified before anything is parsed.

use jiff::Timestamp;
use lambda_http::http::HeaderMap;
use minijinja::{Value as Jinja, value::Serde};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::signature::{Answer, Identity, Key, Refused, Signed, handshake, identity, verify};
use crate::{
    config::{
        source::Source,
        template::{RenderError, Templates},
    },
    effect_id::{IdError, RunId},
};

/// What came in at `/webhooks/{source}`.
#[derive(Debug, Clone)]
pub struct Unverified<'a> {
    /// The source that the path names.
    pub source: &'a Source,
    /// Headers as they came.
    pub headers: &'a HeaderMap,
    /// The raw query string; empty if there is none.
    pub query: &'a str,
    /// The body's bytes, after API Gateway's base64.
    pub body: &'a [u8],
}

/// A webhook of which we know who sent it.
#[derive(Debug, Clone)]
pub struct Verified<'a> {
    source: &'a Source,
    headers: &'a HeaderMap,
    identity: Identity,
    handshake: Option<Answer>,
    event: Option<Value>,
    body_digest: String,
}

/// Why a genuine webhook can't be worked on.
#[derive(Debug, thiserror::Error)]
pub enum Lacking {
    /// A template met a missing field.
    #[error(transparent)]
    Field(#[from] RenderError),
    /// A run id, business key or effect id that can't be used.
    #[error("{field}: {error}")]
    Id {
        /// What should have made it.
        field: String,
        /// What is wrong with it.
        error: IdError,
    },
}

impl<'a> Unverified<'a> {
    /// Checks the signature over the raw bytes, and only then reads them.
    ///
    /// # Errors
    /// The reason, for our log only.
    pub fn verify(self, keys: &[Key], now: Timestamp) -> Result<Verified<'a>, Refused> {
        let Self { source, headers, query, body } = self;
        let signed = Signed { headers, query, body };
        let verified = verify(&source.scheme, &signed, keys, source.tolerance, now.as_second())?;
        let event: Option<Value> = serde_json::from_slice(body).ok();
        let identity = identity(&source.scheme, headers, event.as_ref());
        let key = keys.get(verified.key_index);
        let asked = event.as_ref().zip(key);
        let handshake = asked.and_then(|(event, key)| handshake(&source.scheme, event, key));
        let body_digest = hex::encode(Sha256::digest(body));
        Ok(Verified { source, headers, identity, handshake, event, body_digest })
    }
}

impl Verified<'_> {
    /// One webhook for each event, where the provider sends several at a time.
    #[must_use]
    pub fn events(mut self) -> Vec<Self> {
        match self.event.take() {
            Some(Value::Array(items)) if self.source.scheme.sends_batches() => {
                items.into_iter().map(|item| self.about(item)).collect()
            }
            event => vec![Self { event, ..self }],
        }
    }

    /// The same webhook, as if this item of its array were all of it.
    fn about(&self, item: Value) -> Self {
        Self {
            identity: identity(&self.source.scheme, self.headers, Some(&item)),
            body_digest: hex::encode(Sha256::digest(item.to_string())),
            event: Some(item),
            ..self.clone()
        }
    }

    /// The source.
    #[must_use]
    pub fn source(&self) -> &Source {
        self.source
    }

    /// What to answer, if this is no event but the provider asking whether somebody is there.
    #[must_use]
    pub fn handshake(&self) -> Option<&Answer> {
        self.handshake.as_ref()
    }

    /// The provider's event type.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.identity.event_type
    }

    /// The provider's event id, for the log.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        self.identity.event_id.as_deref()
    }

    /// What ingest templates see.
    #[must_use]
    pub fn context(&self) -> Jinja {
        let headers: Map<String, Value> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into()))
            .collect();
        let mut context = Map::from_iter([
            ("headers".to_owned(), Value::Object(headers)),
            ("source".to_owned(), self.source.name.as_str().into()),
            ("event_type".to_owned(), self.event_type().into()),
        ]);
        context.extend(self.event_id().map(|id| ("event_id".to_owned(), id.into())));
        context.extend(self.event.clone().map(|event| ("event".to_owned(), event)));
        Jinja::from(Serde(Value::Object(context)))
    }

    /// The run: the same for every delivery of the same event.
    ///
    /// It comes from the provider's event id where the signature covers that. Where it does not (GitHub), a replay
    /// could bring a fresh id, so it comes from the body's digest, which is what was signed (webhook trap 8).
    ///
    /// # Errors
    /// The source's own `run_id` template can't be rendered, or the id is too long.
    pub fn run_id(&self, templates: &Templates, context: &Jinja) -> Result<RunId, Lacking> {
        if let Some(template) = &self.source.run_id {
            let raw = templates.text(template, context)?;
            return RunId::escape(&raw)
                .map_err(|error| Lacking::Id { field: template.field().to_owned(), error });
        }
        let name = &self.source.name;
        let raw = match &self.identity.event_id {
            Some(id) if self.identity.authenticated => format!("{name}.{id}"),
            _ => format!("{name}.sha256-{}", self.body_digest),
        };
        RunId::escape(&raw).map_err(|error| Lacking::Id { field: "event id".to_owned(), error })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Config;

    /// The run ids of a webhook with this body, from a source of this scheme.
    fn runs(scheme: &str, body: &Value) -> Vec<String> {
        let text = format!("[sources.mail]\nscheme = \"{scheme}\"\nsecrets = [\"A\"]");
        let config = Config::parse("webhooks.toml", &text).unwrap();
        let source = &config.sources["mail"];
        let webhook = Verified {
            source,
            headers: &HeaderMap::new(),
            identity: identity(&source.scheme, &HeaderMap::new(), Some(body)),
            handshake: None,
            event: Some(body.clone()),
            body_digest: "of the whole".to_owned(),
        };
        let run_id = |event: Verified<'_>| event.run_id(&config.templates, &event.context()).unwrap();
        webhook.events().into_iter().map(|event| run_id(event).to_string()).collect()
    }

    #[test]
    fn each_event_of_a_batch_is_a_run_of_its_own() {
        let body = json!([{ "sg_event_id": "a" }, { "email": "x@example.com" }, { "sg_event_id": "b" }]);
        let digest = hex::encode(Sha256::digest(r#"{"email":"x@example.com"}"#));
        let expected = ["mail.a".to_owned(), format!("mail.sha256-{digest}"), "mail.b".to_owned()];
        assert_eq!(runs("sendgrid", &body), expected);
        assert!(runs("sendgrid", &json!([])).is_empty());
        assert_eq!(runs("sendgrid", &json!({ "sg_event_id": "c" })), ["mail.c"]);
        assert_eq!(runs("zoom", &body).len(), 1, "an array is one event elsewhere");
    }
}
