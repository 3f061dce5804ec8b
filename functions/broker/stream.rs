//! A consume call: a request that is answered when there is something to say, and a body that goes on and on.

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

/// No command of ours makes a longer line: [`crate::command`] keeps them far below. Other producers on a newer broker can
/// send values of 4 MiB, and JSON makes at most six bytes of one.
const MAX_LINE: usize = 25 * 1024 * 1024;

/// Whose messages a stream gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The topic; it must exist.
    pub topic: String,
    /// The group: one reading of the topic from its first message on. The broker makes it as needed.
    pub group: String,
    /// Who reads. A name of its own for every stream: the messages of an owner that comes back under its old name
    /// wait out their whole lease, those of one that is gone come back after 2 s.
    pub owner: String,
    /// How long a message may stay unacked before it is delivered again, even to the stream that works on it.
    pub lease: Duration,
}

/// A message on its way through a [`Stream`].
pub struct Delivery {
    /// The partition it came from.
    pub partition: u32,
    /// Its offset: ascending in a partition, with gaps where a topic's partitions share one count (older brokers).
    pub offset: u64,
    /// How often it has been delivered, this time included, as far as the broker remembers: a restart starts at 1 again.
    pub attempts: u32,
    /// Its key; empty if it has none.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Why it was delivered again, in the broker's words; empty the first time.
    pub last_error: String,
    /// What acks it.
    pub token: AckToken,
}

/// The right to ack one message, as long as its stream is open. Neither cloned nor made by hand.
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

/// The subscription is kept alive by the stream that is open and by nobody else: that is how a token knows.
enum State {
    Opening(Arc<Subscription>, Opening),
    Open(Arc<Subscription>, Response),
    Ended,
}

impl Stream {
    pub(super) fn new(subscription: Subscription, request: RequestBuilder) -> Self {
        // Kept in one piece, so that a `next` that is dropped halfway does not drop the connection.
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

    /// When the response's headers arrived: with the first message, as a rule. `None` until then.
    #[must_use]
    pub fn opened_at(&self) -> Option<Instant> {
        self.opened_at
    }

    /// Waits for the next message, for ever if need be: nothing is sent before the first call, and an empty topic is
    /// silent. Cancel-safe: dropped and called again, it goes on where it was, and no message is lost between.
    ///
    /// `None` is the broker's orderly end. After that or an error the stream is over, and so are its tokens.
    ///
    /// # Errors
    /// Opening: [`Error::TopicMissing`] and whatever a request can meet. Later: [`Error::Interrupted`], and
    /// [`Error::Malformed`] or [`Error::LineTooLong`] for a line that can't be read. Such a line ends the stream on purpose.
    /// It can't be acked, and its place is unknown, so acking anything behind it could be the end of it.
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

/// Names the topic and the place, not the message: what is in a queue does not belong in a log.
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
