//! The EVENT argument: a sample, a file or standard input, and its request.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use anyhow::{Result, anyhow};
use driftq_webhooks::ingest::{event::Request, query::Query};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use local::webhook::{Webhook, samples};
use serde_json::Value;

use crate::exit::Usage;

/// Reads a file, standard input or a sample.
pub(crate) fn read(event: &str) -> Result<Vec<u8>> {
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

/// The Lambda event, or none if the text is only a webhook's body.
pub(crate) fn of_lambda(bytes: &[u8]) -> Option<Value> {
    let json: Value = serde_json::from_slice(bytes).ok()?;
    json["requestContext"].is_object().then_some(json)
}

/// The source of a webhook whose body alone is given.
fn source_of_body<'a>(event: &str, source: Option<&'a str>) -> Result<&'a str> {
    source.ok_or_else(|| {
        let why = "is no event of API Gateway's; if it is a webhook's body, say which --source sends it";
        Usage(format!("{event} {why}")).into()
    })
}

/// The webhook to sign and send.
pub(crate) fn webhook(
    event: &str,
    bytes: Vec<u8>,
    source: Option<&str>,
    headers: &[String],
) -> Result<Webhook> {
    let mut webhook = match of_lambda(&bytes) {
        Some(json) => {
            let name = Path::new(event).file_name().unwrap_or_default().to_string_lossy();
            let webhook = Webhook::from_event(&json, name.starts_with("forged."));
            webhook.map_err(|error| Usage(format!("{event}: {error:#}")))?
        }
        None => Webhook {
            source: source_of_body(event, source)?.to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: bytes.into(),
            forged: false,
        },
    };
    if let Some(source) = source {
        source.clone_into(&mut webhook.source);
    }
    for (name, value) in header_lines(headers)? {
        webhook = webhook.with(&name, &value);
    }
    Ok(webhook)
}

/// Lines such as `x-github-event: issues`.
pub(crate) fn header_lines(lines: &[String]) -> Result<Vec<(String, String)>> {
    let line = |line: &String| {
        let named = line.split_once(':').filter(|(name, _)| name.trim().parse::<HeaderName>().is_ok());
        let legal = named.filter(|(_, value)| value.trim().parse::<HeaderValue>().is_ok());
        let (name, value) =
            legal.ok_or_else(|| Usage(format!("{line:?} is no header; write \"x-github-event: issues\"")))?;
        Ok((name.trim().to_lowercase(), value.trim().to_owned()))
    };
    lines.iter().map(line).collect()
}

/// The request that brings a webhook.
pub(crate) fn request(webhook: &Webhook) -> Result<Request> {
    let mut headers = HeaderMap::new();
    for (name, value) in &webhook.headers {
        let name: HeaderName = name.parse().map_err(|_| anyhow!("{name:?} is no header's name"))?;
        headers.append(name, value.parse().map_err(|_| anyhow!("{value:?} is no header's value"))?);
    }
    Ok(Request {
        method: Method::POST,
        path: format!("/webhooks/{}", webhook.source),
        headers,
        query: Query::AsSent(String::new()),
        source_ip: None,
        caller: None,
        body: webhook.body.to_vec(),
    })
}
