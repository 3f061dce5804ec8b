//! Lambda's API for the asynchronous `Invoke` of one function
//! (<https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>), behind a fault proxy.
//!
//! It answers 202 and runs the function afterwards. Concurrency is limited to the function's reserved concurrency; other events wait, and those that
//! wait too long are dropped (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>). Lambda itself retries after a
//! pause, and so somewhat later than this server.

pub(crate) mod sigv4;

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{Request, State},
};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{
    sync::{broadcast, mpsc},
    task::JoinHandle,
};

use crate::{
    http::Answer,
    proxy::FaultProxy,
    runtime_api::{Function, InvokeError},
    server::{ANY_PORT, Server},
};
use sigv4::Received;

/// `MaximumEventAgeInSeconds` of the template.
const MAX_AGE: Duration = Duration::from_secs(60);
/// The function's timeout here.
const LIMIT: Duration = Duration::from_secs(120);
/// Lambda's limit for an asynchronous event.
const MAX_EVENT: usize = 1 << 20;

/// A running Lambda API.
#[derive(Debug)]
pub struct LambdaApi {
    /// The fault proxy between it and the functions.
    pub proxy: FaultProxy,
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    server: Server,
}

#[derive(Debug)]
struct Shared {
    function: String,
    secret: Option<String>,
    /// The host names by which it is called: its own, and the proxy's.
    hosts: OnceLock<Vec<String>>,
    events: mpsc::UnboundedSender<Event>,
    accepted: Mutex<Vec<Accepted>>,
    ends: broadcast::Sender<Result<Value, InvokeError>>,
}

#[derive(Debug)]
struct Event {
    payload: Bytes,
    since: Instant,
}

/// An invocation that was answered 202.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// When it was received.
    pub at: Timestamp,
    /// The event.
    pub event: Value,
    /// `X-Amz-Security-Token`.
    pub session_token: Option<String>,
}

impl LambdaApi {
    /// Starts it in front of a function, with this concurrency. Requests must be signed with the secret access key `secret`; without one,
    /// signatures are not checked.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(function: &Function, concurrency: usize, secret: Option<String>) -> Result<Self> {
        let (events, queue) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            function: function.name().to_owned(),
            secret,
            hosts: OnceLock::new(),
            events,
            accepted: Mutex::default(),
            ends: broadcast::channel(64).0,
        });
        let router = Router::new().fallback(handle).with_state(shared.clone());
        let server = Server::start(ANY_PORT, router).await.context("the Lambda API")?;
        let proxy = FaultProxy::start(&server.url()).await?;
        let hosts = [server.url(), proxy.url()].map(|url| url.trim_start_matches("http://").to_owned());
        shared.hosts.get_or_init(|| hosts.into());
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        let worker = |_| tokio::spawn(work(function.clone(), queue.clone(), shared.ends.clone()));
        let workers = (0..concurrency.max(1)).map(worker).collect();
        Ok(Self { proxy, shared, workers, server })
    }

    /// The base URL: its own if `direct`, otherwise the proxy's.
    #[must_use]
    pub fn url(&self, direct: bool) -> String {
        if direct { self.server.url() } else { self.proxy.url() }
    }

    /// The invocations accepted so far.
    #[must_use]
    pub fn accepted(&self) -> Vec<Accepted> {
        self.shared.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Subscribes to the results of invocations.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Result<Value, InvokeError>> {
        self.shared.ends.subscribe()
    }
}

impl Drop for LambdaApi {
    fn drop(&mut self) {
        self.workers.iter().for_each(JoinHandle::abort);
    }
}

type Queue = Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>>;

/// Works on one event after the other.
async fn work(function: Function, queue: Queue, ends: broadcast::Sender<Result<Value, InvokeError>>) {
    loop {
        let Some(event) = queue.lock().await.recv().await else { return };
        if event.since.elapsed() > MAX_AGE {
            continue;
        }
        // Err: there are no subscribers.
        let _ = ends.send(function.invoke_bytes(event.payload, LIMIT).await);
    }
}

async fn handle(State(api): State<Arc<Shared>>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_EVENT).await else {
        return failure(413, "RequestTooLargeException", "the event is over 1 MB");
    };
    let received = Received { method: &parts.method, uri: &parts.uri, headers: &parts.headers, body: &body };
    let hosts = api.hosts.get().map(Vec::as_slice).unwrap_or_default();
    if let Some(secret) = &api.secret
        && let Err(why) = sigv4::check(received, secret, "lambda", hosts, Timestamp::now())
    {
        return failure(403, "InvalidSignatureException", &why);
    }
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let name = parts.uri.path().strip_prefix("/2015-03-31/functions/");
    let name =
        name.and_then(|rest| rest.strip_suffix("/invocations")).unwrap_or_default().replace("%3A", ":");
    if parts.method != "POST" || name.rsplit(':').next() != Some(&api.function) {
        return failure(404, "ResourceNotFoundException", &format!("Function not found: {name}"));
    }
    if header("x-amz-invocation-type") != Some("Event") {
        return failure(400, "InvalidParameterValueException", "only Event is known here");
    }
    let Ok(event) = serde_json::from_slice(&body) else {
        return failure(400, "InvalidRequestContentException", "the event is not JSON");
    };
    let session_token = header("x-amz-security-token").map(str::to_owned);
    let accepted = Accepted { at: Timestamp::now(), event, session_token };
    api.accepted.lock().unwrap_or_else(PoisonError::into_inner).push(accepted);
    // Its workers end with it.
    let _ = api.events.send(Event { payload: body, since: Instant::now() });
    Answer::status(202)
}

/// An error in Lambda's format.
#[must_use]
pub fn failure(status: u16, kind: &str, message: &str) -> Answer {
    Answer::of_json(status, &json!({ "Type": "User", "message": message })).with("x-amzn-errortype", kind)
}
