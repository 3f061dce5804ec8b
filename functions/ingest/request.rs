//! A webhook before and after verification. Only [`UnverifiedWebhook::verify`] makes a [`VerifiedWebhook`] that can be acted on, and only a [`VerifiedWebhook`] has an
//! event: the raw bytes are verified before anything is parsed.

use std::sync::OnceLock;

use http::HeaderMap;
use jiff::Timestamp;
use minijinja::Value as Jinja;
use serde_json::Value;
use webhook_verify::{
    self, Answer, Identity, Key, Location, Signed, certificate, confirmation, event, fingerprint, handshake,
    identity, may_be_json, verify,
};

use super::{
    body::Content,
    event::Request,
    fetch::FetchError,
    names::{Headers, Names},
    preview::Peek,
};
use crate::{
    config::{
        source::{Name, Source},
        template::{RenderError, Template, Templates},
    },
    effect_id::{IdError, RunId},
    reconcile::Fetched,
};

/// A request to `/webhooks/{source}`, not verified yet.
#[derive(Debug, Clone, Copy)]
pub struct UnverifiedWebhook<'a> {
    /// The source in the path.
    pub source: &'a Source,
    /// The request as received.
    pub request: &'a Request,
}

/// Why a webhook is not from its source. Only for the log: the sender gets no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotGenuine {
    /// The signature is not valid.
    #[error(transparent)]
    Signature(#[from] webhook_verify::Refused),
    /// The address is not in the source's `allow` list.
    #[error("it comes from an address that the source does not allow")]
    Address,
    /// The certificate that it names does not exist.
    #[error(transparent)]
    Certificate(FetchError),
}

/// An authenticated webhook.
#[derive(Debug, Clone)]
pub struct VerifiedWebhook<'a> {
    source: &'a Source,
    headers: &'a HeaderMap,
    identity: Identity,
    handshake: Option<Answer>,
    confirmation: Option<Location>,
    content: Content,
    /// The events, if it may have several.
    batch: Option<Vec<Value>>,
    signed: Signed<'a>,
    /// Computed at first use: it takes a pass over the body.
    fingerprint: OnceLock<String>,
}

/// Why an authentic webhook can't be processed.
#[derive(Debug, thiserror::Error)]
pub enum Lacking {
    /// A template uses a missing field.
    #[error(transparent)]
    Field(#[from] RenderError),
    /// A template needs another kind of body.
    #[error("{field}: {missing} is missing: {why}")]
    Body {
        /// The template.
        field: String,
        /// The name that it uses.
        missing: String,
        /// The kind of the body.
        why: String,
    },
    /// A run id, business key or effect id that can't be used.
    #[error("{field}: {error}")]
    Id {
        /// The template's field.
        field: String,
        /// The error.
        error: IdError,
    },
}

impl Lacking {
    pub(super) fn id(template: &Template, error: IdError) -> Self {
        Self::Id { field: template.field().to_owned(), error }
    }
}

impl<'a> UnverifiedWebhook<'a> {
    /// The location of the certificate that the webhook names, if its scheme uses certificates.
    ///
    /// # Errors
    /// No certificate can make it authentic, or its address is not allowed: no request is made for it.
    pub fn certificate(&self) -> Result<Option<Location>, NotGenuine> {
        let Request { headers, query, source_ip, body, .. } = self.request;
        let location = certificate(&self.source.scheme, &Signed { headers, query: query.as_sent(), body })?;
        let allowed = location.is_none() || self.source.allow.includes(*source_ip);
        if allowed { Ok(location) } else { Err(NotGenuine::Address) }
    }

    /// Verifies the signature over the raw bytes, and only then parses them. The address is checked last, so that refused webhooks all take the same
    /// work.
    ///
    /// # Errors
    /// The reason, only for the log.
    pub fn verify(self, keys: &[Key], now: Timestamp) -> Result<VerifiedWebhook<'a>, NotGenuine> {
        let Self { source, request: Request { headers, query, source_ip, body, .. } } = self;
        let signed = Signed { headers, query: query.as_sent(), body };
        let verified = verify(&source.scheme, &signed, keys, source.tolerance, now.as_second())?;
        if !source.allow.includes(*source_ip) {
            return Err(NotGenuine::Address);
        }
        Ok(self.read(keys.get(verified.key_index)))
    }

    /// Parses it as if it had been verified with this key, for a preview.
    pub(super) fn read_unverified(self, key: Option<&Key>, _: &Peek) -> VerifiedWebhook<'a> {
        self.read(key)
    }

    /// Parses an event that was fetched from the provider's own API.
    pub(super) fn read_fetched(self, _: &Fetched) -> VerifiedWebhook<'a> {
        self.read(None)
    }

    /// Parses what has been verified, with this key.
    fn read(self, key: Option<&Key>) -> VerifiedWebhook<'a> {
        let Self { source, request: Request { headers, query, body, .. } } = self;
        let signed = Signed { headers, query: query.as_sent(), body };
        let content = match may_be_json(&source.scheme, &signed) {
            true => Content::read(body, source.json_field.as_deref()),
            false => Content::read_form(body, source.json_field.as_deref()),
        };
        let outline = content.event().map(|event| event.outline());
        let json = outline.as_ref().filter(|_| matches!(content, Content::Json(_)));
        let confirmation = json.and_then(|body| confirmation(&source.scheme, body));
        let handshake = json.zip(key).and_then(|(body, key)| handshake(&source.scheme, body, key));
        let batch = json.and_then(|body| source.scheme.batch(body));
        let (content, outline) = match content {
            Content::Json(body) if !source.scheme.signs_whole_json() => {
                let event = event(&source.scheme, body.value());
                (Content::json(&event), Some(event))
            }
            content => (content, outline),
        };
        let identity = identity_of(source, headers, &content, outline.as_ref());
        let fingerprint = OnceLock::new();
        VerifiedWebhook {
            source,
            headers,
            identity,
            handshake,
            confirmation,
            content,
            batch,
            signed,
            fingerprint,
        }
    }
}

/// The provider's id and type, from the event's outline or else from the form's fields.
fn identity_of(source: &Source, headers: &HeaderMap, content: &Content, outline: Option<&Value>) -> Identity {
    let form = content.form().map(|form| Value::Object(form.fields.clone()));
    identity(&source.scheme, headers, outline.or(form.as_ref()))
}

impl VerifiedWebhook<'_> {
    /// One webhook per event, where the provider sends several at a time, each with the id and type from the source's templates.
    /// # Errors
    /// The source's own `event_id` or `event_type` can't be rendered.
    pub fn events(mut self, templates: &Templates) -> Result<Vec<Self>, Lacking> {
        let events = match self.batch.take() {
            Some(items) => {
                self.content = Content::Bytes;
                items.iter().map(|item| self.about(item)).collect()
            }
            None => vec![self],
        };
        events.into_iter().map(|event| event.named(templates)).collect()
    }

    /// The same webhook, as if this item of its array were the whole event.
    fn about(&self, item: &Value) -> Self {
        let fingerprint = OnceLock::from(self.source.scheme.item_digest(item));
        let content = Content::json(item);
        Self {
            identity: identity_of(self.source, self.headers, &content, Some(item)),
            fingerprint,
            content,
            ..self.clone()
        }
    }

    /// Applies the source's templates for id and type. In these templates, `event_id` and `event_type` are the provider's values.
    fn named(mut self, templates: &Templates) -> Result<Self, Lacking> {
        if self.source.event_id.is_none() && self.source.event_type.is_none() {
            return Ok(self);
        }
        let context = self.context(templates);
        let render = |name: &Name| {
            let text = templates.text(&name.template, &context).map_err(|error| self.lacking(error))?;
            if text.is_empty() {
                return Err(Lacking::id(&name.template, IdError::Empty { part: "the name" }));
            }
            Ok(text)
        };
        let id = self.source.event_id.as_ref().map(render).transpose()?;
        let event_type = self.source.event_type.as_ref().map(render).transpose()?;
        self.identity.event_id = id.or(self.identity.event_id);
        self.identity.event_type = event_type.unwrap_or(self.identity.event_type);
        Ok(self)
    }

    /// The error for a missing value; if the body is the reason, with the kind of the body.
    pub(super) fn lacking(&self, error: RenderError) -> Lacking {
        let missing = error.missing.clone();
        let body = missing.and_then(|missing| Some((self.content.why_missing(&missing)?, missing)));
        match body {
            Some((why, missing)) => Lacking::Body { field: error.field, missing, why },
            None => Lacking::Field(error),
        }
    }

    /// The source.
    #[must_use]
    pub fn source(&self) -> &Source {
        self.source
    }

    /// The response, if this is a handshake and not an event.
    #[must_use]
    pub fn handshake(&self) -> Option<&Answer> {
        self.handshake.as_ref()
    }

    /// The location to request, if this asks to confirm a subscription and is not an event.
    #[must_use]
    pub fn confirmation(&self) -> Option<&Location> {
        self.confirmation.as_ref()
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

    /// The provider's event id and type.
    #[must_use]
    pub fn into_identity(self) -> Identity {
        self.identity
    }

    /// Digest of the signed content.
    fn fingerprint(&self) -> &str {
        self.fingerprint.get_or_init(|| fingerprint(&self.source.scheme, &self.signed))
    }

    /// The values for ingest's templates.
    #[must_use]
    pub fn context(&self, templates: &Templates) -> Jinja {
        Jinja::from_object(Names {
            headers: Headers(self.headers.clone()).into(),
            source: self.source.name.clone(),
            event_type: self.identity.event_type.clone(),
            digest: templates.may_use_digest().then(|| self.fingerprint().to_owned()),
            event_id: self.identity.event_id.clone(),
            event: self.content.event().cloned(),
            form: self.content.form().map(|form| form.fields.clone()),
        })
    }

    /// The run id: the same for every delivery of the same event.
    ///
    /// It is derived from the event's id if that is signed. If not (GitHub, or an `event_id` that uses a header), a replay could have a new id, so it
    /// is derived from the digest of the signed content.
    ///
    /// # Errors
    /// The source's own `run_id` template can't be rendered, or the id is too long.
    pub fn run_id(&self, templates: &Templates, context: &Jinja) -> Result<RunId, Lacking> {
        if let Some(template) = &self.source.run_id {
            let raw = templates.text(template, context).map_err(|error| self.lacking(error))?;
            return RunId::escape(&raw).map_err(|error| Lacking::id(template, error));
        }
        let name = &self.source.name;
        let raw = match &self.identity.event_id {
            Some(id) if self.source.signs("event_id") => format!("{name}.{id}"),
            _ => format!("{name}.sha256-{}", self.fingerprint()),
        };
        RunId::escape(&raw).map_err(|error| Lacking::Id { field: "event id".to_owned(), error })
    }
}

#[cfg(test)]
mod tests;
