//! What a wire may do to a request, and the rules that decide it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::sync::watch;

use super::seen::Seen;
use crate::{hook::Hook, http::Answer};

/// What happens to a request. Those that forward under a fault do so even if the client dies meanwhile.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It passes: for a rule that only watches, or that exempts.
    Pass,
    /// It is answered here; the upstream sees nothing.
    Answer(Answer),
    /// The upstream handles it; then this is answered in place of what it said.
    AnswerAfter(Answer),
    /// The connection is cut; the upstream sees nothing.
    CutBefore,
    /// The upstream handles it; then the connection is cut instead of answering.
    CutAfter,
    /// It is never answered; the upstream sees nothing.
    HangBefore,
    /// The upstream handles it, but it is never answered.
    HangAfter,
    /// It is forwarded a while later.
    Delay(Duration),
    /// The hook runs; then it is forwarded.
    HookBefore(Hook),
    /// The hook runs; then the connection is cut, and the upstream sees nothing.
    HookInstead(Hook),
    /// The upstream handles it; the hook runs; then it is answered.
    HookAfter(Hook),
    /// It passes; the hook runs once the answer, or the first of it that is streamed, has gone out.
    HookOnceAnswered(Hook),
    /// Its answer passes up to and including these bytes; then the connection is cut.
    CutBehind(Bytes),
    /// It passes; but the client's end is kept from the upstream, which goes on answering: a lost FIN.
    HalfOpen,
    /// It is forwarded with this parameter of its query set so.
    Query(&'static str, String),
}

type Matcher = Box<dyn Fn(&Seen) -> bool + Send + Sync>;

struct Rule {
    matches: Matcher,
    fault: Fault,
    left: usize,
    hits: watch::Sender<usize>,
}

/// The rules of a wire. The first that matches decides.
#[derive(Default)]
pub(super) struct Rules(Mutex<Vec<Rule>>);

impl Rules {
    pub(super) fn add(&self, matches: Matcher, fault: Fault, times: usize) -> Hits {
        let (hits, seen) = watch::channel(0);
        let rule = Rule { matches, fault, left: times, hits };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
        Hits(seen)
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn decide(&self, request: &Seen) -> Fault {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rule) = rules.iter_mut().find(|rule| rule.left > 0 && (rule.matches)(request)) else {
            return Fault::Pass;
        };
        rule.left -= 1;
        rule.hits.send_modify(|hits| *hits += 1);
        rule.fault.clone()
    }
}

/// How often a rule has struck.
#[derive(Debug, Clone)]
pub struct Hits(watch::Receiver<usize>);

impl Hits {
    /// So far.
    #[must_use]
    pub fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until the rule has struck.
    ///
    /// # Errors
    /// It has not, within that time.
    pub async fn within(&self, time: Duration) -> Result<()> {
        self.reach(1, time).await
    }

    /// Waits until the rule has struck so often.
    ///
    /// # Errors
    /// It has not, within that time.
    pub async fn reach(&self, count: usize, time: Duration) -> Result<()> {
        let mut hits = self.0.clone();
        let struck = tokio::time::timeout(time, hits.wait_for(|hits| *hits >= count)).await;
        struck.with_context(|| {
            format!("fewer than {count} requests that the rule waits for within {time:?}")
        })??;
        Ok(())
    }
}
