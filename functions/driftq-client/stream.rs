//! A consume call: the response begins with the first message, and its body does not end.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use reqwest::{RequestBuilder, Response};
use tokio::time::Instant;

use super::{
    error::Error,
    ndjson::{Lines, TooLong},
    wire::Line,
};

/// The longest line. A newer broker takes values of 4 MiB, and JSON escapes one byte as at most six.
const MAX_LINE: usize = 25 * 1024 * 1024;

/// What a stream reads, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The topic; it must exist.
    pub topic: String,
    /// The consumer group. A new one starts at the first message; the broker creates it.
    pub group: String,
    /// The owner name, a new one for every stream: unacked messages of an owner that reconnects under its old name
    /// wait for their whole lease; those of a missing owner come back after 2 s.
    pub owner: String,
    /// How long a message may stay unacked before it is delivered again, even to the stream that works on it.
    pub lease: Duration,
}

/// A message received on a [`Stream`].
#[non_exhaustive]
pub struct Delivery {
    /// The partition it came from.
    pub partition: u32,
    /// Its offset: ascending in a partition, with gaps where the partitions of a topic share one counter (older brokers).
    pub offset: u64,
    /// How often it has been delivered, this time included. A restart of the broker resets it to 1.
    pub attempts: u32,
    /// Its key; empty if it has none.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Why it was delivered again, in the broker's words; empty the first time.
    pub last_error: String,
    /// Needed to ack it.
    pub token: AckToken,
}

/// The right to ack one message while its stream is open. It can't be cloned or constructed.
#[derive(Debug)]
#[must_use = "a message that is not acked is delivered again"]
pub struct AckToken {
    pub(super) stream: Weak<Subscription>,
    pub(super) partition: u32,
    pub(super) offset: u64,
    /// Whether the message had been delivered before.
    pub(super) is_redelivery: bool,
}

/// The messages of a [`Subscription`]. Dropping it closes the connection and ends its tokens, so keep it until the last ack.
pub struct Stream {
    state: State,
    lines: Lines,
    opened_at: Option<Instant>,
}

type Opening = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;

/// Only a stream that has not ended keeps the subscription alive. A token checks whether it is still alive.
enum State {
    Opening(Arc<Subscription>, Opening),
    Open(Arc<Subscription>, Response),
    Ended,
}

impl Stream {
    pub(super) fn new(subscription: Subscription, request: RequestBuilder) -> Self {
        // The request is one future that the stream owns, so that dropping a `next` halfway does not drop the connection.
        let opening = Box::pin(async move {
            let response = request.send().await.map_err(Error::transport)?;
            if response.status().is_success() { Ok(response) } else { Err(Error::refusal(response).await) }
        });
        Self {
            state: State::Opening(Arc::new(subscription), opening),
            lines: Lines::new(MAX_LINE),
            opened_at: None,
        }
    }

    /// When the response's headers arrived, usually with the first message. `None` until then.
    #[must_use]
    pub fn opened_at(&self) -> Option<Instant> {
        self.opened_at
    }

    /// Waits for the next message, without a time limit: an empty topic is silent. The request is sent by the first call.
    /// Cancel-safe: the future can be dropped and the method called again without losing a message.
    ///
    /// `None`: the broker closed the stream properly. After that, or after an error, the stream and its tokens have ended.
    ///
    /// # Errors
    /// Opening: [`Error::TopicMissing`] and those of any request. Later: [`Error::Interrupted`], and
    /// [`Error::Malformed`] or [`Error::LineTooLong`] for a line that can't be read. Such a line ends the stream on purpose:
    /// its offset is unknown, so an ack of a later message could lose it.
    pub async fn next(&mut self) -> Result<Option<Delivery>, Error> {
        let next = self.advance().await;
        if !matches!(next, Ok(Some(_))) {
            self.state = State::Ended;
        }
        next
    }

    async fn advance(&mut self) -> Result<Option<Delivery>, Error> {
        loop {
            match &mut self.state {
                State::Opening(subscription, opening) => {
                    let response = opening.await?;
                    self.opened_at = Some(Instant::now());
                    self.state = State::Open(Arc::clone(subscription), response);
                }
                State::Open(subscription, response) => {
                    match self.lines.next() {
                        Ok(Some(line)) => return delivery(subscription, &line).map(Some),
                        Ok(None) => {}
                        Err(TooLong) => return Err(Error::LineTooLong { limit: MAX_LINE }),
                    }
                    match response.chunk().await.map_err(Error::transport)? {
                        Some(chunk) => self.lines.push(&chunk),
                        None if self.lines.is_mid_line() => return Err(Error::Interrupted(None)),
                        None => return Ok(None),
                    }
                }
                State::Ended => return Ok(None),
            }
        }
    }
}

fn delivery(subscription: &Arc<Subscription>, line: &Bytes) -> Result<Delivery, Error> {
    let line: Line = serde_json::from_slice(line).map_err(|error| Error::malformed("line", error, line))?;
    let Line { partition, offset, attempts, .. } = line;
    let [key, value, last_error] = line.texts();
    let attempts = attempts.unwrap_or(1);
    let is_redelivery = attempts > 1;
    let token = AckToken { stream: Arc::downgrade(subscription), partition, offset, is_redelivery };
    Ok(Delivery { partition, offset, attempts, key, value, last_error, token })
}

/// Names the topic and the offset, not the message: messages don't belong in a log.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("attempts", &self.attempts)
            .field("bytes", &self.value.len())
            .field("last_error", &self.last_error)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subscription = match &self.state {
            State::Opening(subscription, _) | State::Open(subscription, _) => Some(subscription),
            State::Ended => None,
        };
        f.debug_struct("Stream")
            .field("subscription", &subscription)
            .field("opened_at", &self.opened_at)
            .finish_non_exhaustive()
    }
}
