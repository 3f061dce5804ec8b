//! One request to a provider's API: bounded in time and size, no redirects, and what its answer means.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, header};
use jiff::Timestamp;
use reqwest::Response;
use serde_json::Value;
use url::Url;

use crate::consumer::outcome::{NotApplied, of_error, parse_retry_after};

/// What a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Larger answers are not read: a page of events has some hundred kilobytes.
const MAX_ANSWER: usize = 8 * 1024 * 1024;
/// Of what it says when it refuses, so many letters are kept.
const MOST_WORDS: usize = 200;
/// GitHub wants a name (<https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api#user-agent>).
const USER_AGENT: &str = concat!("driftq-webhooks/", env!("CARGO_PKG_VERSION"));

/// Why there is no answer to go by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Too many requests were made.
    #[error("answered {status}: too many requests")]
    Limited {
        /// With which status.
        status: u16,
        /// For how long there should be none, if it says so.
        pause: Option<Duration>,
    },
    /// It does not have what was asked for: too old, or never there; or can't do that with it.
    #[error("answered {status}: it does not have what was asked for{}", told(why))]
    Gone {
        /// With which status.
        status: u16,
        /// Its own words, if they are few.
        why: String,
    },
    /// The key, or the request, is not accepted.
    #[error("{0}")]
    Refused(String),
    /// It can't be reached, or is in trouble.
    #[error("{0}")]
    Unavailable(String),
}

fn told(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" ({why})") }
}

/// An answer that can be gone by.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    /// Null if there is none.
    pub(super) json: Value,
}

/// A provider's API.
#[derive(Debug)]
pub(super) struct Api<'a> {
    client: reqwest::Client,
    base: &'a Url,
    authorization: HeaderValue,
}

/// A request in the making.
#[derive(Debug, Default)]
pub(super) struct Request<'a> {
    pub(super) query: Vec<(&'a str, String)>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
}

impl<'a> Api<'a> {
    /// With this bearer token; none if it can't stand in a header.
    pub(super) fn new(client: reqwest::Client, base: &'a Url, token: &str) -> Option<Self> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        authorization.set_sensitive(true);
        Some(Self { client, base, authorization })
    }

    pub(super) async fn get(&self, path: &str, request: Request<'_>) -> Result<Answer, Failure> {
        self.send(Method::GET, path, request).await
    }

    pub(super) async fn post(&self, path: &str, request: Request<'_>) -> Result<Answer, Failure> {
        self.send(Method::POST, path, request).await
    }

    async fn send(&self, method: Method, path: &str, request: Request<'_>) -> Result<Answer, Failure> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(request.query);
        }
        let mut sent = self.client.request(method, url).timeout(TIMEOUT);
        sent = sent.header(header::AUTHORIZATION, self.authorization.clone());
        sent = sent.header(header::USER_AGENT, USER_AGENT).header(header::ACCEPT, "application/json");
        for (name, value) in request.headers {
            sent = sent.header(name, value);
        }
        if let Some(body) = request.body {
            sent = sent.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        judge(sent.send().await.map_err(lost)?).await
    }
}

/// There was no answer, or not all of it. The URL and the headers stay out of it.
fn lost(error: reqwest::Error) -> Failure {
    Failure::Unavailable(match of_error(error) {
        NotApplied::NotSent(why) | NotApplied::Unknown(why) | NotApplied::RefusedForGood(why) => why,
        NotApplied::RefusedForNow { why, .. } => why,
    })
}

async fn judge(response: Response) -> Result<Answer, Failure> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    match status {
        200..=299 => Ok(Answer { headers, json: read(response).await? }),
        429 => Err(Failure::Limited { status, pause: pause(&headers, Timestamp::now()) }),
        403 | 503 if pause(&headers, Timestamp::now()).is_some() => {
            Err(Failure::Limited { status, pause: pause(&headers, Timestamp::now()) })
        }
        400 | 404 | 410 | 422 => Err(Failure::Gone { status, why: words(response).await }),
        500..=599 => Err(Failure::Unavailable(format!("answered {status}"))),
        _ => Err(Failure::Refused(format!("answered {status}"))),
    }
}

/// `Retry-After`; or, if nothing is left of a limit, when it begins anew, as GitHub says
/// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>).
fn pause(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if let Some(pause) = text("retry-after").and_then(|value| parse_retry_after(value, now)) {
        return Some(pause);
    }
    text("x-ratelimit-remaining").filter(|left| *left == "0")?;
    let reset = Timestamp::from_second(text("x-ratelimit-reset")?.parse().ok()?).ok()?;
    Some(Duration::try_from(reset.duration_since(now)).unwrap_or_default())
}

/// What it says of itself.
async fn words(response: Response) -> String {
    let message = read(response).await.unwrap_or_default()["message"].take();
    message.as_str().unwrap_or_default().chars().take(MOST_WORDS).collect()
}

async fn read(mut response: Response) -> Result<Value, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Failure::Unavailable(format!("answered more than {MAX_ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body).map_err(|_| Failure::Unavailable("answered no JSON".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause_of(lines: &[(&'static str, &str)]) -> Option<Duration> {
        let lines = lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        pause(&HeaderMap::from_iter(lines), Timestamp::from_second(1_000).unwrap())
    }

    #[test]
    fn a_pause_is_what_the_provider_says() {
        assert_eq!(pause_of(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        let used_up = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1060")];
        assert_eq!(pause_of(&used_up), Some(Duration::from_secs(60)));
        assert_eq!(pause_of(&[("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "1060")]), None);
        assert_eq!(
            pause_of(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "900")]),
            Some(Duration::ZERO)
        );
        assert_eq!(pause_of(&[]), None);
    }
}
