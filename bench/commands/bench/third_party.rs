//! A third party that records only which effect each call was about, and when it came.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use axum::{Json, Router, extract::State, http::HeaderMap};
use local::server::{ANY_PORT, Server};
use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};

use super::recorded::HOT_KEY;

/// A third party that listens. It applies everything, after a while.
pub(super) struct ThirdParty {
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    pause_ms: AtomicU64,
    hot_pause_ms: AtomicU64,
    calls: Mutex<Vec<Call>>,
    /// How many calls there have been.
    count: watch::Sender<usize>,
}

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// The id of the webhook behind it.
    pub(super) id: String,
    pub(super) at: Instant,
}

impl ThirdParty {
    pub(super) async fn start() -> Result<Self> {
        let (pause_ms, hot_pause_ms, calls) = Default::default();
        let shared = Arc::new(Shared { pause_ms, hot_pause_ms, calls, count: watch::channel(0).0 });
        let router = Router::new().fallback(ticket).with_state(shared.clone());
        Ok(Self { shared, server: Server::start(ANY_PORT, router).await.context("the third party")? })
    }

    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    /// Makes each call take this long from now on.
    pub(super) fn takes(&self, pause: Duration) {
        self.shared.pause_ms.store(ms(pause), Ordering::Relaxed);
    }

    /// Makes each call for the hot key take this long.
    pub(super) fn takes_for_hot_key(&self, pause: Duration) {
        self.shared.hot_pause_ms.store(ms(pause), Ordering::Relaxed);
    }

    /// Takes the calls since they were last taken.
    pub(super) fn take_calls(&self) -> Vec<Call> {
        mem::take(&mut *self.shared.calls())
    }

    /// The calls since they were last taken, which stay.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.shared.calls().clone()
    }

    /// When the effect of this id was called, if that has happened or happens within this time.
    pub(super) async fn called(&self, id: &str, within: Duration) -> Option<Instant> {
        let mut count = self.shared.count.subscribe();
        let found = || self.shared.calls().iter().rev().find(|call| call.id == id).map(|call| call.at);
        timeout(within, count.wait_for(|_| found().is_some())).await.ok()?.ok()?;
        found()
    }
}

impl Shared {
    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ticket(State(shared): State<Arc<Shared>>, headers: HeaderMap, _: String) -> Json<Value> {
    let at = Instant::now();
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    shared.calls().push(Call { id: id_of(key).to_owned(), at });
    shared.count.send_modify(|count| *count += 1);
    let pause = if key.ends_with(HOT_KEY) { &shared.hot_pause_ms } else { &shared.pause_ms };
    let pause = pause.load(Ordering::Relaxed);
    if pause > 0 {
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    Json(json!({ "id": "tp_1", "ok": true }))
}

/// The id in an effect's id, `stripe.evt_{id}:step:key`.
fn id_of(key: &str) -> &str {
    let run = key.split(':').next().unwrap_or_default();
    run.split_once("evt_").map_or(run, |(_, id)| id)
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_one_of_the_webhook() {
        assert_eq!(id_of("stripe.evt_0001x0002:open_ticket:du_0001x0002"), "0001x0002");
        assert_eq!(id_of(""), "");
    }
}
