//! One request to a provider's API: bounded in time and size, without redirects, and with its failures classified.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, header};
use jiff::Timestamp;
use reqwest::Response;
use serde_json::Value;
use url::Url;

use crate::outcome::{NotApplied, of_error, parse_retry_after};

/// Time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Size limit of a response: a page of events has some hundred kilobytes.
const MAX_ANSWER: usize = 8 * 1024 * 1024;
/// Characters that are kept of an error message.
const MOST_WORDS: usize = 200;
/// GitHub requires it (<https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api#user-agent>).
const USER_AGENT: &str = concat!("driftq-webhooks/", env!("CARGO_PKG_VERSION"));

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Too many requests were made.
    #[error("answered {status}: too many requests")]
    Limited {
        /// The status.
        status: u16,
        /// The pause that the provider asks for, if any.
        pause: Option<Duration>,
    },
    /// The requested object does not exist, is too old, or does not support the operation.
    #[error("answered {status}: it does not have what was asked for{}", told(why))]
    Gone {
        /// The status.
        status: u16,
        /// The provider's message, if it is short.
        why: String,
    },
    /// The key or the request was rejected.
    #[error("{0}")]
    Refused(String),
    /// It can't be reached, or has a server failure.
    #[error("{0}")]
    Unavailable(String),
}

fn told(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" ({why})") }
}

/// A successful response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    /// The body; null if there is none.
    pub(super) json: Value,
}

/// A provider's API.
#[derive(Debug)]
pub(super) struct Api<'a> {
    client: reqwest::Client,
    base: &'a Url,
    authorization: HeaderValue,
}

/// A request being built.
#[derive(Debug, Default)]
pub(super) struct Request<'a> {
    pub(super) query: Vec<(&'a str, String)>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
}

impl<'a> Api<'a> {
    /// Uses this bearer token; none if it can't be used in a header.
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

/// There was no response, or only a part of it. URL and headers are left out.
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

/// `Retry-After`; or, if a rate limit is used up, the time until it is reset, as GitHub documents
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

/// The provider's error message.
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
