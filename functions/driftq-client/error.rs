//! Errors of broker calls, by what a caller can do about them.

use std::{borrow::Cow, error::Error as _, time::Duration};

use reqwest::{Response, StatusCode, header::RETRY_AFTER};

use super::wire::Refusal;

/// At most this much of an error's body is read.
const MAX_REFUSAL: usize = 8 * 1024;
/// At most this much of an error's text is shown.
const MAX_TEXT: usize = 200;

/// Why a call to the broker failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The topic does not exist, or does not exist any more: create it and try again.
    #[error("the broker has no such topic; create it and try again")]
    TopicMissing,
    /// The partition is full until some of its messages are acked.
    #[error("the partition is full: {message}")]
    Full {
        /// The broker's words.
        message: String,
        /// Its `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// Not sent, because it would not fit into an empty partition.
    #[error("key and value have {bytes} bytes, and a partition holds at most {max}")]
    TooLarge {
        /// Key and value together.
        bytes: usize,
        /// The broker's limit.
        max: usize,
    },
    /// The message has since been delivered to another owner.
    #[error("the message now belongs to another owner")]
    NotOwner,
    /// A lower message of the partition is in flight on another stream, or not in flight: wait and repeat.
    #[error("a lower message of the partition is in flight elsewhere: {message}")]
    HeldElsewhere {
        /// The broker's words.
        message: String,
    },
    /// This version of the broker does not have the endpoint.
    #[error("the broker does not have this call")]
    Unsupported,
    /// Any other refusal: repeating the request does not help.
    #[error("the broker refused ({status}): {message}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The broker's words, or a proxy's: one short line.
        message: String,
    },
    /// The broker or a proxy in front of it answered 5xx.
    #[error("the broker is in trouble ({status}): {message}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// The broker's words, or a proxy's: one short line.
        message: String,
    },
    /// No connection could be made. Nothing was sent.
    #[error("the broker at {} can't be reached: {}", place(.0), root_cause(.0))]
    Unreachable(#[source] reqwest::Error),
    /// No answer in time. The request may have been applied.
    #[error("the broker gave no answer in time")]
    TimedOut,
    /// The connection broke. A request may have been applied; a stream's unacked messages will come back.
    #[error("the connection to the broker broke: {}", .0.as_ref().map_or("the stream ended inside a line".into(), root_cause))]
    Interrupted(#[source] Option<reqwest::Error>),
    /// An answer or a line that can't be read: not a broker, or another version.
    #[error("the broker's {what} makes no sense ({problem}): {excerpt}")]
    Malformed {
        /// Which answer.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
        /// How it begins: one short line.
        excerpt: String,
    },
    /// A line longer than that of the longest message.
    #[error("the broker sent a line of over {limit} bytes")]
    LineTooLong {
        /// The limit.
        limit: usize,
    },
}

/// Why a client can't be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// The broker's URL can't be used.
    #[error("the broker's URL {0}; write it like http://broker.example:8080, with or without /v1")]
    Url(Cow<'static, str>),
    /// The authorisation can't be sent as a header.
    #[error(
        "the broker's authorisation is not a legal header; write the value of Authorization, or `Name: value`"
    )]
    Auth,
}

impl Error {
    /// Whether the topic has to be created.
    #[must_use]
    pub fn is_topic_missing(&self) -> bool {
        matches!(self, Self::TopicMissing)
    }

    /// Whether there was no answer from a broker: the request may have been applied, and may be sent
    /// again.
    #[must_use]
    pub fn is_no_answer(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::Unreachable(_)
                | Self::TimedOut
                | Self::Interrupted(_)
                | Self::Malformed { .. }
                | Self::Full { .. }
        )
    }

    /// The meaning of a refused ack.
    pub(super) fn of_ack(self) -> Self {
        match self {
            Self::Rejected { status: 409, .. } => Self::NotOwner,
            other => other,
        }
    }

    /// The meaning of a refused cumulative ack.
    pub(super) fn of_ack_through(self) -> Self {
        match self {
            Self::Rejected { status: 404 | 405, .. } => Self::Unsupported,
            Self::Rejected { status: 400 | 409, message } => Self::HeldElsewhere { message },
            other => other,
        }
    }

    /// Why no answer came.
    pub(super) fn transport(error: reqwest::Error) -> Self {
        if error.is_connect() {
            Self::Unreachable(error)
        } else if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Interrupted(Some(error))
        }
    }

    /// The meaning of a status other than success. A proxy may answer for the broker, so the body may be anything.
    pub(super) async fn refusal(response: Response) -> Self {
        let status = response.status();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        // The status says enough if the body breaks off.
        let body = read(response, MAX_REFUSAL).await.unwrap_or_default();
        let refusal = Refusal::read(&body);
        let message = excerpt(refusal.message.as_deref().map_or(&body, str::as_bytes));
        if status.is_client_error() && is_topic_missing(&message) {
            return Self::TopicMissing;
        }
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                let asked = seconds.map(|seconds: u32| Duration::from_secs(seconds.into()));
                Self::Full { message, retry_after: asked.or(refusal.retry_after) }
            }
            status if status.is_server_error() => Self::Unavailable { status: status.as_u16(), message },
            status => Self::Rejected { status: status.as_u16(), message },
        }
    }

    pub(super) fn malformed(what: &'static str, problem: impl ToString, body: &[u8]) -> Self {
        Self::Malformed { what, problem: problem.to_string(), excerpt: excerpt(body) }
    }
}

/// Whether the text says that the topic is missing. Older brokers answer the first text to a produce and a
/// consume, newer ones the second to a consume.
fn is_topic_missing(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["topic does not exist", "topic not found"].iter().any(|text| message.contains(text))
}

/// Reads up to `limit` bytes of a body; the rest is left.
pub(super) async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while body.len() < limit {
        let Some(chunk) = response.chunk().await.map_err(Error::transport)? else { break };
        body.extend_from_slice(&chunk);
    }
    body.truncate(limit);
    Ok(body)
}

/// An excerpt of a body for people: its text on one short line, without markup if it is HTML.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let is_page = text.trim_start().starts_with('<');
    let mut in_tag = false;
    let plain: String = text
        .chars()
        .map(|c| {
            let was_in_tag = in_tag;
            in_tag = is_page && (c == '<' || in_tag && c != '>');
            if in_tag || was_in_tag || c.is_control() { ' ' } else { c }
        })
        .collect();
    let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "(nothing)".to_owned() } else { line.chars().take(MAX_TEXT).collect() }
}

fn place(error: &reqwest::Error) -> String {
    error.url().map_or_else(|| "its URL".to_owned(), |url| url.origin().ascii_serialization())
}

/// reqwest's own text is "error sending request"; the useful cause is at the end of the chain.
fn root_cause(error: &reqwest::Error) -> Cow<'static, str> {
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(|cause| cause.source()) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| error.to_string(), ToString::to_string).into()
}
