//! A gateway in front of ingest, like an HTTP API or any other AWS front end: it converts requests into events, and the function's replies into
//! responses.

mod authorizer;
mod fields;
mod format1;
mod format2;
mod front_end;
mod load_balancer;
mod reply;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{Request, State},
};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::broadcast;

pub use self::{authorizer::Authorizer, front_end::FrontEnd};
use crate::{
    http::Answer,
    runtime_api::{Function, InvokeError},
    server::Server,
};

/// API Gateway's timeout.
const LIMIT: Duration = Duration::from_secs(30);
/// API Gateway's body limit.
const BODY_LIMIT: usize = 10 << 20;

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    server: Server,
    shared: Arc<Shared>,
}

/// A request that was answered.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// The response.
    pub answer: Answer,
    /// How long it took.
    pub took: Duration,
}

#[derive(Debug)]
struct Shared {
    function: Function,
    front_end: Mutex<FrontEnd>,
    authorizer: Mutex<Authorizer>,
    live: broadcast::Sender<Exchange>,
}

impl Gateway {
    /// Starts it in front of a function.
    ///
    /// # Errors
    /// The address can't be bound.
    pub async fn start(addr: SocketAddr, function: Function) -> Result<Self> {
        let live = broadcast::channel(1024).0;
        let shared =
            Arc::new(Shared { function, front_end: Mutex::default(), authorizer: Mutex::default(), live });
        let router = Router::new().fallback(handle).with_state(shared.clone());
        Ok(Self { server: Server::start(addr, router).await.context("the gateway")?, shared })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Uses another front end from now on.
    pub fn act_as(&self, front_end: FrontEnd) {
        *self.shared.front_end.lock().unwrap_or_else(PoisonError::into_inner) = front_end;
    }

    /// Uses this authorizer from now on.
    pub fn authorize_by(&self, authorizer: Authorizer) {
        *self.shared.authorizer.lock().unwrap_or_else(PoisonError::into_inner) = authorizer;
    }

    /// Subscribes to requests from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Exchange> {
        self.shared.live.subscribe()
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    let (started, (parts, body)) = (Instant::now(), request.into_parts());
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    let answer = match axum::body::to_bytes(body, BODY_LIMIT).await {
        Err(_) => Answer::of_json(413, &json!({ "message": "Request Entity Too Large" })),
        Ok(body) => {
            let front_end = *shared.front_end.lock().unwrap_or_else(PoisonError::into_inner);
            let mut event = front_end.event(&parts, &body, "127.0.0.1", Timestamp::now());
            let authorizer = *shared.authorizer.lock().unwrap_or_else(PoisonError::into_inner);
            if authorizer::is_guarded(&path) {
                authorizer.tell(front_end, &mut event);
            }
            let function = shared.function.clone();
            // A separate task: Lambda continues when the client disconnects.
            let reply = tokio::spawn(async move { function.invoke(&event, LIMIT).await }).await;
            reply.map_or_else(|_| reply::internal_error(), |reply| of_invocation(front_end, reply))
        }
    };
    let exchange = Exchange { method, path, answer: answer.clone(), took: started.elapsed() };
    // Err: there are no subscribers.
    let _ = shared.live.send(exchange);
    answer
}

fn of_invocation(front_end: FrontEnd, reply: Result<serde_json::Value, InvokeError>) -> Answer {
    match reply {
        Ok(reply) => front_end.answer(&reply),
        Err(InvokeError::TimedOut { .. }) => {
            Answer::of_json(503, &json!({ "message": "Service Unavailable" }))
        }
        Err(_) => reply::internal_error(),
    }
}
