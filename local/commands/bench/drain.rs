//! The consumer's pace on a full topic, beside plain clients that ack, that write, and that do both.

use std::{
    future,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{
    super::measure::cpu_time,
    plain,
    report::{Report, Target},
    site::{Site, pace},
};

const SLOW: Duration = Duration::from_millis(50);

pub(super) async fn measure(report: &mut Report, site: &Site, rounds: u16) -> Result<()> {
    measure_instant(report, site, rounds, "").await?;
    measure_slow(report, site, rounds).await?;
    super::peaks(report, site, &format!(" after {} partitions", site.partitions))
}

/// With a third party that answers at once. Gives ours.
pub(super) async fn measure_instant(
    report: &mut Report,
    site: &Site,
    rounds: u16,
    when: &str,
) -> Result<Vec<f64>> {
    let count = site.room()?;
    let [mut ours, mut cpu, mut acking, mut writing, mut both] = [(); 5].map(|()| Vec::new());
    for _ in 0..rounds {
        let drained = drained(site, count).await?;
        ours.push(drained.per_second);
        cpu.push(drained.cpu_ms);
        acking.push(plainly(site, count, || future::ready(Ok(()))).await?);
        if site.stack.table.is_some() {
            writing.push(plain::two_writes_ceiling(site, count).await?);
            both.push(plainly(site, count, || plain::two_writes(site)).await?);
        }
    }
    let what = format!("drain, {} partitions{when}", site.partitions);
    let target = Some(Target::AtLeast(0.8));
    let is_bound_by_table = writing.iter().sum::<f64>() < acking.iter().sum::<f64>();
    let on_broker = target.filter(|_| writing.is_empty() || !is_bound_by_table);
    report.beside(what.clone(), "/s", ours.clone(), "consume and ack", acking, on_broker)?;
    if !writing.is_empty() {
        let on_table = target.filter(|_| is_bound_by_table);
        report.beside(what.clone(), "/s", ours.clone(), "two writes", writing, on_table)?;
        report.beside(what.clone(), "/s", ours.clone(), "consume, two writes, ack", both, None)?;
    }
    report.alone(format!("{what}: CPU time of the consumer's process a command"), "ms", cpu)?;
    Ok(ours)
}

/// With a third party that takes its time: what is in flight, by the time that each must take.
async fn measure_slow(report: &mut Report, site: &Site, rounds: u16) -> Result<()> {
    if site.stack.table.is_none() {
        eprintln!("left out: a drain with a slow third party needs the time of two plain writes");
        return Ok(());
    }
    site.third_party_takes(SLOW);
    let (mut ours, mut bound) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(drained(site, site.room()?).await?.per_second);
        let since = Instant::now();
        for _ in 0..20 {
            plain::two_writes(site).await?;
        }
        let each = SLOW + since.elapsed() / 20;
        bound.push(f64::from(u32::try_from(site.in_flight())?) / each.as_secs_f64());
    }
    site.third_party_takes(Duration::ZERO);
    let what = format!("drain, {} partitions, the third party takes 50 ms", site.partitions);
    let beside = "2 × partitions ÷ (50 ms + two writes)";
    report.beside(what, "/s", ours, beside, bound, Some(Target::AtLeast(0.9)))
}

/// What a run came to.
struct Drained {
    per_second: f64,
    /// Of the consumer's process, for each command.
    cpu_ms: f64,
}

/// Fills the topic with fresh commands and runs the consumer.
async fn drained(site: &Site, count: usize) -> Result<Drained> {
    let ids: Vec<_> = (0..count).map(|_| site.id()).collect();
    site.produce(&site.stack.topic, &ids).await?;
    let before = cpu_time(&site.stack.consumer)?;
    let (summary, calls) = site.run_consumer().await?;
    ensure!(summary.done == count as u64 && summary.unacked == 0, "not {count} done: {summary:?}");
    let cpu = cpu_time(&site.stack.consumer)? - before;
    Ok(Drained {
        per_second: pace(&calls, site.in_flight())?,
        cpu_ms: cpu.as_secs_f64() * 1e3 / f64::from(u32::try_from(count)?),
    })
}

/// Fills a topic with the same and consumes it by a plain client.
async fn plainly<F: Future<Output = Result<()>>>(
    site: &Site,
    count: usize,
    between: impl Fn() -> F,
) -> Result<f64> {
    let topic = format!("{}.plain", site.stack.topic);
    site.make_topic(&topic).await?;
    let ids: Vec<_> = (0..count).map(|_| site.id()).collect();
    site.produce(&topic, &ids).await?;
    plain::consume(site, (&topic, "plain"), count, between).await
}
