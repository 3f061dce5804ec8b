//! The HTTP side of a sandbox: the Runtime API (2018-06-01), and the part of the Extensions API (2020-01-01) that `lambda_runtime` needs to get a
//! SIGTERM: an extension that registers for no events and waits forever.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, State},
    http::{Response, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

/// Lambda's limit of a response.
const RESPONSE_LIMIT: usize = 6 << 20;

/// An invocation on its way to the process.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request_id: String,
    pub(super) deadline_ms: i64,
    pub(super) payload: Bytes,
    pub(super) reply: oneshot::Sender<Reply>,
}

/// The process's reply: a response, or the JSON of an error.
pub(super) type Reply = Result<Bytes, Value>;

/// The state of the process, as it has reported it.
#[derive(Debug)]
pub(super) struct Api {
    function: String,
    jobs: tokio::sync::Mutex<mpsc::UnboundedReceiver<Job>>,
    open: Mutex<Option<(String, oneshot::Sender<Reply>)>>,
    /// When it first polled, or why it never will.
    ready: watch::Sender<Option<Result<Instant, Value>>>,
}

impl Api {
    pub(super) fn new(function: &str, jobs: mpsc::UnboundedReceiver<Job>) -> Arc<Self> {
        Arc::new(Self {
            function: function.to_owned(),
            jobs: jobs.into(),
            open: Mutex::default(),
            ready: watch::channel(None).0,
        })
    }

    pub(super) fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .route("/2020-01-01/extension/register", post(register))
            .route("/2020-01-01/extension/event/next", get(std::future::pending::<()>))
            .layer(DefaultBodyLimit::max(RESPONSE_LIMIT))
            .with_state(self.clone())
    }

    /// Waits until the process polls, or reports why it never will.
    pub(super) async fn first_poll(&self) -> Option<Result<Instant, Value>> {
        let mut ready = self.ready.subscribe();
        let ready = ready.wait_for(Option::is_some).await.ok()?;
        (*ready).clone()
    }

    fn settle(&self, id: &str, reply: Reply) -> StatusCode {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, sender)) = open.take_if(|(expected, _)| expected == id) else {
            return StatusCode::BAD_REQUEST;
        };
        // Err: the invocation has timed out.
        let _ = sender.send(reply);
        StatusCode::ACCEPTED
    }
}

async fn next(State(api): State<Arc<Api>>) -> Result<Response<Body>, StatusCode> {
    api.ready.send_if_modified(|ready| {
        let first = ready.is_none();
        ready.get_or_insert_with(|| Ok(Instant::now()));
        first
    });
    let job = api.jobs.lock().await.recv().await.ok_or(StatusCode::GONE)?;
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &job.request_id)
        .header("lambda-runtime-deadline-ms", job.deadline_ms)
        .header(
            "lambda-runtime-trace-id",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0",
        )
        .header(
            "lambda-runtime-invoked-function-arn",
            format!("arn:aws:lambda:us-east-1:123456789012:function:{}", api.function),
        )
        .body(Body::from(job.payload))
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    *api.open.lock().unwrap_or_else(PoisonError::into_inner) = Some((job.request_id, job.reply));
    Ok(response)
}

async fn response(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    api.settle(&id, Ok(body))
}

async fn error(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    api.settle(&id, Err(serde_json::from_slice(&body).unwrap_or_default()))
}

async fn init_error(State(api): State<Arc<Api>>, body: Bytes) -> StatusCode {
    api.ready.send_replace(Some(Err(serde_json::from_slice(&body).unwrap_or_default())));
    StatusCode::ACCEPTED
}

async fn register(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let body = json!({ "functionName": api.function, "functionVersion": "$LATEST", "handler": "bootstrap" });
    ([("lambda-extension-identifier", "00000000-0000-4000-8000-000000000001")], Json(body))
}
