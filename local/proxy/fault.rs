//! The faults that a fault proxy can inject, and the rules that select them.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::sync::watch;

use super::seen::Seen;
use crate::{hook::Hook, http::Answer};

/// A fault for a request. Faults that forward do so even if the client dies meanwhile.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Forwards the request: for a rule that only watches, or that exempts.
    Pass,
    /// Answers without forwarding.
    Answer(Answer),
    /// Forwards, and replaces the response.
    AnswerAfter(Answer),
    /// Cuts the connection without forwarding.
    CutBefore,
    /// Forwards, and cuts the connection instead of responding.
    CutAfter,
    /// Never responds, without forwarding.
    HangBefore,
    /// Forwards, and never responds.
    HangAfter,
    /// Forwards after this delay.
    Delay(Duration),
    /// Runs the hook, and then forwards.
    HookBefore(Hook),
    /// Runs the hook and cuts the connection, without forwarding.
    HookInstead(Hook),
    /// Forwards, runs the hook, and then responds.
    HookAfter(Hook),
    /// Forwards, and runs the hook once the response, or its first chunk, has been sent.
    HookOnceAnswered(Hook),
    /// Forwards the response up to and including these bytes, and then cuts the connection.
    CutBehind(Bytes),
    /// Forwards, but hides the client's disconnection from the upstream, which continues to send: a lost FIN.
    HalfOpen,
    /// Forwards with this query parameter changed.
    Query(&'static str, String),
}

type Matcher = Box<dyn Fn(&Seen) -> bool + Send + Sync>;

struct Rule {
    matches: Matcher,
    fault: Fault,
    left: usize,
    hits: watch::Sender<usize>,
}

/// The rules of a fault proxy. The first that matches decides.
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

/// The number of times that a rule has matched.
#[derive(Debug, Clone)]
pub struct Hits(watch::Receiver<usize>);

impl Hits {
    /// So far.
    #[must_use]
    pub fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until the rule has matched.
    ///
    /// # Errors
    /// It has not matched within that time.
    pub async fn within(&self, time: Duration) -> Result<()> {
        self.reach(1, time).await
    }

    /// Waits until the rule has matched this often.
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
