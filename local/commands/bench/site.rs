//! A stack to measure: functions past the wires, and a third party that keeps nothing but the time of each call.

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use axum::{Json, Router, extract::State};
use futures_util::{StreamExt, TryStreamExt, stream};
use local::{
    config::Config,
    functions::Functions,
    http,
    server::{ANY_PORT, Server},
    stack::{Stack, Summary},
};
use serde_json::{Value, json};

use super::recorded::Recorded;

/// As many ingests at a time as are ever measured.
const INGESTS: usize = 32;
/// A partition takes 100 unacked messages, and less than 65,536 bytes; a round stays below.
const WINDOW: usize = 80;
const WINDOW_BYTES: usize = 60_000;
/// How many requests are under way while a round is prepared.
const PREPARING: usize = 32;

/// A running one.
pub(super) struct Site {
    pub(super) stack: Stack,
    pub(super) recorded: Recorded,
    pub(super) partitions: usize,
    pub(super) client: reqwest::Client,
    third_party: Arc<ThirdParty>,
    ids: AtomicU32,
    _server: Server,
}

/// Applies everything, after a while.
#[derive(Default)]
struct ThirdParty {
    pause_ms: AtomicU64,
    calls: Mutex<Vec<Instant>>,
}

impl Site {
    /// Starts one with a topic of so many partitions.
    pub(super) async fn start(functions: &Functions, recorded: &Recorded, partitions: usize) -> Result<Self> {
        let third_party = Arc::<ThirdParty>::default();
        let router = Router::new().fallback(ticket).with_state(third_party.clone());
        let server = Server::start(ANY_PORT, router).await.context("the third party")?;
        let mut config = Config::from_env()?;
        config.call(&server.url());
        let builder = Stack::builder().functions(functions.clone()).config(config).direct().ingests(INGESTS);
        let builder = builder.env("IDLE_EXIT", "300ms").env("DRIFTQ_PARTITIONS", &partitions.to_string());
        let stack = builder.start().await?;
        let client = http::client_for(stack.broker.url())?;
        let ids = AtomicU32::new(0);
        let site =
            Self { stack, recorded: recorded.clone(), partitions, client, third_party, ids, _server: server };
        site.make_topic(&site.stack.topic).await?;
        Ok(site)
    }

    /// An id that no other command has.
    pub(super) fn id(&self) -> String {
        format!("b{}x{:08}", self.partitions, self.ids.fetch_add(1, Ordering::Relaxed))
    }

    /// How many messages a round can have.
    pub(super) fn room(&self) -> Result<usize> {
        let bytes = self.recorded.produce("ID", "t")?["value"].as_str().map_or(1, str::len) + 100;
        Ok(self.partitions * WINDOW.min(WINDOW_BYTES / bytes))
    }

    /// How many messages are worked on at a time.
    pub(super) fn in_flight(&self) -> usize {
        2 * self.partitions
    }

    pub(super) async fn make_topic(&self, name: &str) -> Result<()> {
        self.post("topics", &json!({ "name": name, "partitions": self.partitions })).await
    }

    /// A plain request to the broker.
    pub(super) async fn post(&self, what: &str, body: &Value) -> Result<()> {
        let url = format!("{}/v1/{what}", self.stack.broker.url());
        let request =
            self.client.post(&url).header("content-type", "application/json").body(body.to_string());
        let response = request.timeout(Duration::from_secs(10)).send().await?;
        let status = response.status();
        let text = response.text().await?; // to its end, so that the connection can be used again
        ensure!(status.is_success(), "{url} answered {status}: {}", text.trim_end());
        Ok(())
    }

    /// Produces a command for each id, spread evenly: neighbours that are the same stay in one partition, as a business key
    /// does.
    pub(super) async fn produce(&self, topic: &str, ids: &[String]) -> Result<()> {
        let mut partition = 0;
        let mut bodies = Vec::new();
        for (number, id) in ids.iter().enumerate() {
            if number > 0 && ids[number - 1] != *id {
                partition = (partition + 1) % self.partitions;
            }
            let mut body = self.recorded.produce(id, topic)?;
            body["envelope"]["partition_override"] = partition.into();
            bodies.push(body);
        }
        let sent = stream::iter(&bodies)
            .map(Ok)
            .try_for_each_concurrent(PREPARING, |body| self.post("produce", body));
        sent.await
    }

    /// Lets the third party take so long from now on.
    pub(super) fn third_party_takes(&self, pause: Duration) {
        let ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.third_party.pause_ms.store(ms, Ordering::Relaxed);
    }

    /// One run of the consumer, and when the third party was called meanwhile.
    pub(super) async fn run_consumer(&self) -> Result<(Summary, Vec<Instant>)> {
        drop(self.third_party.take_calls());
        let summary = self.stack.run_consumer().await?;
        Ok((summary, self.third_party.take_calls()))
    }
}

/// So many a second between the first and the last of these moments. The first `held` are left out: the consumer works on no
/// more than that until it may ack.
pub(super) fn pace(calls: &[Instant], held: usize) -> Result<f64> {
    let steady = calls.get(held..).unwrap_or_default();
    let (first, last) = steady.first().zip(steady.last()).context("too few calls to tell a pace")?;
    per_second(steady.len() - 1, *last - *first)
}

pub(super) fn per_second(count: usize, time: Duration) -> Result<f64> {
    Ok(f64::from(u32::try_from(count)?) / time.as_secs_f64())
}

impl ThirdParty {
    fn take_calls(&self) -> Vec<Instant> {
        mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn ticket(State(third_party): State<Arc<ThirdParty>>, _: String) -> Json<Value> {
    third_party.calls.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
    let pause = third_party.pause_ms.load(Ordering::Relaxed);
    if pause > 0 {
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    Json(json!({ "id": "tp_1", "ok": true }))
}
