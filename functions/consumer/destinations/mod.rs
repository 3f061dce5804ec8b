//! Destinations: isolation of third parties, so that trouble at one does not affect the others.
//!
//! Each host has a limit of calls in flight, a rate if one is configured, a circuit `breaker`, and a pause while it has asked for one by 429
//! or 503 with `Retry-After`. An effect whose destination is closed is put on the agenda before it is claimed, so that no attempt is used up.
//! This state is in memory: usually only one process works at a time, and a new process soon finds out the same.
//!
//! `breaker` is the circuit breaker · `shown` has the state of each destination, for operators.

mod breaker;
mod shown;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use breaker::{Admission, Breaker, Changed};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout_at},
};

use crate::config::{Config, destination::Destination as Limits, step::Step};
use crate::pace::Pace;
use crate::random;

/// How long a destination counts as slow after a slow call.
const SLOW_FOR: Duration = Duration::from_secs(2);
/// How long a message waits for a call slot at a destination that is busy but not slow, before it goes to the agenda.
const MESSAGE_WAITS: Duration = Duration::from_secs(1);
/// The longest pause of a destination by `Retry-After`. An effect's own pause may be up to a day; other effects are tried sooner.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Every destination of the configuration, by host.
#[derive(Debug, Clone)]
pub(super) struct Destinations(Arc<BTreeMap<String, Arc<Destination>>>);

/// One third party.
#[derive(Debug)]
pub(super) struct Destination {
    host: String,
    limit: usize,
    places: Arc<Semaphore>,
    /// How many wait for a call slot.
    waiting: AtomicUsize,
    state: Mutex<State>,
    openings: AtomicU64,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    pace: Option<Pace>,
    paused_until: Option<Instant>,
    /// Slow calls in flight.
    slow: usize,
    slow_until: Option<Instant>,
}

/// A call slot at a destination. The call's result must be reported.
#[derive(Debug)]
#[must_use = "it is held for as long as the call lasts"]
pub(super) struct Place {
    destination: Arc<Destination>,
    is_probe: bool,
    is_slow: bool,
    _permit: OwnedSemaphorePermit,
}

/// Why there is no call slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The breaker is open, or the third party has asked for a pause.
    Closed {
        /// Not before this time.
        until: Instant,
    },
    /// All slots are taken, or the rate is used up.
    Busy,
}

/// What a call's result says about the destination, independent of the effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It has responded.
    Well,
    /// It did not respond, or responded with a server failure.
    Failing,
    /// It asked for a pause.
    AskedForPause(Duration),
}

impl Destinations {
    pub(super) fn new(config: &Config) -> Self {
        let hosts = config.steps.iter().map(Step::destination);
        let limits = |host: &str| config.destinations.get(host).cloned().unwrap_or_default();
        Self(Arc::new(
            hosts.map(|host| (host.clone(), Arc::new(Destination::new(limits(&host), host)))).collect(),
        ))
    }

    /// The destination of a step of the same configuration.
    pub(super) fn of(&self, step: &Step) -> Arc<Destination> {
        let host = step.destination();
        let known = self.0.get(&host).cloned();
        known.unwrap_or_else(|| Arc::new(Destination::new(Limits::default(), host)))
    }

    /// Adds time that the monotonic clock has not counted: it stops while a function is frozen.
    pub(super) fn advance(&self, by: Duration) {
        for destination in self.0.values() {
            let mut state = destination.lock();
            state.breaker.advance(by);
            state.paused_until = state.paused_until.and_then(|until| until.checked_sub(by));
        }
    }

    /// How often each breaker has opened since the last call of this.
    pub(super) fn take_openings(&self) -> Vec<(&str, u64)> {
        let taken =
            self.0.values().map(|each| (each.host.as_str(), each.openings.swap(0, Ordering::Relaxed)));
        taken.filter(|(_, openings)| *openings > 0).collect()
    }
}

impl Destination {
    fn new(limits: Limits, host: String) -> Self {
        let limit = usize::try_from(limits.in_flight.get()).unwrap_or(Semaphore::MAX_PERMITS);
        let limit = limit.min(Semaphore::MAX_PERMITS);
        let state = State {
            breaker: Breaker::default(),
            pace: limits.rate.map(Pace::new),
            paused_until: None,
            slow: 0,
            slow_until: None,
        };
        Self {
            host,
            limit,
            places: Arc::new(Semaphore::new(limit)),
            waiting: AtomicUsize::new(0),
            state: Mutex::new(state),
            openings: AtomicU64::new(0),
        }
    }

    /// Until when no calls are made here. None: it is open for calls.
    pub(super) fn closed_until(&self) -> Option<Instant> {
        let now = Instant::now();
        self.lock().closed_until(now)
    }

    /// Whether a probe is in progress.
    pub(super) fn is_probing(&self) -> bool {
        self.lock().breaker.look(Instant::now()) != Admission::Yes
    }

    /// Whether its calls are slow at present.
    pub(super) fn is_slow(&self) -> bool {
        let state = self.lock();
        state.slow > 0 || state.slow_until.is_some_and(|until| Instant::now() < until)
    }

    /// Gets a call slot for a message. It waits only a short time, since the message's partition waits too.
    pub(super) async fn place_for_message(self: &Arc<Self>) -> Result<Place, NoPlace> {
        let now = Instant::now();
        self.place_by(if self.is_slow() { now } else { now + MESSAGE_WAITS }).await
    }

    /// Gets a call slot for a due record, which blocks nothing else. First come, first served, together with messages.
    pub(super) async fn place_for_due(self: &Arc<Self>) -> Result<Place, NoPlace> {
        self.place_by(Instant::now() + Duration::from_secs(3600)).await
    }

    async fn place_by(self: &Arc<Self>, latest: Instant) -> Result<Place, NoPlace> {
        if let Some(until) = self.closed_until() {
            return Err(NoPlace::Closed { until });
        }
        let waiting = Waiting::begin(&self.waiting);
        let permit = timeout_at(latest, Arc::clone(&self.places).acquire_owned()).await;
        drop(waiting);
        let Ok(Ok(permit)) = permit else { return Err(NoPlace::Busy) };
        let mut place =
            Place { destination: Arc::clone(self), is_probe: false, is_slow: false, _permit: permit };
        let begins = {
            let (mut state, now) = (self.lock(), Instant::now());
            // It may have closed in the meantime.
            if let Some(until) = state.closed_until(now) {
                return Err(NoPlace::Closed { until });
            }
            let begins = state.pace.as_mut().map(|pace| pace.book(now, latest).ok_or(NoPlace::Busy));
            let begins = begins.transpose()?;
            match state.breaker.admit(now) {
                Admission::Yes => {}
                Admission::Probe => place.is_probe = true,
                Admission::No(until) => return Err(NoPlace::Closed { until }),
            }
            begins
        };
        if let Some(begins) = begins {
            sleep_until(begins).await;
        }
        Ok(place)
    }

    fn log(&self, changed: Changed) {
        let destination = &self.host;
        match changed {
            Changed::Nothing => {}
            Changed::Closed => {
                tracing::info!(destination, "a destination answers again; its breaker is closed")
            }
            Changed::Opened(pause) => {
                self.openings.fetch_add(1, Ordering::Relaxed);
                let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(destination, pause_ms, "a destination fails; its breaker is open");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn closed_until(&self, now: Instant) -> Option<Instant> {
        let paused = self.paused_until.filter(|until| now < *until);
        match self.breaker.look(now) {
            Admission::No(until) => Some(until.max(paused.unwrap_or(until))),
            Admission::Yes | Admission::Probe => paused,
        }
    }
}

impl Place {
    /// Whether the calls of its destination are slow at present.
    pub(super) fn is_at_slow_destination(&self) -> bool {
        self.destination.is_slow()
    }

    /// Records that the call takes longer than `slow_call`.
    pub(super) fn slow(&mut self) {
        let mut state = self.destination.lock();
        state.slow += usize::from(!self.is_slow);
        state.slow_until = Some(Instant::now() + SLOW_FOR);
        self.is_slow = true;
    }

    /// Reports the result of the call.
    pub(super) fn report(&mut self, health: Health) {
        let now = Instant::now();
        self.is_probe = false;
        let mut state = self.destination.lock();
        let changed = match health {
            Health::Failing => state.breaker.failed(now, random::bits()),
            Health::Well | Health::AskedForPause(_) => state.breaker.succeeded(),
        };
        if let Health::AskedForPause(pause) = health {
            let until = now + pause.min(LONGEST_PAUSE);
            if state.paused_until.is_none_or(|before| before < now) {
                let pause_s = pause.as_secs();
                tracing::warn!(
                    destination = self.destination.host,
                    pause_s,
                    "a destination asks for a pause"
                );
            }
            state.paused_until = state.paused_until.max(Some(until));
        }
        drop(state);
        self.destination.log(changed);
    }
}

/// Counts a waiter for a call slot, also if it gives up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.destination.lock();
        if self.is_slow {
            state.slow -= 1;
            state.slow_until = Some(Instant::now() + SLOW_FOR);
        }
        if self.is_probe {
            state.breaker.abandoned(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests;
