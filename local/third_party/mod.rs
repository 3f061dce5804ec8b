//! The third party that the steps call. It keeps a ledger, and can be told to fail.

mod behaviour;
mod ledger;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{
    sync::{broadcast, watch},
    time::sleep,
};

use self::behaviour::Reply;
pub use self::{
    behaviour::Behaviour,
    ledger::{Call, Fate, Ledger},
};
use crate::{
    http::Answer,
    server::{Connection, Server},
};

/// A running third party.
#[derive(Debug)]
pub struct ThirdParty {
    shared: Arc<Shared>,
    server: Server,
}

#[derive(Debug)]
struct Shared {
    ledger: watch::Sender<Ledger>,
    manners: Mutex<Manners>,
    live: broadcast::Sender<Call>,
}

/// The behaviour on each path.
#[derive(Debug, Default)]
struct Manners {
    scripts: BTreeMap<String, VecDeque<Behaviour>>,
    defaults: BTreeMap<String, Behaviour>,
    forgetful: BTreeSet<String>,
}

impl ThirdParty {
    /// Starts it. By default it applies every call, and deduplicates by `Idempotency-Key`.
    ///
    /// # Errors
    /// The address can't be bound.
    pub async fn start(addr: SocketAddr) -> Result<Self> {
        let shared = Arc::new(Shared {
            ledger: watch::Sender::default(),
            manners: Mutex::default(),
            live: broadcast::channel(1024).0,
        });
        let router = Router::new().fallback(handle).with_state(shared.clone());
        Ok(Self { shared, server: Server::start(addr, router).await.context("the third party")? })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Uses these behaviours for the next calls to that path, one after the other, and then the usual one.
    pub fn script(&self, path: &str, behaviours: impl IntoIterator<Item = Behaviour>) {
        lock(&self.shared.manners).scripts.entry(path.to_owned()).or_default().extend(behaviours);
    }

    /// Uses this behaviour on that path from now on.
    pub fn always(&self, path: &str, behaviour: Behaviour) {
        lock(&self.shared.manners).defaults.insert(path.to_owned(), behaviour);
    }

    /// Disables deduplication on that path: every call is applied.
    pub fn forget_keys(&self, path: &str) {
        lock(&self.shared.manners).forgetful.insert(path.to_owned());
    }

    /// Stops listening: connecting is refused until [`ThirdParty::open`].
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

    /// The present ledger.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.shared.ledger.borrow().clone()
    }

    /// Waits until the ledger satisfies a condition.
    ///
    /// # Errors
    /// It does not, within that time.
    pub async fn until(&self, within: Duration, wanted: impl Fn(&Ledger) -> bool) -> Result<Ledger> {
        let mut ledger = self.shared.ledger.subscribe();
        let reached = tokio::time::timeout(within, ledger.wait_for(|ledger| wanted(ledger))).await;
        let reached = reached.map(|ledger| ledger.map(|ledger| ledger.clone()));
        Ok(reached.with_context(|| {
            format!("the ledger is not as wanted within {within:?}: {:#?}", self.ledger())
        })??)
    }

    /// The calls from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Call> {
        self.shared.live.subscribe()
    }
}

/// The `Idempotency-Key` that an effect's call must have: its id, or the digest of an id that is invalid in a header.
#[must_use]
pub fn idempotency_key(effect_id: &str) -> String {
    if effect_id.len() <= 255 && effect_id.bytes().all(|b| b.is_ascii_graphic()) {
        return effect_id.to_owned();
    }
    format!("sha256-{}", hex::encode(Sha256::digest(effect_id)))
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 16 << 20).await else { return Response::default() };
    let behaviour = lock(&shared.manners).next(parts.uri.path());
    if let Reply::Late(after) = behaviour.reply {
        // A separate task: the handler ends with the connection.
        tokio::spawn(async move {
            sleep(after).await;
            shared.record(call(&parts, &body), behaviour.applies);
        });
        return std::future::pending().await;
    }
    let receipt = shared.record(call(&parts, &body), behaviour.applies);
    if let Some(hook) = behaviour.hook {
        hook.run().await;
    }
    match behaviour.reply {
        Reply::Receipt => Answer::of_json(200, &json!({ "id": receipt, "ok": true })).into_response(),
        Reply::Answer(answer) => answer.into_response(),
        Reply::LookUp => shared.look_up(parts.uri.query().unwrap_or_default()).into_response(),
        Reply::Cut => {
            connection.cut();
            Response::default()
        }
        Reply::Hang | Reply::Late(_) => std::future::pending().await,
    }
}

impl Manners {
    fn next(&mut self, path: &str) -> Behaviour {
        let scripted = self.scripts.get_mut(path).and_then(VecDeque::pop_front);
        scripted.or_else(|| self.defaults.get(path).cloned()).unwrap_or_else(Behaviour::apply)
    }
}

impl Shared {
    /// Records a call in the ledger, and returns the receipt's id; null if it was not applied.
    fn record(&self, mut call: Call, applies: bool) -> Value {
        let dedupes = !lock(&self.manners).forgetful.contains(&call.path);
        let mut receipt = Value::Null;
        self.ledger.send_modify(|ledger| {
            let earlier = call.key.as_deref().filter(|_| dedupes).and_then(|key| ledger.receipt_of(key));
            call.fate = match earlier {
                _ if !applies => Fate::Refused,
                Some(earlier) => Fate::Deduped { receipt: earlier.to_owned() },
                None => Fate::Applied { receipt: format!("tp_{}", ledger.applied().len() + 1) },
            };
            if let Fate::Applied { receipt: id } | Fate::Deduped { receipt: id } = &call.fate {
                receipt = json!(id);
            }
            call.number = ledger.add(call.clone());
        });
        // Err: there are no subscribers.
        let _ = self.live.send(call);
        receipt
    }

    fn look_up(&self, query: &str) -> Answer {
        let key = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "key");
        let ledger = self.ledger.borrow();
        match key.and_then(|(_, key)| ledger.receipt_of(&key)) {
            Some(receipt) => Answer::of_json(200, &json!({ "id": receipt })),
            None => Answer::of_json(404, &json!({ "error": "no such call" })),
        }
    }
}

fn call(parts: &Parts, body: &Bytes) -> Call {
    let mut headers = BTreeMap::<String, String>::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let entry = headers.entry(name.to_string()).or_default();
        if !entry.is_empty() {
            entry.push(',');
        }
        entry.push_str(&value);
    }
    Call {
        number: 0,
        at: Timestamp::now(),
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        key: headers.get("idempotency-key").cloned(),
        body: read_body(headers.get("content-type").map_or("", String::as_str), body),
        bytes: body.clone(),
        headers,
        fate: Fate::Refused,
    }
}

fn read_body(content_type: &str, body: &Bytes) -> Value {
    if content_type.starts_with("application/x-www-form-urlencoded") {
        return url::form_urlencoded::parse(body)
            .map(|(name, value)| (name.into_owned(), json!(value)))
            .collect();
    }
    serde_json::from_slice(body).unwrap_or_else(|_| json!(String::from_utf8_lossy(body)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
