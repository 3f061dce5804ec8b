//! What the word EVENT names: a webhook.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use anyhow::{Result, anyhow};
use driftq_webhooks::ingest::{
    event::{Event, Request},
    query::Query,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use local::webhook::samples;
use serde_json::Value;

use crate::exit::Usage;

/// A webhook, and where it goes.
pub(super) struct Webhook {
    pub(super) source: String,
    pub(super) request: Request,
}

impl Webhook {
    pub(super) fn read(event: &str, source: Option<&str>, headers: &[String]) -> Result<Self> {
        let bytes = read(event)?;
        let json: Option<Value> = serde_json::from_slice(&bytes).ok();
        let is_event = json.as_ref().is_some_and(|json| json["requestContext"].is_object());
        if let Some(json) = json.filter(|_| is_event) {
            return Self::of_event(event, json, source);
        }
        let Some(source) = source else {
            let why = format!(
                "{event} is no event of API Gateway's; if it is a webhook's body, say which --source sends it"
            );
            return Err(Usage(why).into());
        };
        let request = Request {
            method: Method::POST,
            path: format!("/webhooks/{source}"),
            headers: lines(headers)?,
            query: Query::AsSent(String::new()),
            source_ip: None,
            caller: None,
            body: bytes,
        };
        Ok(Self { source: source.to_owned(), request })
    }

    fn of_event(name: &str, json: Value, source: Option<&str>) -> Result<Self> {
        let event: Event = serde_json::from_value(json)
            .map_err(|error| anyhow!("{name}: {error}: it would be answered 500"))?;
        let request =
            event.into_request().map_err(|error| anyhow!("{name}: {error}: it would be answered 400"))?;
        let Request { method, path, .. } = &request;
        let of_path = path.strip_prefix("/webhooks/").filter(|_| *method == Method::POST);
        let Some(source) = source.or(of_path) else {
            return Err(Usage(format!("{name} is no webhook: {method} {path}")).into());
        };
        Ok(Self { source: source.to_owned(), request })
    }
}

/// A file, standard input, or a sample.
fn read(event: &str) -> Result<Vec<u8>> {
    if event == "-" {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    let sample = samples().join(format!("{}.json", event.trim_end_matches(".json")));
    let path = Some(Path::new(event)).filter(|path| path.is_file()).unwrap_or(&sample);
    fs::read(path).map_err(|_| {
        let why =
            format!("{event} is neither a file nor a sample; `cargo webhooks send --list` names the samples");
        Usage(why).into()
    })
}

fn lines(lines: &[String]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for line in lines {
        let named = line.split_once(':').and_then(|(name, value)| {
            Some((name.trim().parse::<HeaderName>().ok()?, value.trim().parse::<HeaderValue>().ok()?))
        });
        let Some((name, value)) = named else {
            return Err(Usage(format!("{line:?} is no header; write \"x-github-event: issues\"")).into());
        };
        headers.insert(name, value);
    }
    Ok(headers)
}
