//! A scan of what a provider has sent, from its end to its beginning, page by page.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Ended, Worker};
use crate::{
    config::{reconcile::Reconcile, source::Source},
    effects::{
        asked::Asked,
        reconciliation::{Look, Turn},
    },
    reconcile::{Client, Failure, Window, missing::Missing},
    secrets::Secret,
};

/// How much further back each scan goes than where the last one ended.
const OVERLAP: Duration = Duration::from_secs(600);
/// A younger fetched event is left alone, since its delivery may be in progress.
const GRACE: Duration = Duration::from_secs(60);
/// Pages per turn. The rest is for the next turn.
const MOST_PAGES: u32 = 20;
/// Time limit of a turn. A page in progress is finished.
const MOST_TIME: Duration = Duration::from_secs(30);
/// The period of the provider's rate limit for redeliveries.
const A_MINUTE: Duration = Duration::from_secs(60);

/// What is left of a turn.
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
pub(super) struct Looking<'a> {
    pub(super) worker: &'a Arc<Worker>,
    pub(super) source: &'a Source,
    reconcile: &'a Reconcile,
    pub(super) found: Found,
    /// Events that were requested and have not arrived yet.
    pub(super) asked: HashMap<String, Asked>,
}

/// What a turn has found, and its progress.
pub(super) struct Found {
    pub(super) turn: Turn,
    pub(super) recovered: u64,
    /// Events that can't be fetched or processed, and periods that were scanned too late.
    pub(super) lost: u64,
}

impl<'a> Looking<'a> {
    pub(super) fn new(
        worker: &'a Arc<Worker>,
        source: &'a Source,
        reconcile: &'a Reconcile,
        turn: Turn,
    ) -> Self {
        let found = Found { turn, recovered: 0, lost: 0 };
        Self { worker, source, reconcile, found, asked: HashMap::new() }
    }

    /// Scans, and recovers missing events.
    pub(super) async fn look(mut self, now: Timestamp) -> (Ended, Found) {
        let ended = match self.begin(now) {
            None => Ended::Complete,
            Some(()) => match self.pages(now).await {
                Ok(ended) | Err(ended) => ended,
            },
        };
        (ended, self.found)
    }

    /// The scan in progress, or the next one, as far back as the provider keeps events. None: there is nothing to scan yet.
    fn begin(&mut self, now: Timestamp) -> Option<()> {
        let reach = now - self.reconcile.keeps;
        let position = &mut self.found.turn.position;
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
        // Older events were seen by the scan before this one.
        let since = position.looked_until.max(look.from);
        position.look = Some(Look { from: look.from.max(reach), ..look });
        if since < reach {
            self.found.lost += 1;
            let source = &self.source.name;
            tracing::error!(outcome = "out_of_reach", source, %since, until = %reach, "a time was looked at too late: the provider no longer keeps what it sent then");
        }
        Some(())
    }

    async fn pages(&mut self, now: Timestamp) -> Result<Ended, Ended> {
        let client = self.client(now)?;
        if !self.reconcile.fetches() {
            self.asked = self.worker.reconciliation.asked(&self.source.name).await?;
        }
        let (mut missing, mut requests) = (Missing::default(), 0);
        let mut limit = Limit::from(Instant::now());
        while limit.allows_a_page(Instant::now()) {
            let Some(look) = self.found.turn.position.look.clone() else { return Ok(Ended::Complete) };
            let all = Window { from: look.from, until: look.until };
            let page = match client.page(all, look.page.as_deref()).await {
                // The page no longer exists: start again from the newest. Handled events are skipped.
                Err(Failure::Gone { .. }) if look.page.is_some() => {
                    self.found.turn.position.look = Some(Look { page: None, ..look });
                    continue;
                }
                page => page?,
            };
            let left = Window { until: look.handled_from, ..all };
            let is_last = page.next.is_none() || page.items.last().is_some_and(|item| item.at < look.from);
            for item in &page.items {
                let is_missing = missing.is(item, left) && !self.is_lost(item);
                if !is_missing && !self.has_come(item) {
                    continue;
                }
                if requests == self.reconcile.requests_a_minute() {
                    return Ok(Ended::CutShort { after: A_MINUTE });
                }
                requests += u32::from(self.handle(&client, item).await?);
            }
            self.turn_page(page.next.filter(|_| !is_last), page.items.last().map(|item| item.at));
            self.worker.reconciliation.keep_turn(&self.found.turn, self.worker.now()).await?;
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

    /// Moves to the next page: all of this one has been handled.
    fn turn_page(&mut self, next: Option<String>, oldest: Option<Timestamp>) {
        let position = &mut self.found.turn.position;
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
