//! A chain of three steps, each of which begins when the one before it is done: from the 2xx to the last call, while the
//! consumer sleeps. The third parties answer at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use local::{config::Config, stack::Stack, webhook::Webhook};
use tokio::time::timeout;

use super::{super::report::Report, Bench, percentile, row};

/// How often a chain is measured per round.
const CHAINS: u32 = 34;
const LIMIT: Duration = Duration::from_secs(10);
/// What the last step of the shipped chain calls.
const LAST: &str = "/v1/emails";

pub(super) async fn measure(report: &mut Report, bench: &Bench<'_>) -> Result<()> {
    report.next("flow: a chain of three steps");
    let builder = Stack::builder().functions(bench.functions.clone()).config(Config::shipped()?);
    let builder = builder.own_names().wake_ups().ingests(1);
    let stack = builder.broker_profile(bench.profile).env("IDLE_EXIT", "300ms").start().await?;
    // The very first chain finds no stream lease and no lanes, so it does not count.
    chain(&stack, 0).await?;
    let mut times = Vec::new();
    for number in 1..=CHAINS * u32::from(bench.rounds) {
        times.push(chain(&stack, number).await?);
    }
    let what = "from the 2xx to the last of three calls";
    row(report, &format!("{what}: p50"), "ms", percentile(&times, 50)?, 50.0)?;
    report.alone(format!("{what}: p99"), "ms", vec![percentile(&times, 99)?])
}

/// One chain that comes alone: to a new process of ingest, which has sent no wake-up before.
async fn chain(stack: &Stack, number: u32) -> Result<Duration> {
    stack.ingest.killer().kill().await;
    stack.ingest.warm().await?;
    let invoice = Webhook::sample("billing.invoice.issued")?;
    let invoice = invoice.edited(|event| event["data"]["invoice_id"] = format!("in_{number}").into());
    let mut ends = stack.lambda()?.follow();
    let answer = stack.deliver(&invoice).await?;
    let answered = Instant::now();
    ensure!(answer.status == 202, "{}", answer.status);
    let before = number as usize;
    stack.third_party.until(LIMIT, |ledger| ledger.applied_on(LAST).len() > before).await?;
    let took = answered.elapsed();
    timeout(LIMIT, ends.recv()).await.context("the woken run does not end")???;
    Ok(took)
}
