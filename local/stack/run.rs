//! Runs of the consumer: one at a time, in a loop until everything is settled, or by a schedule.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::Value;
use tokio::{sync::broadcast, task::JoinHandle};

use super::{Stack, Unsettled};
use crate::runtime_api::{Function, InvokeError};

/// The summary of one run of the consumer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Why it ended.
    pub outcome: String,
    /// Due records worked on.
    pub from_agenda: u64,
    /// Messages put on the agenda before any claim.
    pub enqueued: u64,
    /// Messages received.
    pub received: u64,
    /// Effects done.
    pub done: u64,
    /// Messages whose effect was settled already.
    pub duplicates: u64,
    /// Effects deferred.
    pub deferred: u64,
    /// Effects parked.
    pub parked: u64,
    /// Messages whose effect another attempt had claimed.
    pub held: u64,
    /// Messages received and not acked.
    pub unacked: u64,
    /// Events that could not be published.
    pub events_dropped: u64,
    /// How long it took.
    pub ms: u64,
}

impl Summary {
    /// Parses the consumer's response.
    ///
    /// # Errors
    /// It is not a summary.
    pub fn read(consumer: &str, reply: Value) -> Result<Self, InvokeError> {
        serde_json::from_value(reply).map_err(|error| InvokeError::Unreadable {
            function: consumer.to_owned(),
            reason: error.to_string(),
        })
    }
}

/// The runs that were needed to settle everything.
#[derive(Debug, Default)]
pub struct Settling {
    /// The runs that succeeded.
    pub runs: Vec<Summary>,
    /// The runs that failed.
    pub failures: Vec<InvokeError>,
}

impl Settling {
    /// How often the consumer was killed.
    #[must_use]
    pub fn deaths(&self) -> usize {
        self.failures.iter().filter(|failure| failure.is_death()).count()
    }

    /// A sum over all runs.
    pub fn total(&self, count: impl Fn(&Summary) -> u64) -> u64 {
        self.runs.iter().map(count).sum()
    }
}

/// The consumer's timeout here.
const LIMIT: Duration = Duration::from_secs(120);

impl Stack {
    /// One run of the consumer.
    ///
    /// # Errors
    /// [`InvokeError`].
    pub async fn run_consumer(&self) -> Result<Summary, InvokeError> {
        self.run_consumer_within(LIMIT).await
    }

    /// One run with a deadline of its own.
    ///
    /// # Errors
    /// [`InvokeError`].
    pub async fn run_consumer_within(&self, limit: Duration) -> Result<Summary, InvokeError> {
        run(&self.consumer, &self.event, limit).await
    }

    /// Runs the consumer until everything is settled. Runs that die or fail are counted, and the next one is started.
    ///
    /// # Errors
    /// Something is still unsettled after that time.
    pub async fn run_until_settled(&self, max: Duration) -> Result<Settling> {
        let started = Instant::now();
        let mut settling = Settling::default();
        loop {
            match self.run_consumer().await {
                Ok(summary) => settling.runs.push(summary),
                Err(failure) => settling.failures.push(failure),
            }
            // A broker that is down at this moment can't be asked; it may be up the next time.
            let left = self.unsettled().await;
            if left.as_ref().is_ok_and(Vec::is_empty) {
                return Ok(settling);
            }
            if started.elapsed() > max {
                bail!("not settled after {max:?}, {settling:#?}{}", self.report(&left?));
            }
            // A run that finds nothing to do, or a closed destination, ends at once.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until everything is settled, without running the consumer: wake-ups do that.
    ///
    /// # Errors
    /// Something is still unsettled after that time.
    pub async fn until_settled(&self, max: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            let left = self.unsettled().await?;
            if left.is_empty() {
                return Ok(());
            }
            if started.elapsed() > max {
                bail!("not settled after {max:?}{}", self.report(&left));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fails if anything is unsettled. A test that forgets to call it fails too ([`Builder::must_settle`](super::Builder::must_settle)); the alternative is [`Stack::abandon`].
    ///
    /// # Errors
    /// What is left, and the ends of the logs.
    pub async fn finish(mut self) -> Result<()> {
        self.must_settle = false;
        let left = self.unsettled().await?;
        if !left.is_empty() {
            bail!("left unsettled{}", self.report(&left));
        }
        Ok(())
    }

    /// Ends a stack whatever is left in it, because the test has failed already or is about what is left.
    pub fn abandon(mut self) {
        self.must_settle = false;
    }

    /// A report of what is left and what the functions printed, for a failed test.
    #[must_use]
    pub fn report(&self, left: &[Unsettled]) -> String {
        let left: String = left.iter().map(|left| format!("  {left}\n")).collect();
        format!(":\n{left}{}{}", self.ingest.log().tail(60), self.consumer.log().tail(120))
    }

    /// Runs the consumer repeatedly, at this interval, and never two at once.
    #[must_use]
    pub fn schedule(&self, every: Duration) -> Schedule {
        let (consumer, event) = (self.consumer.clone(), self.event.clone());
        let ends = broadcast::channel(64).0;
        let sender = ends.clone();
        let ticking = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                // Err: there are no subscribers.
                let _ = sender.send(run(&consumer, &event, LIMIT).await);
            }
        });
        Schedule { ticking, ends }
    }
}

/// A running schedule, until it is dropped.
#[derive(Debug)]
pub struct Schedule {
    ticking: JoinHandle<()>,
    ends: broadcast::Sender<Result<Summary, InvokeError>>,
}

impl Schedule {
    /// Subscribes to the results of its runs.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Result<Summary, InvokeError>> {
        self.ends.subscribe()
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.ticking.abort();
    }
}

async fn run(consumer: &Function, event: &Value, limit: Duration) -> Result<Summary, InvokeError> {
    Summary::read(consumer.name(), consumer.invoke(event, limit).await?)
}
