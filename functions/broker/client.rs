//! One method for each call. Calls are plain: no retries, no background work; a timeout covers a call from its connection
//! to the last byte of its answer.

use std::{collections::BTreeMap, fmt, marker::PhantomData, time::Duration};

use reqwest::{
    Method, RequestBuilder, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::{
    address::Address,
    error::{self, Error, Invalid},
    metrics,
    stream::{AckToken, Stream, Subscription},
    wire,
};

/// The most bytes of key and value together that an empty partition takes (transcript 13: 65,535 pass, 65,536 never do).
pub const MAX_VALUE: usize = 65_535;

/// How many unacked messages of a partition a group is dealt at most, all its streams together (transcript 04).
pub const MAX_IN_FLIGHT: u64 = 2;

/// More of an answer than this is not read. The longest are the list of topics and the metrics.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// A DriftQ broker. Cloning it is cheap, and clones share their connections.
///
/// `Proof` is what the application accepts as evidence that a message may leave the queue. The client only asks that one
/// is handed over; make it a type that cannot be had in any other way than by settling the message.
pub struct Client<Proof> {
    http: reqwest::Client,
    address: Address,
    auth: HeaderMap,
    proof: PhantomData<fn(Proof)>,
}

/// A message to enqueue.
#[derive(Debug, Clone, Copy)]
pub struct Produce<'a> {
    /// The topic; it must exist.
    pub topic: &'a str,
    /// Chooses the partition: messages of one key stay in one. Without a key it is partition 0.
    pub key: &'a str,
    /// Any text but none.
    pub value: &'a str,
    /// Shown to whoever looks at the broker; may be empty.
    pub run_id: &'a str,
    /// Shown to whoever looks at the broker; may be empty.
    pub step_id: &'a str,
}

/// What an ack came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acked {
    /// The message has left the queue.
    Done,
    /// It is not this stream's to ack any more: acked before, its lease is over, or the stream is (then nothing was sent).
    Gone,
}

impl<Proof> Client<Proof> {
    /// A client for the broker at `address`. `auth`, for a proxy in front, is the value of the Authorization header
    /// (`Bearer …`), or another header in the form `Name: value`.
    ///
    /// `http` should have a connect timeout, and none for whole requests or reads, which an idle stream would run into; it
    /// should follow no redirects, which turn a POST into a GET.
    ///
    /// # Errors
    /// [`Invalid::Auth`], saying what to write instead.
    pub fn new(http: reqwest::Client, address: Address, auth: Option<&str>) -> Result<Self, Invalid> {
        Ok(Self { http, address, auth: auth_header(auth)?, proof: PhantomData })
    }

    /// Where the broker listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The names of the topics. Also tells whether the broker answers at all.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn topics(&self, timeout: Duration) -> Result<Vec<String>, Error> {
        let response = self.request(Method::GET, "topics").timeout(timeout).send().await;
        let response = accepted(response.map_err(Error::transport)?).await?;
        let body = error::read(response, MAX_ANSWER).await?;
        let topics: wire::Topics = serde_json::from_slice(&body)
            .map_err(|error| Error::malformed("list of topics", error, &body))?;
        Ok(topics.names())
    }

    /// Creates a topic unless it exists. One that exists keeps its partition count, whatever is asked for (transcript 01).
    /// Some versions answer 409 then, and this is as good.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ensure_topic(&self, topic: &str, partitions: u32, timeout: Duration) -> Result<(), Error> {
        match self.post("topics", &wire::CreateTopic { name: topic, partitions }, timeout).await {
            Err(Error::Rejected { status: 409, .. }) => Ok(()),
            done => done,
        }
    }

    /// Enqueues a message. May be called again whatever the error: a message that was taken in after all is then there twice.
    ///
    /// # Errors
    /// [`Error::TooLarge`] before anything is sent, [`Error::Full`], [`Error::TopicMissing`]; and the others.
    pub async fn produce(&self, message: Produce<'_>, timeout: Duration) -> Result<(), Error> {
        let Produce { topic, key, value, run_id, step_id } = message;
        let bytes = key.len() + value.len();
        if bytes > MAX_VALUE {
            return Err(Error::TooLarge { bytes });
        }
        let envelope = wire::Envelope { run_id, step_id };
        self.post("produce", &wire::Message { topic, key, value, envelope }, timeout).await
    }

    /// Opens a stream; the request goes out with the first [`Stream::next`].
    pub fn consume(&self, subscription: Subscription) -> Stream {
        let Subscription { topic, group, owner, lease } = &subscription;
        let lease = lease.as_millis().to_string();
        let query = [("topic", topic), ("group", group), ("owner", owner), ("lease_ms", &lease)];
        let mut url = self.url("consume");
        url.query_pairs_mut().extend_pairs(query);
        let request = self.http.get(url).headers(self.auth.clone());
        Stream::new(subscription, request)
    }

    /// Acks a message, against proof that it may go. Once its stream is over, nothing is sent: the message comes back on
    /// another stream, and an ack from outside that stream's order could take lower offsets along.
    ///
    /// # Errors
    /// [`Error::NotOwner`], and the others. The message comes back, unless the ack was carried out all the same.
    pub async fn ack(&self, token: AckToken, proof: Proof, timeout: Duration) -> Result<Acked, Error> {
        drop(proof);
        let AckToken { stream, partition, offset } = token;
        let Some(stream) = stream.upgrade() else { return Ok(Acked::Gone) };
        let Subscription { topic, group, owner, .. } = &*stream;
        match self.post("ack", &wire::Ack { topic, group, owner, partition, offset }, timeout).await {
            Ok(()) => Ok(Acked::Done),
            Err(Error::Rejected { status: 409, .. }) => Err(Error::NotOwner),
            Err(Error::Rejected { status: 400, message }) if is_gone(&message) => Ok(Acked::Gone),
            Err(error) => Err(error),
        }
    }

    /// How many messages of each partition the group has been dealt and has not acked, by whatever stream. A partition that
    /// is missing is not known.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn in_flight(
        &self,
        topic: &str,
        group: &str,
        timeout: Duration,
    ) -> Result<BTreeMap<u32, u64>, Error> {
        // Beside /v1/, not in it.
        let response = self.request(Method::GET, "../metrics").timeout(timeout).send().await;
        let response = accepted(response.map_err(Error::transport)?).await?;
        let body = error::read(response, MAX_ANSWER).await?;
        Ok(metrics::in_flight(&String::from_utf8_lossy(&body), topic, group))
    }

    /// Only an answer that a broker could have given counts: a proxy's page with status 200 has not enqueued anything.
    async fn post(&self, path: &str, body: &impl Serialize, timeout: Duration) -> Result<(), Error> {
        // Structs of strings and numbers: this does not fail.
        let body = serde_json::to_vec(body).unwrap_or_default();
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/json").body(body);
        let response = request.timeout(timeout).send().await.map_err(Error::transport)?;
        let response = accepted(response).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(());
        }
        let body = error::read(response, MAX_ANSWER).await?;
        match serde_json::from_slice::<Value>(&body) {
            Ok(Value::Object(_)) => Ok(()),
            Ok(_) => Err(Error::malformed("answer", "not a JSON object", &body)),
            Err(error) => Err(Error::malformed("answer", error, &body)),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path)).headers(self.auth.clone())
    }

    fn url(&self, path: &str) -> Url {
        let base = self.address.base();
        let mut url = base.clone();
        url.set_path(&format!("{}{path}", base.path()));
        url
    }
}

async fn accepted(response: Response) -> Result<Response, Error> {
    if response.status().is_success() { Ok(response) } else { Err(Error::refusal(response).await) }
}

/// "message is not in-flight" (transcript 05), "idempotency: lease lost or expired" (transcript 17).
fn is_gone(message: &str) -> bool {
    ["not in-flight", "lease lost"].iter().any(|text| message.contains(text))
}

fn auth_header(auth: Option<&str>) -> Result<HeaderMap, Invalid> {
    let Some(auth) = auth.map(str::trim) else { return Ok(HeaderMap::new()) };
    let named =
        auth.split_once(':').and_then(|(name, value)| Some((name.parse::<HeaderName>().ok()?, value)));
    let (name, value) = named.unwrap_or((AUTHORIZATION, auth));
    let mut value = HeaderValue::from_str(value.trim()).map_err(|_| Invalid::Auth)?;
    if value.is_empty() {
        return Err(Invalid::Auth);
    }
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(name, value)]))
}

// By hand: a derive would ask for `Proof: Clone` and `Proof: Debug`.
impl<Proof> Clone for Client<Proof> {
    fn clone(&self) -> Self {
        let Self { http, address, auth, proof } = self;
        Self { http: http.clone(), address: address.clone(), auth: auth.clone(), proof: *proof }
    }
}

impl<Proof> fmt::Debug for Client<Proof> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The header's value is marked sensitive, and prints as that word.
        f.debug_struct("Client")
            .field("address", &self.address)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}
