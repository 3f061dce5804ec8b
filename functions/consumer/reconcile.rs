//! Asking each provider for what did not arrive, as often as its source says, beside everything else that a run does.
//!
//! A look goes back from now to where the last one ended, and some minutes further: clocks differ, an event may be listed late, and a
//! provider that says it will deliver again may not. What has been handled is recorded as the look goes on, so that the next
//! consumer goes on from there. It is cut short when the run ends, when the provider asks for a pause, or after some pages: no
//! effect waits for it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Worker, run::Activity};
use crate::{
    config::{reconcile::Reconcile, source::Source},
    effects::{
        StoreError,
        reconciliation::{Look, Recovery, Taken, Turn},
    },
    ingest::{fetched, route::Routed},
    reconcile::{Client, Failure, Fetched, Item, What, Window, missing::Missing},
    secrets::Secret,
    telemetry::{
        line::Line,
        metrics::{RECONCILE_FAILED, RECOVERED, UNRECOVERED},
    },
};

/// How often it is checked whether a source is due.
const TICK: Duration = Duration::from_secs(5);
/// How long a dead consumer keeps others from a source: longer than a page and the writes for it may take.
const TURN: Duration = Duration::from_secs(60);
/// Each look goes so much further back than where the last one ended.
const OVERLAP: Duration = Duration::from_secs(600);
/// A fetched event that is younger is left to its delivery, which is under way.
const GRACE: Duration = Duration::from_secs(60);
/// Pages per turn. The rest is for the next.
const MOST_PAGES: u32 = 20;
/// The same in time. A page that is under way is finished.
const MOST_TIME: Duration = Duration::from_secs(30);
/// Deliveries per minute that are asked for: GitHub advises one second between such requests
/// (<https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>).
const MOST_ASKED: u32 = 30;
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// After a failure, doubled with each further one, up to the source's own interval.
const BACKOFF: Duration = Duration::from_secs(10);
const MOST_BACKOFF: Duration = Duration::from_secs(3600);

/// When each source is next to be looked at, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct NextTurns(Mutex<BTreeMap<String, Timestamp>>);

impl NextTurns {
    fn is_due(&self, source: &str, now: Timestamp) -> bool {
        let turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.get(source).is_none_or(|next| *next <= now)
    }

    fn set(&self, source: &str, next: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(source.to_owned(), next);
    }
}

/// Looks at each source when it is due, until told to stop.
pub(super) async fn as_due(worker: &Arc<Worker>, activity: &Activity, stop: &CancellationToken) {
    let sources = worker.config.sources.values();
    let sources: Vec<_> = sources.filter_map(|source| Some((source, source.reconcile.as_ref()?))).collect();
    if sources.is_empty() {
        return;
    }
    loop {
        for (source, reconcile) in &sources {
            if !worker.next_turns.is_due(&source.name, worker.now()) {
                continue;
            }
            let turn = activity.while_busy(turn(worker, source, reconcile));
            tokio::select! {
                biased;
                // What has been handled is on record; the turn ends by itself.
                () = stop.cancelled() => return,
                () = turn => {}
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(TICK) => {}
        }
    }
}

async fn turn(worker: &Arc<Worker>, source: &Source, reconcile: &Reconcile) {
    let now = worker.now();
    let owner = Uuid::new_v4().to_string();
    let taken = match worker.effects.take_turn(&source.name, &owner, TURN, now).await {
        Ok(Taken::Ours(turn)) => turn,
        Ok(Taken::NotBefore(next)) => return worker.next_turns.set(&source.name, next),
        Err(error) => return tracing::warn!(source = source.name, %error, "a source is not reconciled"),
    };
    let mut looking = Looking { worker, source, reconcile, turn: taken, recovered: 0, lost: 0 };
    let ended = looking.look(now).await;
    let next = looking.plan(&ended);
    let Looking { turn, recovered, lost, .. } = looking;
    Line::default()
        .property("Source", &source.name)
        .count(&RECOVERED, recovered)
        .count(&RECONCILE_FAILED, u64::from(matches!(ended, Ended::Failed(_) | Ended::NoTable(_))))
        .count_if_any(&UNRECOVERED, lost)
        .print();
    tell(source, &ended, recovered);
    match worker.effects.end_turn(turn, next).await {
        Ok(()) => worker.next_turns.set(&source.name, next),
        Err(error) => {
            tracing::warn!(source = source.name, %error, "how far a source was reconciled was not recorded")
        }
    }
}

fn tell(source: &Source, ended: &Ended, recovered: u64) {
    let source = source.name.as_str();
    match ended {
        Ended::Complete if recovered == 0 => tracing::debug!(source, recovered, "a source was reconciled"),
        Ended::Complete => {
            tracing::warn!(source, recovered, "a source was reconciled: events had not arrived")
        }
        Ended::CutShort { .. } => {
            tracing::info!(source, recovered, "a source is reconciled further in the next turn")
        }
        Ended::Failed(error @ Failure::Refused(_)) => {
            tracing::error!(source, recovered, %error, "a source can't be reconciled: the provider refuses");
        }
        Ended::Failed(error) => tracing::warn!(source, recovered, %error, "a source is reconciled later"),
        Ended::NoTable(error) => tracing::warn!(source, recovered, %error, "a source is reconciled later"),
    }
}

/// How a turn ended.
enum Ended {
    /// All of the time was looked at.
    Complete,
    /// There is more, from then on.
    CutShort { after: Duration },
    /// The provider did not answer as it should.
    Failed(Failure),
    /// The effects table did not.
    NoTable(StoreError),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::NoTable(error)
    }
}

/// How much of a turn is left.
struct Limit {
    pages: u32,
    until: Instant,
}

impl Limit {
    fn from(now: Instant) -> Self {
        Self { pages: MOST_PAGES, until: now + MOST_TIME }
    }

    fn allows_a_page(&mut self, now: Instant) -> bool {
        let is_left = self.pages > 0 && now < self.until;
        self.pages = self.pages.saturating_sub(1);
        is_left
    }
}

/// One turn of one source.
struct Looking<'a> {
    worker: &'a Arc<Worker>,
    source: &'a Source,
    reconcile: &'a Reconcile,
    turn: Turn,
    recovered: u64,
    /// Events that can't be had or worked on, and times that were looked at too late.
    lost: u64,
}

impl<'a> Looking<'a> {
    async fn look(&mut self, now: Timestamp) -> Ended {
        if self.begin(now).is_none() {
            return Ended::Complete;
        }
        match self.pages(now).await {
            Ok(ended) | Err(ended) => ended,
        }
    }

    /// The look that is under way, or the next one, as far back as the provider's memory reaches. None: there is nothing to look at yet.
    fn begin(&mut self, now: Timestamp) -> Option<()> {
        let reach = now - self.reconcile.keeps;
        let position = &mut self.turn.position;
        let look = position.look.take().filter(|look| look.until > reach);
        let look = look.unwrap_or_else(|| {
            let grace =
                if self.reconcile.fetches() { GRACE.min(self.reconcile.every) } else { Duration::ZERO };
            let from = (position.looked_until - OVERLAP).max(position.floor);
            let until = now - grace;
            Look { from, until, handled_from: until, page: None }
        });
        if look.until <= look.from {
            return None;
        }
        // What is older was looked at by the look before this one.
        let since = position.looked_until.max(look.from);
        position.look = Some(Look { from: look.from.max(reach), ..look });
        if since < reach {
            self.lost += 1;
            let source = &self.source.name;
            tracing::error!(outcome = "out_of_reach", source, %since, until = %reach, "a time was looked at too late: the provider no longer keeps what it sent then");
        }
        Some(())
    }

    async fn pages(&mut self, now: Timestamp) -> Result<Ended, Ended> {
        let client = self.client(now)?;
        let (mut missing, mut asked) = (Missing::default(), 0);
        let mut limit = Limit::from(Instant::now());
        while limit.allows_a_page(Instant::now()) {
            let Some(look) = self.turn.position.look.clone() else { return Ok(Ended::Complete) };
            let all = Window { from: look.from, until: look.until };
            let page = match client.page(all, look.page.as_deref()).await {
                // The page is not there any more: once again from the newest. What was handled is passed over.
                Err(Failure::Gone(_)) if look.page.is_some() => {
                    self.turn.position.look = Some(Look { page: None, ..look });
                    continue;
                }
                page => page?,
            };
            let left = Window { until: look.handled_from, ..all };
            let is_last = page.next.is_none() || page.items.last().is_some_and(|item| item.at < look.from);
            for item in page.items.iter().filter(|item| missing.is(item, left)) {
                if asked == MOST_ASKED {
                    return Ok(Ended::CutShort { after: ASKED_AGAIN_AFTER });
                }
                asked += u32::from(self.handle(&client, item).await?);
            }
            self.turn_page(page.next.filter(|_| !is_last), page.items.last().map(|item| item.at));
            self.worker.effects.keep_turn(&self.turn, self.worker.now()).await?;
        }
        Ok(Ended::CutShort { after: Duration::ZERO })
    }

    fn client(&self, now: Timestamp) -> Result<Client<'a>, Failure> {
        let Self { worker, source, reconcile, .. } = *self;
        let secrets = worker.caller.secrets();
        let refused = |why: String| Failure::Refused(why);
        let client = worker.caller.clients().client(&reconcile.url, &secrets);
        let client = client.map_err(|error| refused(error.to_string()))?;
        let key = secrets.get(&reconcile.key).map(Secret::expose);
        let key = key.ok_or_else(|| refused(format!("the secret {} is missing", reconcile.key)))?;
        Client::new(source, reconcile, &worker.config, client, key, now)
    }

    /// All of a page has been handled.
    fn turn_page(&mut self, next: Option<String>, oldest: Option<Timestamp>) {
        let position = &mut self.turn.position;
        let Some(look) = position.look.take() else { return };
        position.failures = 0;
        match next {
            None => position.looked_until = look.until,
            next => {
                let handled_from = oldest.map_or(look.handled_from, |oldest| oldest.min(look.handled_from));
                position.look = Some(Look { page: next, handled_from, ..look });
            }
        }
    }

    /// Whether the provider was asked to deliver again.
    async fn handle(&mut self, client: &Client<'_>, item: &Item) -> Result<bool, Ended> {
        match &item.what {
            What::Delivered(_) => Ok(false),
            What::Event(event) => self.recover(item, event).await.map(|()| false),
            What::Undelivered(delivery) => {
                self.ask_again(client, item, delivery).await?;
                if let Some(look) = &mut self.turn.position.look {
                    look.handled_from = look.handled_from.min(item.at);
                }
                self.worker.effects.keep_turn(&self.turn, self.worker.now()).await?;
                Ok(true)
            }
        }
    }

    async fn ask_again(&mut self, client: &Client<'_>, item: &Item, delivery: &str) -> Result<(), Ended> {
        let (source, event_id, event_type) = (&self.source.name, &item.event_id, &item.event_type);
        match client.redeliver(delivery).await {
            Ok(()) => {
                self.recovered += 1;
                tracing::warn!(
                    outcome = "asked",
                    source,
                    event_id,
                    event_type,
                    "the provider was asked to deliver again what had not arrived"
                );
                Ok(())
            }
            Err(error @ Failure::Gone(_)) => {
                self.lost += 1;
                tracing::error!(outcome = "lost", source, event_id, event_type, %error, "what had not arrived can't be delivered again");
                Ok(())
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Has all effects of an event done that are not on record.
    async fn recover(&mut self, item: &Item, event: &Fetched) -> Result<(), Ended> {
        let (source, event_id, event_type) = (&self.source.name, &item.event_id, &item.event_type);
        let now = self.worker.now();
        let routed = match fetched::commands(self.source, event, &self.worker.config, now) {
            Ok(routed) => routed,
            Err(error) => {
                self.lost += 1;
                tracing::error!(outcome = "unfit", source, event_id, event_type, %error, "an event that was fetched can't be worked on");
                return Ok(());
            }
        };
        for Routed { effect, command, due } in routed {
            let run_id = command.run_id.clone();
            if self.worker.effects.recover(&effect, command, due, now).await? == Recovery::Recovered {
                self.recovered += 1;
                tracing::warn!(outcome = "recovered", source, event_id, event_type, %run_id, effect_id = %effect, "an event that had not arrived was fetched");
            }
        }
        Ok(())
    }

    /// When to go on.
    fn plan(&mut self, ended: &Ended) -> Timestamp {
        let (now, every) = (self.worker.now(), self.reconcile.every);
        match ended {
            Ended::Complete => now + every,
            Ended::CutShort { after } => now + *after,
            Ended::Failed(failure) => {
                now + self.fail(match failure {
                    Failure::Limited { pause, .. } => *pause,
                    Failure::Gone(_) | Failure::Refused(_) => Some(every),
                    Failure::Unavailable(_) => None,
                })
            }
            Ended::NoTable(_) => now + self.fail(None),
        }
    }

    /// How long to wait after a failure: at least `pause`, and longer with each one.
    fn fail(&mut self, pause: Option<Duration>) -> Duration {
        let failures = &mut self.turn.position.failures;
        let backoff = BACKOFF.saturating_mul(1 << (*failures).min(10)).min(self.reconcile.every);
        *failures += 1;
        pause.unwrap_or_default().max(backoff).min(MOST_BACKOFF.max(self.reconcile.every))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_after_some_pages_or_some_time() {
        let began = Instant::now();
        let mut limit = Limit::from(began);
        let pages = (0..100).take_while(|_| limit.allows_a_page(began)).count();
        assert_eq!(pages, 20);
        let mut limit = Limit::from(began);
        assert!(limit.allows_a_page(began + Duration::from_secs(29)));
        assert!(!limit.allows_a_page(began + Duration::from_secs(30)));
    }
}
