//! Drives the state machine: runs its turns one at a time, and passes their effects to the log in that order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::delivery::{Delivery, StreamId};
use super::log::{Appender, Batch};
use super::message::Message;
use super::profile::Profile;
use super::refusal::Refusal;
use super::state::{Receipt, State};

/// Resolves when everything written so far is on disk; fails when the log is closed.
pub(super) type Durable = oneshot::Receiver<()>;

pub(super) struct Engine {
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    streams: HashMap<StreamId, UnboundedSender<Delivery>>,
    log: Appender,
}

impl Inner {
    /// Passes on the effects of the last turn. Called under the same lock as the turn, so that the log has the order of the turns.
    fn flush(&mut self) -> Durable {
        let effects = self.state.take_effects();
        let deliveries = effects.deliveries.into_iter();
        let deliveries = deliveries
            .filter_map(|delivery| Some((self.streams.get(&delivery.to)?.clone(), delivery)))
            .collect();
        let (durable, wait) = oneshot::channel();
        // If the writer has ended, `wait` fails, and so does the request.
        let _ = self.log.send(Batch { records: effects.records, deliveries, durable });
        wait
    }
}

impl Engine {
    pub(super) fn new(state: State, log: Appender) -> Self {
        Self { inner: Mutex::new(Inner { state, streams: HashMap::new(), log }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the present state, without waiting for the disk.
    pub(super) fn view<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock().state)
    }

    /// Runs one turn. Its result, also a refusal, may be sent only once `Durable` resolves: it may depend on a turn whose records are still being
    /// written.
    fn turn<T>(&self, act: impl FnOnce(&mut State, Timestamp) -> T) -> (T, Durable) {
        let mut inner = self.lock();
        let result = act(&mut inner.state, Timestamp::now());
        let durable = inner.flush();
        (result, durable)
    }

    pub(super) fn profile(&self) -> Profile {
        self.view(|state| state.profile)
    }

    /// Creates a topic. `None` if the log is closed.
    pub(super) async fn create_topic(&self, name: &str, partitions: usize) -> Option<Result<(), Refusal>> {
        let (result, durable) = self.turn(|state, _| state.create_topic(name, partitions));
        durable.await.ok()?;
        Some(result)
    }

    /// Produces a message. `None` if the log is closed.
    pub(super) async fn produce(
        self: &Arc<Self>,
        topic: String,
        message: Message,
    ) -> Option<Result<(), Refusal>> {
        let (result, durable) = self.turn(|state, now| state.produce(now, &topic, message));
        let Ok(Some(key)) = result else {
            durable.await.ok()?;
            return Some(result.map(drop));
        };
        // A separate task: if the client disconnects meanwhile, the key must not stay in flight forever.
        let engine = Arc::clone(self);
        let produced = tokio::spawn(async move {
            durable.await.ok()?;
            engine.lock().state.produced(Timestamp::now(), &key);
            Some(Ok(()))
        });
        produced.await.ok()?
    }

    /// Acks a delivery. `None` if the log is closed.
    pub(super) async fn ack(&self, receipt: &Receipt) -> Option<Result<(), Refusal>> {
        let (result, durable) = self.turn(|state, now| state.ack(now, receipt));
        durable.await.ok()?;
        Some(result)
    }

    /// Acks everything up to a delivery. `None` if the log is closed.
    pub(super) async fn ack_cumulative(&self, receipt: &Receipt) -> Option<Result<(), Refusal>> {
        let (result, durable) = self.turn(|state, now| state.ack_cumulative(now, receipt));
        durable.await.ok()?;
        Some(result)
    }

    /// Nacks a delivery. `None` if the log is closed.
    pub(super) async fn nack(&self, receipt: &Receipt, reason: &str) -> Option<Result<(), Refusal>> {
        let (result, durable) = self.turn(|state, now| state.nack(now, receipt, reason));
        durable.await.ok()?;
        Some(result)
    }

    /// Opens a stream; it is closed when dropped.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        topic: String,
        group: String,
        owner: &str,
        lease: SignedDuration,
    ) -> Result<Subscription, Refusal> {
        let mut inner = self.lock();
        let id = inner.state.subscribe(Timestamp::now(), &topic, &group, owner, lease)?;
        let (sender, deliveries) = unbounded_channel();
        inner.streams.insert(id, sender);
        drop(inner.flush());
        Ok(Subscription { deliveries, engine: Arc::clone(self), topic, group, id })
    }

    /// Redelivers at every tick, until dropped.
    pub(super) async fn tick(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(self.profile().tick);
        loop {
            ticks.tick().await;
            drop(self.turn(|state, now| state.redeliver(now)));
        }
    }
}

/// An open stream of deliveries.
pub(super) struct Subscription {
    deliveries: UnboundedReceiver<Delivery>,
    engine: Arc<Engine>,
    topic: String,
    group: String,
    id: StreamId,
}

impl Subscription {
    /// Waits for the next delivery.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        self.deliveries.recv().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut inner = self.engine.lock();
        inner.streams.remove(&self.id);
        inner.state.unsubscribe(&self.topic, &self.group, self.id);
    }
}
