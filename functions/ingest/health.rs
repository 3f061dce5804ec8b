//! `GET /healthz`: whether each broker and the table can be reached, and what that means for webhooks.
//!
//! | `status` | HTTP | when | what follows |
//! |---|---|---|---|
//! | `ok` | 200 | everything responds | |
//! | `degraded` | 200 | the table responds, a broker does not | webhooks are accepted: commands for an accepting broker that is down go to the table, and are worked on from there. Messages at a broker that is down wait |
//! | `unavailable` | 503 | the table does not respond | no effect can be claimed, and nothing deferred |
//!
//! The route is public, so the response contains no addresses: a broker is identified by its variable and its position in that list. The log
//! has its name and the error.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Ingest, reply::Reply};
use crate::{config::brokers::Role, topic::Topic};

/// Time limit of each check.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The result of one check.
#[derive(Debug, Clone, Copy, Serialize)]
struct Check {
    ok: bool,
    ms: u64,
}

#[derive(Debug, Serialize)]
struct BrokerCheck {
    /// The environment variable that lists it.
    variable: &'static str,
    /// Its position in that list, from 1.
    entry: usize,
    role: Role,
    #[serde(flatten)]
    check: Check,
}

impl Ingest {
    /// `GET /healthz`.
    pub(super) async fn health(&self) -> Reply {
        let (available, report) = self.report().await;
        Reply::Health { available, report }
    }

    /// Whether the table responds, and the state of everything.
    pub(super) async fn report(&self) -> (bool, Value) {
        let topics = &self.outbox.topics;
        let accepting = topics.accepting().enumerate().map(|(index, topic)| (Role::Accepting, index, topic));
        let draining = topics.draining().enumerate().map(|(index, topic)| (Role::Draining, index, topic));
        let brokers =
            accepting.chain(draining).map(|(role, index, topic)| check_broker(role, index + 1, topic));
        let (brokers, table) = tokio::join!(join_all(brokers), self.check_table());
        let status = match (table.ok, brokers.iter().all(|broker| broker.check.ok)) {
            (true, true) => "ok",
            (true, false) => "degraded",
            (false, _) => "unavailable",
        };
        let report = json!({ "status": status, "brokers": brokers, "table": table });
        (table.ok, report)
    }

    async fn check_table(&self) -> Check {
        let (check, error) = timed(self.table_health.reachable()).await;
        if let Some(error) = error {
            tracing::error!(error, "the effects table failed a health check");
        }
        check
    }
}

async fn check_broker(role: Role, entry: usize, topic: &Topic) -> BrokerCheck {
    let (check, error) = timed(topic.broker.topics(TIMEOUT)).await;
    if let Some(error) = error {
        tracing::error!(broker = topic.broker_name(), error, "a broker failed a health check");
    }
    BrokerCheck { variable: role.variable(), entry, role, check }
}

/// The result of a check with the time limit.
async fn timed<T, E: std::fmt::Display>(
    answer: impl Future<Output = Result<T, E>>,
) -> (Check, Option<String>) {
    let start = Instant::now();
    let error = match tokio::time::timeout(TIMEOUT, answer).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {TIMEOUT:?}")),
    };
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    (Check { ok: error.is_none(), ms }, error)
}
