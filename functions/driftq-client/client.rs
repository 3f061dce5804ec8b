//! The client: one method for each endpoint. No retries and no background work. A timeout covers the whole call, from
//! connecting to the last byte of the answer.

use std::{
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::{
    Method, RequestBuilder, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::OnceCell;
use url::Url;

use super::{
    address::Address,
    error::{self, Error, Invalid},
    limits::Limits,
    metrics,
    stream::{AckToken, Stream, Subscription},
    wire,
};

/// The most bytes of key and value together that every DriftQ takes into an empty partition. Newer ones take more, and
/// say how much: see [`Client::limits`].
pub const MAX_VALUE: usize = 65_535;

/// At most this much of an answer is read. The longest answers are the list of topics and the metrics.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// A DriftQ broker. Cloning it is cheap, and clones share their connections.
///
/// `Proof` is the application's evidence that a message may leave the queue. The client only requires that one is passed by
/// value; make it a type that only settling a message can create.
pub struct Client<Proof> {
    http: reqwest::Client,
    address: Address,
    auth: HeaderMap,
    /// The result of [`Client::limits_once`].
    limits: Arc<OnceCell<Limits>>,
    acks_singly: Arc<AtomicBool>,
    proof: PhantomData<fn(Proof)>,
}

/// A message to enqueue.
#[derive(Debug, Clone, Copy)]
pub struct Produce<'a> {
    /// The topic; it must exist.
    pub topic: &'a str,
    /// Chooses the partition: messages of one key stay in one. Without a key it is partition 0.
    pub key: &'a str,
    /// Any text that is not empty.
    pub value: &'a str,
    /// Shown to those who look at the broker; may be empty.
    pub run_id: &'a str,
    /// Shown to those who look at the broker; may be empty.
    pub step_id: &'a str,
}

/// The result of an ack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acked {
    /// The message has left the queue.
    Done,
    /// This stream can't ack the message any more: it was acked before, its lease has expired, or the stream has ended
    /// (then nothing was sent).
    Gone,
}

/// A failed ack, with the tokens and proofs to repeat it.
#[derive(Debug)]
pub struct Unacked<Proof> {
    /// What went wrong.
    pub error: Error,
    /// The messages, in the order in which they were given.
    pub messages: Vec<(AckToken, Proof)>,
}

impl<Proof> Client<Proof> {
    /// A client for the broker at `address`. `auth`, for a proxy in front, is the value of the Authorization header
    /// (`Bearer …`), or another header in the form `Name: value`.
    ///
    /// `http` should have a connect timeout, but no timeout for whole requests or reads, since an idle stream would exceed
    /// it. It should not follow redirects, which turn a POST into a GET.
    ///
    /// # Errors
    /// [`Invalid::Auth`], saying what to write instead.
    pub fn new(http: reqwest::Client, address: Address, auth: Option<&str>) -> Result<Self, Invalid> {
        let (auth, limits, acks_singly) = (auth_header(auth)?, Arc::default(), Arc::default());
        Ok(Self { http, address, auth, limits, acks_singly, proof: PhantomData })
    }

    /// Where the broker listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The limits that this broker reports; none if it has no `GET /v1/config`. Ask on each stream: the broker may
    /// have been restarted with other limits.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn limits(&self, timeout: Duration) -> Result<Limits, Error> {
        let response = self.request(Method::GET, "config").timeout(timeout).send().await;
        let response = response.map_err(Error::transport)?;
        if is_missing(response.status()) {
            return Ok(Limits::default());
        }
        let body = error::read(accepted(response).await?, MAX_ANSWER).await?;
        Limits::read(&body).map_err(|problem| Error::malformed("configuration", problem, &body))
    }

    /// As [`Client::limits`], but asked once per process: for uses where an outdated limit only causes a refusal.
    ///
    /// # Errors
    /// See [`Error`]; the next call asks again.
    pub async fn limits_once(&self, timeout: Duration) -> Result<Limits, Error> {
        self.limits.get_or_try_init(|| self.limits(timeout)).await.copied()
    }

    /// The names of the topics. Also a check that the broker answers.
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

    /// Creates a topic if it is missing. An existing one keeps its partition count: older brokers answer 201 for it, newer
    /// ones 400 `topic already exists`. Both count as success, also when several clients create the topic at once.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ensure_topic(&self, topic: &str, partitions: u32, timeout: Duration) -> Result<(), Error> {
        match self.post("topics", &wire::CreateTopic { name: topic, partitions }, timeout).await {
            Err(Error::Rejected { status: 409, .. }) => Ok(()),
            Err(Error::Rejected { status: 400, message }) if says(&message, &["already exists"]) => Ok(()),
            done => done,
        }
    }

    /// Enqueues a message. The call may be repeated after any error; if the first request was accepted after all, there are two
    /// messages.
    ///
    /// # Errors
    /// [`Error::TooLarge`] before anything is sent, [`Error::Full`], [`Error::TopicMissing`]; and the others.
    pub async fn produce(&self, message: Produce<'_>, timeout: Duration) -> Result<(), Error> {
        let Produce { topic, key, value, run_id, step_id } = message;
        let (bytes, max) = (key.len() + value.len(), self.max_value());
        if bytes > max {
            return Err(Error::TooLarge { bytes, max });
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

    /// The most bytes of key and value together that this broker accepts, as far as known.
    fn max_value(&self) -> usize {
        self.limits.get().and_then(|limits| limits.max_value).unwrap_or(MAX_VALUE)
    }

    /// Acks a message, given the proof that it is settled. After its stream has ended nothing is sent: the message comes back
    /// on another stream, and an ack outside that stream's order could also ack lower offsets.
    ///
    /// # Errors
    /// [`Error::NotOwner`] and others, with the token and the proof to repeat it. Without an answer the ack may
    /// have been applied; then repeating it gives [`Acked::Gone`].
    pub async fn ack(
        &self,
        token: AckToken,
        proof: Proof,
        timeout: Duration,
    ) -> Result<Acked, Unacked<Proof>> {
        let Some(stream) = token.stream.upgrade() else { return Ok(Acked::Gone) };
        match self.post("ack", &ack_body(&stream, &token), timeout).await {
            Ok(()) => Ok(Acked::Done),
            Err(Error::Rejected { status: 400, message }) if is_gone(&message) => Ok(Acked::Gone),
            Err(error) => Err(Unacked { error: error.of_ack(), messages: vec![(token, proof)] }),
        }
    }

    /// Acks messages of one partition in one request, given a proof for each, in ascending order. The broker
    /// refuses unless every offset from its commit up to the last one is in flight on this stream. So the ack never
    /// covers what another stream holds. It does cover messages that are on their way to this stream.
    ///
    /// It does not ack a message below the broker's commit (another client has acked a higher offset): that message would
    /// come back for ever. So redelivered messages are also acked one by one.
    ///
    /// # Errors
    /// [`Error::HeldElsewhere`]: wait and repeat. [`Error::Unsupported`]: this broker only acks one by one. And others.
    pub async fn ack_through(
        &self,
        messages: Vec<(AckToken, Proof)>,
        timeout: Duration,
    ) -> Result<Acked, Unacked<Proof>> {
        let Some((last, _)) = messages.last() else { return Ok(Acked::Gone) };
        let Some(stream) = last.stream.upgrade() else { return Ok(Acked::Gone) };
        match self.post("ack-cumulative", &ack_body(&stream, last), timeout).await {
            Ok(()) => self.ack_redeliveries(messages, timeout).await,
            Err(error) => {
                let error = error.of_ack_through();
                if matches!(error, Error::Unsupported) {
                    self.acks_singly.store(true, Ordering::Relaxed);
                }
                Err(Unacked { error, messages })
            }
        }
    }

    async fn ack_redeliveries(
        &self,
        messages: Vec<(AckToken, Proof)>,
        timeout: Duration,
    ) -> Result<Acked, Unacked<Proof>> {
        let mut left = messages.into_iter().filter(|(token, _)| token.is_redelivery);
        while let Some((token, proof)) = left.next() {
            match self.ack(token, proof, timeout).await {
                Ok(_) => {}
                Err(Unacked { error: Error::NotOwner, .. }) => {}
                Err(Unacked { error, mut messages }) => {
                    messages.extend(left);
                    return Err(Unacked { error, messages });
                }
            }
        }
        Ok(Acked::Done)
    }

    /// Whether the broker has refused [`Client::ack_through`] as unsupported.
    #[must_use]
    pub fn acks_singly(&self) -> bool {
        self.acks_singly.load(Ordering::Relaxed)
    }

    /// The number of messages in flight for the group, per partition, on all streams together. A partition that is not in
    /// the map is unknown.
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

    /// Checks that the answer is a broker's: a proxy's page with status 200 has not enqueued anything.
    async fn post(&self, path: &str, body: &impl Serialize, timeout: Duration) -> Result<(), Error> {
        let mut json = Vec::with_capacity(1024);
        // The bodies are structs of strings and numbers, so this does not fail.
        drop(serde_json::to_writer(&mut json, body));
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/json").body(json);
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

/// Whether the status means that this version of the broker does not have the endpoint.
fn is_missing(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
}

fn ack_body<'a>(stream: &'a Subscription, token: &AckToken) -> wire::Ack<'a> {
    let Subscription { topic, group, owner, .. } = stream;
    wire::Ack { topic, group, owner, partition: token.partition, offset: token.offset }
}

/// Whether the message can't be acked any more: "message is not in-flight", or "idempotency: lease lost or expired".
fn is_gone(message: &str) -> bool {
    says(message, &["not in-flight", "lease lost"])
}

fn says(message: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| message.contains(text))
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
        let Self { http, address, auth, limits, acks_singly, proof } = self;
        let (http, address, auth) = (http.clone(), address.clone(), auth.clone());
        Self { http, address, auth, limits: limits.clone(), acks_singly: acks_singly.clone(), proof: *proof }
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
