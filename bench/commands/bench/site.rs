//! A stack to measure: its functions bypass the proxies, and its third party records only the effect and the time of each
//! call.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use local::{
    config::Config,
    functions::Bare,
    http,
    runtime_api::{Function, Program},
    stack::{Stack, Summary},
};
use serde_json::{Value, json};
use toml::Value as Toml;
use uuid::Uuid;

use super::{
    Bench,
    recorded::{Kind, NEIGHBOUR, Recorded, STEP},
    third_party::{Call, ThirdParty},
};

/// The largest number of ingest processes that is measured.
const INGESTS: usize = 32;
/// Calls in flight at a destination, unless the configuration says otherwise.
const PLACES: usize = 64;
/// A partition takes 100 unacked messages, and less than 65,536 bytes; a round stays below.
const WINDOW: usize = 80;
const WINDOW_BYTES: usize = 60_000;
/// The most items that DynamoDB takes in one request.
const BATCH: usize = 25;
/// How many requests are under way while a round is prepared.
const PREPARING: usize = 32;

/// A running site.
pub(super) struct Site {
    pub(super) stack: Stack,
    pub(super) recorded: Recorded,
    pub(super) partitions: usize,
    /// How many messages of each partition the broker delivers at a time. The limit of a real broker is not known; the first
    /// generation's is assumed.
    limit: usize,
    pub(super) client: reqwest::Client,
    /// A function that posts its events to the broker, and no more; with as many processes as ingest may have.
    pub(super) bare: Function,
    /// The third party of all steps except the neighbour's.
    pub(super) third_party: ThirdParty,
    /// The third party of the neighbour's step, if there is one.
    pub(super) neighbour: Option<ThirdParty>,
    ids: Ids,
}

/// The optional parts of a site.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Setup {
    /// Ingest wakes the consumer.
    pub(super) wake_ups: bool,
    /// There is a step with a third party of its own.
    pub(super) neighbour: bool,
}

/// Ids that no other command has, of this run or of an earlier one in the same table.
#[derive(Debug)]
pub(in crate::commands) struct Ids {
    prefix: u32,
    next: AtomicU32,
}

impl Ids {
    pub(in crate::commands) fn new() -> Self {
        Self { prefix: Uuid::new_v4().as_fields().0, next: AtomicU32::new(0) }
    }

    /// The next id. All have the same length.
    pub(in crate::commands) fn next(&self) -> String {
        format!("{:08x}x{:08x}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

impl Site {
    /// Starts a site with a topic of this many partitions.
    pub(super) async fn start(bench: &Bench<'_>, partitions: usize, setup: Setup) -> Result<Self> {
        let third_party = ThirdParty::start().await?;
        let neighbour = if setup.neighbour { Some(ThirdParty::start().await?) } else { None };
        let mut config = Config::from_env()?;
        if let Some(neighbour) = &neighbour {
            add_neighbour(&mut config, &neighbour.url())?;
        }
        config.call(&third_party.url());
        let builder = Stack::builder().functions(bench.functions.clone()).config(config).own_names().direct();
        let builder = builder.broker_profile(bench.profile);
        let builder = builder.env("IDLE_EXIT", "300ms").env("DRIFTQ_PARTITIONS", &partitions.to_string());
        let builder = if setup.wake_ups { builder.wake_ups() } else { builder };
        let stack = builder.ingests(INGESTS).start().await?;
        let site = Self {
            recorded: bench.recorded.clone(),
            partitions,
            limit: bench.profile.max_in_flight(),
            client: http::client_for(stack.broker.url())?,
            bare: producing(bench.bare, stack.broker.url()),
            third_party,
            neighbour,
            ids: Ids::new(),
            stack,
        };
        site.make_topic(&site.stack.topic).await?;
        Ok(site)
    }

    /// An id that no other command has.
    pub(super) fn id(&self) -> String {
        self.ids.next()
    }

    /// How many messages a round can have.
    pub(super) fn room(&self) -> Result<usize> {
        let bytes = self.recorded.produce("ID", "t")?["value"].as_str().map_or(1, str::len) + 100;
        Ok(self.partitions * WINDOW.min(WINDOW_BYTES / bytes))
    }

    /// How many messages are worked on at a time: as many as the broker delivers, and as there are places at the third party.
    pub(super) fn in_flight(&self) -> usize {
        (self.limit * self.partitions).min(PLACES)
    }

    /// Makes a topic, unless it is there.
    pub(super) async fn make_topic(&self, name: &str) -> Result<()> {
        let body = json!({ "name": name, "partitions": self.partitions });
        match self.post("topics", &body).await {
            Err(error) if error.to_string().contains("already exists") => Ok(()),
            made => made,
        }
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

    /// Produces a command for each id, spread evenly. Equal ids that follow each other stay in one partition, as a business
    /// key does.
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

    /// Produces one command of that kind.
    pub(super) async fn produce_one(&self, kind: Kind, id: &str, partition: usize) -> Result<()> {
        let mut body = self.recorded.produce_as(kind, id, &self.stack.topic)?;
        body["envelope"]["partition_override"] = (partition % self.partitions).into();
        self.post("produce", &body).await
    }

    /// Puts commands on the agenda, each due at its time, in milliseconds since 1970.
    pub(super) async fn defer(&self, kind: Kind, all: &[(String, i64)]) -> Result<()> {
        let table = self.stack.table()?;
        let put = async |some: &[(String, i64)]| {
            let item = |(id, at): &(String, i64)| {
                anyhow::Ok(json!({ "PutRequest": { "Item": self.recorded.due(kind, id, *at)? } }))
            };
            let items = some.iter().map(item).collect::<Result<Vec<_>>>()?;
            let request = json!({ "RequestItems": { table.table(): items } });
            let answer = table.call("BatchWriteItem", &request).await?;
            let left = answer["UnprocessedItems"].as_object().is_some_and(|left| !left.is_empty());
            ensure!(!left, "the table did not take all of a batch");
            Ok(())
        };
        stream::iter(all.chunks(BATCH)).map(Ok).try_for_each_concurrent(PREPARING, put).await
    }

    /// One run of the consumer, and when the third party was called meanwhile.
    pub(super) async fn run_consumer(&self) -> Result<(Summary, Vec<Instant>)> {
        drop(self.third_party.take_calls());
        let summary = self.stack.run_consumer().await?;
        let calls = self.third_party.take_calls();
        Ok((summary, calls.iter().map(|Call { at, .. }| *at).collect()))
    }
}

/// A copy of the recorded step that no webhook starts.
fn add_neighbour(config: &mut Config, url: &str) -> Result<()> {
    let mut step = config.step(STEP).clone();
    step.insert("id".into(), NEIGHBOUR.into());
    let on = step.get_mut("on").and_then(Toml::as_table_mut).context("what starts the recorded step")?;
    on.insert("type".into(), "nothing.of.the.kind".into());
    let call = step.get_mut("call").and_then(Toml::as_table_mut).context("the recorded step's call")?;
    call.insert("url".into(), format!("{url}/api/tickets").into());
    let steps = config.table().get_mut("steps").and_then(Toml::as_array_mut).context("steps")?;
    steps.push(step.into());
    Ok(())
}

fn producing(bare: &Bare, broker: &str) -> Function {
    Function::new(Program {
        name: "bare_produce".into(),
        binary: bare.produce.clone(),
        env: vec![("PRODUCE_URL".into(), format!("{broker}/v1/produce"))],
        sandboxes: INGESTS,
    })
}

/// How many per second there are between the first and the last of these moments. The first `held` are left out: the
/// consumer works on no more than that until it may ack.
pub(super) fn pace(calls: &[Instant], held: usize) -> Result<f64> {
    let steady = calls.get(held..).unwrap_or_default();
    let (first, last) = steady.first().zip(steady.last()).context("too few calls to tell a pace")?;
    per_second(steady.len() - 1, *last - *first)
}

pub(super) fn per_second(count: usize, time: Duration) -> Result<f64> {
    Ok(f64::from(u32::try_from(count)?) / time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_ids_are_the_same_and_none_is_longer() {
        let some: Vec<_> = [Ids::new(), Ids::new()].iter().flat_map(|ids| [ids.next(), ids.next()]).collect();
        assert_eq!(some.iter().collect::<BTreeSet<_>>().len(), 4);
        assert!(some.iter().all(|id| id.len() == 17));
    }

    #[test]
    fn a_pace_is_that_of_the_calls_after_the_held_ones() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        // Of four calls at a steady pace, three come after the first, in 0.3 s.
        let calls = [at(0), at(1), at(2500), at(2600), at(2700), at(2800)];
        let pace_of = |held| pace(&calls, held).ok().map(f64::round);
        assert_eq!(pace_of(2), Some(10.0));
        assert_eq!(pace_of(6), None);
    }
}
