//! The same work by plain clients, on the same broker and the same DynamoDB: the limit that broker and table set.

use std::{
    future,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::site::{Site, per_second};

/// Nothing here takes longer.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
struct Delivery {
    partition: usize,
    offset: u64,
}

/// Consumes and acks this many messages as that group. Returns how many per second, from the first delivery to the last
/// ack. `between` is done with each message before its ack.
pub(super) async fn consume<F: Future<Output = Result<()>>>(
    site: &Site,
    (topic, group): (&str, &str),
    count: usize,
    between: impl Fn() -> F,
) -> Result<f64> {
    let owner = format!("plain-{}", Uuid::new_v4().simple());
    let url = format!(
        "{}/v1/consume?topic={topic}&group={group}&owner={owner}&lease_ms=60000",
        site.stack.broker.url()
    );
    let mut first = None;
    let all = async {
        let response = site.client.get(&url).send().await?.error_for_status()?;
        let deliveries = deliveries(response).take(count);
        let work = deliveries.try_for_each_concurrent(None, |delivery| {
            first.get_or_insert_with(Instant::now);
            let (between, owner) = (between(), &owner);
            async move {
                between.await?;
                ack(site, (topic, group, owner), &delivery).await
            }
        });
        work.await
    };
    tokio::time::timeout(LIMIT, all).await.context("the plain consumer took too long")??;
    per_second(count, first.context("nothing was delivered")?.elapsed())
}

fn deliveries(response: reqwest::Response) -> impl stream::Stream<Item = Result<Delivery>> {
    let mut rest = Vec::new();
    let lines = response.bytes_stream().map_err(anyhow::Error::from).map_ok(move |bytes| {
        rest.extend_from_slice(&bytes);
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let lines: Vec<u8> = rest.drain(..whole).collect();
        let lines = serde_json::Deserializer::from_slice(&lines).into_iter().map(|line| Ok(line?));
        stream::iter(lines.collect::<Vec<Result<Delivery>>>())
    });
    lines.try_flatten()
}

async fn ack(site: &Site, (topic, group, owner): (&str, &str, &str), delivery: &Delivery) -> Result<()> {
    let Delivery { partition, offset } = delivery;
    let place =
        json!({ "topic": topic, "group": group, "owner": owner, "partition": partition, "offset": offset });
    site.post("ack", &place).await
}

/// Empties the topic of that many messages, as the consumer's group.
pub(super) async fn empty(site: &Site, count: usize) -> Result<()> {
    let place = (site.stack.topic.as_str(), site.stack.group.as_str());
    consume(site, place, count, || future::ready(Ok(()))).await.map(drop)
}

/// The two writes of one fresh effect.
pub(super) async fn two_writes(site: &Site) -> Result<()> {
    write(site, site.recorded.writes(&site.id())?).await
}

async fn write(site: &Site, writes: [(&str, Value); 2]) -> Result<()> {
    for (operation, body) in writes {
        site.stack.table()?.call(operation, &body).await?;
    }
    Ok(())
}

/// The time of these two writes on an idle table, on average.
pub(super) async fn time_of_two_writes(site: &Site) -> Result<Duration> {
    let since = Instant::now();
    for _ in 0..20 {
        two_writes(site).await?;
    }
    Ok(since.elapsed() / 20)
}

/// For how many effects per second the table takes both writes, with as many under way as the broker delivers messages at a time.
pub(super) async fn two_writes_ceiling(site: &Site, count: usize) -> Result<f64> {
    ceiling(site, count, |_| two_writes(site)).await
}

/// For how many due effects per second the table takes both writes, with as many under way.
pub(super) async fn due_writes_ceiling(site: &Site, ids: &[String]) -> Result<f64> {
    let both = async |number: usize| write(site, site.recorded.due_writes(&ids[number])?).await;
    ceiling(site, ids.len(), both).await
}

/// How many puts per second the table refuses, with as many under way.
pub(super) async fn refusals(site: &Site, count: usize) -> Result<f64> {
    let id = site.id();
    let [(operation, put), _] = site.recorded.writes(&id)?;
    let table = site.stack.table()?;
    table.call(operation, &put).await?;
    let refused = async |put: &Value| {
        let refusal = table.call(operation, put).await.err().context("a second put was taken")?;
        ensure!(refusal.to_string().contains("ConditionalCheckFailed"), "{refusal}");
        Ok(())
    };
    ceiling(site, count, |_| refused(&put)).await
}

/// How many times per second `each` is done, with as many under way as the broker delivers messages at a time.
async fn ceiling<F: Future<Output = Result<()>>>(
    site: &Site,
    count: usize,
    each: impl Fn(usize) -> F,
) -> Result<f64> {
    let since = Instant::now();
    let all = stream::iter(0..count).map(Ok).try_for_each_concurrent(site.in_flight(), each);
    tokio::time::timeout(LIMIT, all).await.context("the plain writes took too long")??;
    per_second(count, since.elapsed())
}
