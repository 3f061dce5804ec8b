//! A webhook to send: its source, headers and body. The samples in `events/ingest` are such webhooks, stored as API Gateway events.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::Value;

use crate::functions;

/// Headers, in order.
pub type Headers = Vec<(String, String)>;

/// A webhook, signed or not.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The source in its path.
    pub source: String,
    /// Its headers, with lower-case names.
    pub headers: Headers,
    /// Its body, as exact bytes.
    pub body: Bytes,
    /// Never signed: its invalid signature is its purpose.
    pub forged: bool,
}

impl Webhook {
    /// A JSON webhook to that source.
    #[must_use]
    pub fn new(source: &str, body: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { source: source.to_owned(), headers, body: body.to_string().into(), forged: false }
    }

    /// Sets a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The same webhook with an edited body. An existing signature is no longer valid.
    #[must_use]
    pub fn edited(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        let mut body = self.json();
        edit(&mut body);
        self.body = body.to_string().into();
        self
    }

    /// A sample of `events/ingest`, by its file name without `.json`.
    ///
    /// # Errors
    /// There is no such sample.
    pub fn sample(name: &str) -> Result<Self> {
        Self::read(&samples().join(format!("{name}.json")))
    }

    /// Reads an API Gateway event of payload format 2.0. A file whose name starts with `forged.` is never signed.
    ///
    /// # Errors
    /// The file can't be read or is not such an event.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let event: Value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        let forged = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("forged."));
        Self::from_event(&event, forged).with_context(|| path.display().to_string())
    }

    /// Extracts the webhook from such an event.
    ///
    /// # Errors
    /// It is not such an event, or does not contain a webhook.
    pub fn from_event(event: &Value, forged: bool) -> Result<Self> {
        let path = event["rawPath"].as_str().context("no rawPath")?;
        let Some(source) = path.strip_prefix("/webhooks/") else {
            bail!("rawPath {path:?} is not /webhooks/{{source}}")
        };
        let body = event["body"].as_str().context("no body")?;
        let body = match event["isBase64Encoded"].as_bool() {
            Some(true) => BASE64_STANDARD.decode(body)?.into(),
            _ => Bytes::from(body.to_owned()),
        };
        // Headers of the original connection are dropped.
        let of_connection =
            ["host", "content-length", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"];
        let headers = event["headers"].as_object().into_iter().flatten();
        let headers = headers.filter(|(name, _)| !of_connection.contains(&name.as_str()));
        let headers =
            headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
        Ok(Self { source: source.to_owned(), headers, body, forged })
    }
}

/// The directory of the samples.
#[must_use]
pub fn samples() -> PathBuf {
    functions::workspace().join("events/ingest")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::config::Config;

    /// Each sample except the forged ones was signed with the local secrets when it was created, by an independent program.
    #[test]
    fn samples_bear_the_signatures_they_should() {
        let config = Config::read(&functions::workspace().join("tests/providers.toml")).unwrap();
        let mut seen = 0;
        for entry in std::fs::read_dir(samples()).unwrap() {
            let path = entry.unwrap().path();
            let event: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let sent =
                Timestamp::from_millisecond(event["requestContext"]["timeEpoch"].as_i64().unwrap()).unwrap();
            let sample = Webhook::read(&path).unwrap();
            let source = config.source(&sample.source).unwrap();
            let signed = source.scheme.sign(&source.secret, sample.clone(), sent).unwrap();
            assert_eq!(signed.body, sample.body, "{}", path.display());
            // Stripe's samples have an additional v0, as real ones do.
            let same = signed.headers.iter().all(|(name, value)| {
                sample.header(name).is_some_and(|line| line.starts_with(value.as_str()))
            });
            assert_eq!(same, !sample.forged, "{}: {:?}", path.display(), signed.headers);
            seen += 1;
        }
        assert!(seen >= 28, "only {seen} samples");
    }
}
