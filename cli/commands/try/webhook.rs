//! The webhook of the EVENT argument.

use anyhow::{Result, anyhow};
use driftq_webhooks::ingest::event::{Event, Request};
use http::Method;
use serde_json::Value;

use crate::{event, exit::Usage};

/// A webhook and its source.
pub(super) struct Webhook {
    pub(super) source: String,
    pub(super) request: Request,
}

impl Webhook {
    pub(super) fn read(event: &str, source: Option<&str>, headers: &[String]) -> Result<Self> {
        let bytes = event::read(event)?;
        match event::of_lambda(&bytes) {
            // An event is passed on unchanged, whichever format it has.
            Some(json) => Self::of_event(event, json, source, headers),
            None => {
                let webhook = event::webhook(event, bytes, source, headers)?;
                Ok(Self { request: event::request(&webhook)?, source: webhook.source })
            }
        }
    }

    fn of_event(name: &str, json: Value, source: Option<&str>, headers: &[String]) -> Result<Self> {
        let event: Event = serde_json::from_value(json)
            .map_err(|error| anyhow!("{name}: {error}: it would be answered 500"))?;
        let mut request =
            event.into_request().map_err(|error| anyhow!("{name}: {error}: it would be answered 400"))?;
        for (name, value) in event::header_lines(headers)? {
            request.headers.insert(name.parse::<http::HeaderName>()?, value.parse()?);
        }
        let Request { method, path, .. } = &request;
        let of_path = path.strip_prefix("/webhooks/").filter(|_| *method == Method::POST);
        let Some(source) = source.or(of_path) else {
            return Err(Usage(format!("{name} is no webhook: {method} {path}")).into());
        };
        Ok(Self { source: source.to_owned(), request })
    }
}
