//! Ingest: webhooks through the Runtime API, beside two programs that produce the same bytes to the same broker: a bare
//! client, whose pace is the broker's limit, and a bare function behind the same Runtime API, whose pace is also limited by
//! Lambda's protocol.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use local::{
    config::Config,
    webhook::{Webhook, samples},
};
use serde_json::{Map, Value, json};

use super::{
    plain,
    report::{Report, Target},
    site::{Site, per_second},
};

const SAMPLE: &str = "stripe.charge.dispute.created";
const LIMIT: Duration = Duration::from_secs(10);

/// A dispute whose ids contain `id`.
pub(super) fn webhook(id: &str) -> Result<Webhook> {
    Ok(Webhook::sample(SAMPLE)?.edited(|event| {
        event["id"] = format!("evt_{id}").into();
        event["data"]["object"]["id"] = format!("du_{id}").into();
    }))
}

/// The same dispute, signed now, as an event of API Gateway.
pub(in crate::commands) fn event(config: &Config, id: &str) -> Result<Bytes> {
    let webhook = webhook(id)?;
    let webhook = webhook.signed(&config.source("stripe")?, Timestamp::now())?;
    let mut event: Value =
        serde_json::from_str(&fs::read_to_string(samples().join(format!("{SAMPLE}.json")))?)?;
    event["headers"] = webhook
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect::<Map<_, _>>()
        .into();
    event["body"] = String::from_utf8_lossy(&webhook.body).into();
    Ok(event.to_string().into())
}

/// The time that some requests took.
struct Took {
    p50_ms: f64,
    p99_ms: f64,
    per_second: f64,
}

pub(super) async fn measure(report: &mut Report, site: &Site, rounds: u16) -> Result<()> {
    for (clients, count) in [(1, 200), (8, 400), (32, 800)] {
        measure_at(report, site, rounds, (clients, count), "").await?;
    }
    super::peaks(report, site, " after 32 clients")
}

/// Measures one client, at a size of table and topic.
pub(super) async fn measure_one(
    report: &mut Report,
    site: &Site,
    rounds: u16,
    when: &str,
) -> Result<Vec<f64>> {
    measure_at(report, site, rounds, (1, 200), when).await
}

async fn measure_at(
    report: &mut Report,
    site: &Site,
    rounds: u16,
    (clients, count): (usize, usize),
    when: &str,
) -> Result<Vec<f64>> {
    let who = format!("ingest, {clients} at a time{when}");
    report.next(&who);
    let [mut ours, mut client, mut function] = [(); 3].map(|()| Vec::new());
    ours_once(site, clients, clients * 2).await?; // starts the processes
    client_once(site, clients, clients * 2).await?;
    function_once(site, clients, clients * 2).await?;
    for _ in 0..rounds {
        ours.push(ours_once(site, clients, count).await?);
        client.push(client_once(site, clients, count).await?);
        function.push(function_once(site, clients, count).await?);
    }
    let all = |took: &[Took], figure: fn(&Took) -> f64| took.iter().map(figure).collect::<Vec<_>>();
    let mut row = |what: &str, unit, figure: fn(&Took) -> f64, target| {
        let mut beside = |bound, bounds, target| {
            report.beside(
                format!("{who}: {what}"),
                unit,
                all(&ours, figure),
                bound,
                all(bounds, figure),
                target,
            )
        };
        beside("a bare client that produces", &client, None)?;
        beside("a bare function that produces", &function, target)
    };
    row("p50", "ms", |took| took.p50_ms, (clients == 1).then_some(Target::AtMost(1.1)))?;
    row("p99", "ms", |took| took.p99_ms, None)?;
    row("throughput", "/s", |took| took.per_second, (clients == 32).then_some(Target::AtLeast(0.85)))?;
    Ok(all(&ours, |took| took.p50_ms))
}

async fn ours_once(site: &Site, clients: usize, count: usize) -> Result<Took> {
    let events: Result<Vec<_>> = (0..count).map(|_| event(&site.stack.config, &site.id())).collect();
    let took = timed(clients, events?, async |event| {
        let answer = site.stack.ingest.invoke_bytes(event, LIMIT).await?;
        ensure!(answer["statusCode"] == 202, "ingest answered {answer}");
        Ok(())
    });
    let took = took.await?;
    plain::empty(site, count).await?;
    Ok(took)
}

async fn client_once(site: &Site, clients: usize, count: usize) -> Result<Took> {
    let took = timed(clients, bodies(site, count)?, async |body| site.post("produce", &body).await).await?;
    plain::empty(site, count).await?;
    Ok(took)
}

async fn function_once(site: &Site, clients: usize, count: usize) -> Result<Took> {
    let events = bodies(site, count)?.iter().map(|body| body.to_string().into()).collect();
    let took = timed(clients, events, async |event| {
        let answer = site.bare.invoke_bytes(event, LIMIT).await?;
        ensure!(answer["statusCode"] == 202, "the bare function answered {answer}");
        Ok(())
    });
    let took = took.await?;
    plain::empty(site, count).await?;
    Ok(took)
}

/// The bodies that ingest produces for this many webhooks.
fn bodies(site: &Site, count: usize) -> Result<Vec<Value>> {
    (0..count).map(|_| site.recorded.produce(&site.id(), &site.stack.topic)).collect()
}

/// Sends all, `clients` of them at a time.
async fn timed<T>(clients: usize, all: Vec<T>, send: impl AsyncFn(T) -> Result<()>) -> Result<Took> {
    let (count, since) = (all.len(), Instant::now());
    let one = async |one| {
        let since = Instant::now();
        send(one).await?;
        anyhow::Ok(since.elapsed())
    };
    let times = stream::iter(all).map(one).buffer_unordered(clients);
    let mut times: Vec<_> = times.try_collect().await?;
    let per_second = per_second(count, since.elapsed())?;
    times.sort_unstable();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    Ok(Took { p50_ms: at(50), p99_ms: at(99), per_second })
}
