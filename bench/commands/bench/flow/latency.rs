//! From the 2xx to the third party's call: while the consumer sleeps, so that it has to be woken, and while it is awake.
//! A call that is made before the provider has its answer counts as made at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::timeout;

use super::{
    super::{
        ingest,
        report::Report,
        site::{Setup, Site},
    },
    Bench, percentile, row,
};

/// How often each is measured per round.
const ASLEEP: u16 = 34;
const AWAKE: u16 = 100;
/// A webhook that is not acted on within this time is taken for one that waits for the schedule.
const LATEST: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn measure(report: &mut Report, bench: &Bench<'_>) -> Result<()> {
    report.next("flow: from the 2xx to the call");
    let site = bench.site(Setup { wake_ups: true, ..Setup::default() }).await?;
    // The very first webhook finds no stream lease and no lanes, so it does not count.
    asleep(&site).await?;
    let (mut times, mut awakes) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        for _ in 0..ASLEEP {
            times.push(asleep(&site).await?);
        }
        awakes.extend(awake(&site).await?);
    }
    let what = "from the 2xx to the call, asleep";
    row(report, &format!("{what}: p50"), "ms", percentile(&times, 50)?, 100.0)?;
    report.alone(format!("{what}: p95"), "ms", vec![percentile(&times, 95)?])?;
    row(report, &format!("{what}: p99"), "ms", percentile(&times, 99)?, 1000.0)?;
    let what = "from the 2xx to the call, awake";
    row(report, &format!("{what}: p50"), "ms", percentile(&awakes, 50)?, 15.0)?;
    report.alone(format!("{what}: p95"), "ms", vec![percentile(&awakes, 95)?])?;
    report.alone(format!("{what}: p99"), "ms", vec![percentile(&awakes, 99)?])
}

/// One webhook that comes alone. The process of ingest is a new one: a provider's next webhook seldom comes within the
/// second for which it would remember its last wake-up.
async fn asleep(site: &Site) -> Result<Duration> {
    site.stack.ingest.killer().kill().await;
    site.stack.ingest.warm().await?;
    let mut ends = site.stack.lambda()?.follow();
    let took = delivered(site).await?;
    if took < LATEST {
        timeout(LIMIT, ends.recv()).await.context("the woken run does not end")???;
    } else {
        site.stack.run_consumer().await?;
    }
    Ok(took)
}

/// Some webhooks, one after the other. The first one, which wakes the consumer, does not count. Returns once the
/// consumer sleeps again.
async fn awake(site: &Site) -> Result<Vec<Duration>> {
    let mut ends = site.stack.lambda()?.follow();
    let woken = site.stack.lambda()?.accepted().len();
    let mut times = Vec::new();
    for _ in 0..=AWAKE {
        times.push(delivered(site).await?);
    }
    for _ in woken..site.stack.lambda()?.accepted().len() {
        timeout(LIMIT, ends.recv()).await.context("a woken run does not end")???;
    }
    Ok(times.split_off(1))
}

async fn delivered(site: &Site) -> Result<Duration> {
    let id = site.id();
    let event = ingest::event(&site.stack.config, &id)?;
    let answer = site.stack.ingest.invoke_bytes(event, LIMIT).await?;
    let answered = Instant::now();
    ensure!(answer["statusCode"] == 202, "ingest answered {answer}");
    let called = site.third_party.called(&id, LATEST).await;
    Ok(called.map_or(LATEST, |called| called.saturating_duration_since(answered)))
}
