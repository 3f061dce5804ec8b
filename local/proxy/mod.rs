//! A fault proxy: a reverse proxy between the functions and the broker or DynamoDB. It records every request, and can inject the faults of a network
//! or an overloaded server.
//!
//! Responses are streamed: the broker's consume stream passes line by line, and its headers pass when the broker sends
//! them. When the connection of one side breaks, the other is cut.

mod fault;
mod forward;
mod seen;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use self::{
    fault::Rules,
    forward::{Forward, severed},
};
pub use self::{
    fault::{Fault, Hits},
    seen::{End, Seen},
};
use crate::{
    http::{Answer, client_for},
    server::{ANY_PORT, Connection, Server},
};

/// Larger than any request that DynamoDB accepts.
const REQUEST_LIMIT: usize = 20 << 20;

/// A fault proxy to one upstream.
#[derive(Debug)]
pub struct FaultProxy {
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    upstream: Mutex<String>,
    client: reqwest::Client,
    rules: Rules,
    seen: Mutex<Vec<Seen>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

impl FaultProxy {
    /// Starts a fault proxy to that base URL.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(upstream: &str) -> Result<Self> {
        let shared = Arc::new(Shared {
            upstream: Mutex::default(),
            client: client_for(upstream)?,
            rules: Rules::default(),
            seen: Mutex::default(),
        });
        let router = Router::new().fallback(handle).with_state(shared.clone());
        let proxy = Self { shared, server: Server::start(ANY_PORT, router).await.context("a proxy")? };
        proxy.point_to(upstream);
        Ok(proxy)
    }

    /// The proxy's base URL, for the functions.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Forwards to another upstream from now on.
    pub fn point_to(&self, upstream: &str) {
        upstream.trim_end_matches('/').clone_into(&mut lock(&self.shared.upstream));
    }

    /// Injects this fault into the next matching request.
    pub fn once(&self, matches: impl Fn(&Seen) -> bool + Send + Sync + 'static, fault: Fault) -> Hits {
        self.times(1, matches, fault)
    }

    /// Injects this fault into the next matching requests, this many times.
    pub fn times(
        &self,
        times: usize,
        matches: impl Fn(&Seen) -> bool + Send + Sync + 'static,
        fault: Fault,
    ) -> Hits {
        self.shared.rules.add(Box::new(matches), fault, times)
    }

    /// Injects this fault into every matching request, until [`FaultProxy::heal`].
    pub fn always(&self, matches: impl Fn(&Seen) -> bool + Send + Sync + 'static, fault: Fault) -> Hits {
        self.times(usize::MAX, matches, fault)
    }

    /// Removes every rule.
    pub fn heal(&self) {
        self.shared.rules.clear();
    }

    /// Stops listening and cuts every connection: connecting is refused until [`FaultProxy::open`].
    pub async fn close(&self) {
        self.server.close().await;
    }

    /// Listens again, on the same port.
    ///
    /// # Errors
    /// Another process has taken the port.
    pub async fn open(&self) -> Result<()> {
        self.server.open().await.map(drop)
    }

    /// Cuts every connection there is.
    pub fn cut_all(&self) {
        self.server.cut_all();
    }

    /// Every request so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// The requests that match.
    #[must_use]
    pub fn seen_where(&self, matches: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        lock(&self.shared.seen).iter().filter(|seen| matches(seen)).cloned().collect()
    }

    /// Forgets the recorded requests, so that a test counts from here.
    pub fn forget(&self) {
        lock(&self.shared.seen).clear();
    }
}

async fn handle(
    State(proxy): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, REQUEST_LIMIT).await else {
        return Answer::status(413).into_response();
    };
    let (index, fault) = proxy.note(&parts, &body);
    let forward = Forward { proxy, parts, body, index };
    match fault {
        Fault::Pass => forward.send().await.answer(&connection),
        // A separate task: it continues when the client is killed by a hook.
        fault => {
            let answer = tokio::spawn(forward.under(fault, connection.clone())).await;
            match answer.unwrap_or_else(|_| Some(severed(&connection))) {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }
    }
}

impl Shared {
    fn note(&self, parts: &Parts, body: &Bytes) -> (usize, Fault) {
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let mut request = Seen::new(parts.method.as_str(), path, query, &parts.headers, body);
        let fault = self.rules.decide(&request);
        let mut seen = lock(&self.seen);
        request.index = seen.len();
        seen.push(request);
        (seen.len() - 1, fault)
    }

    fn end(&self, index: usize, end: End) {
        if let Some(seen) = lock(&self.seen).get_mut(index) {
            seen.end = end;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
