//! The consumer's pace on a full topic, beside plain clients that ack, that write, and that do both.

use std::{future, time::Duration};

use anyhow::{Context, Result, ensure};

use super::{
    super::measure::cpu_time,
    plain,
    report::{Report, Target, UNSIGNED},
    site::{Site, pace},
};

const SLOW: Duration = Duration::from_millis(50);

pub(super) async fn measure(report: &mut Report, site: &Site, rounds: u16) -> Result<()> {
    measure_instant(report, site, rounds, "").await?;
    measure_slow(report, site, rounds, "").await?;
    super::peaks(report, site, &format!(" after {} partitions", site.partitions))
}

/// Measures with a third party that answers at once. Returns our figures.
pub(super) async fn measure_instant(
    report: &mut Report,
    site: &Site,
    rounds: u16,
    when: &str,
) -> Result<Vec<f64>> {
    let what = format!("drain, {} partitions{when}", site.partitions);
    report.next(&what);
    let count = site.room()?;
    let (mut ours, mut cpu, mut bounds) = (Vec::new(), Vec::new(), Bounds::default());
    for _ in 0..rounds {
        let drained = drained(site, count).await?;
        ours.push(drained.per_second);
        cpu.push(drained.cpu_ms);
        bounds.measure(site, count).await?;
    }
    bounds.report(report, &what, &ours, target(site))?;
    report.alone(format!("{what}: CPU time of the consumer's process a command"), "ms", cpu)?;
    Ok(ours)
}

/// How much plain clients do per second.
#[derive(Default)]
struct Bounds {
    acking: Vec<f64>,
    writing: Vec<f64>,
    both: Vec<f64>,
}

impl Bounds {
    async fn measure(&mut self, site: &Site, count: usize) -> Result<()> {
        self.acking.push(plainly(site, count, || future::ready(Ok(()))).await?);
        if site.stack.table.is_some() {
            self.writing.push(plain::two_writes_ceiling(site, count).await?);
            self.both.push(plainly(site, count, || plain::two_writes(site)).await?);
        }
        Ok(())
    }

    /// The target applies to the lower one of the broker's bound and the table's. If one of them is not known, it
    /// applies to neither.
    fn report(self, report: &mut Report, what: &str, ours: &[f64], target: Target) -> Result<()> {
        let Self { acking, writing, both } = self;
        let [on_broker, on_table] = targets(&acking, &writing, target);
        let mut beside = |bound: &str, figures, target| {
            report.beside(what.to_owned(), "/s", ours.to_vec(), bound, figures, target)
        };
        beside("consume and ack", acking, on_broker)?;
        if writing.is_empty() {
            report.left_out(format!("{what}, beside what the table allows, and so its target"), UNSIGNED);
            return Ok(());
        }
        beside("two writes", writing, on_table)?;
        beside("consume, two writes, ack", both, None)
    }
}

/// With one partition of a broker that delivers two messages at a time, claim, call, commit and ack follow one another.
fn target(site: &Site) -> Target {
    Target::AtLeast(if site.in_flight() == 2 { 0.7 } else { 0.85 })
}

fn targets(acking: &[f64], writing: &[f64], target: Target) -> [Option<Target>; 2] {
    let target = Some(target);
    if writing.is_empty() {
        [None, None]
    } else if writing.iter().sum::<f64>() < acking.iter().sum::<f64>() {
        [None, target]
    } else {
        [target, None]
    }
}

/// Measures with a slow third party. The bound is the number of messages in flight, divided by the time that each takes
/// at least.
pub(super) async fn measure_slow(report: &mut Report, site: &Site, rounds: u16, when: &str) -> Result<()> {
    let what = format!("drain, {} partitions{when}, the third party takes 50 ms", site.partitions);
    report.next(&what);
    site.third_party.takes(SLOW);
    let (mut ours, mut bound) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(drained(site, site.room()?).await?.per_second);
        if site.stack.table.is_some() {
            let each = SLOW + plain::time_of_two_writes(site).await?;
            bound.push(f64::from(u32::try_from(site.in_flight())?) / each.as_secs_f64());
        }
    }
    site.third_party.takes(Duration::ZERO);
    let beside = "in flight ÷ (50 ms + two writes)";
    if bound.is_empty() {
        report.alone(what.clone(), "/s", ours)?;
        report.left_out(format!("{what}, beside {beside}"), UNSIGNED);
        return Ok(());
    }
    report.beside(what, "/s", ours, beside, bound, Some(Target::AtLeast(0.9)))
}

/// The figures of a run.
pub(super) struct Drained {
    pub(super) per_second: f64,
    /// CPU time of the consumer's process per command.
    pub(super) cpu_ms: f64,
}

/// Fills the topic with fresh commands and runs the consumer.
pub(super) async fn drained(site: &Site, count: usize) -> Result<Drained> {
    let ids: Vec<_> = (0..count).map(|_| site.id()).collect();
    site.produce(&site.stack.topic, &ids).await?;
    let cpu_time = || {
        let consumer = &site.stack.consumer;
        cpu_time(consumer).with_context(|| format!("has the consumer ended?\n{}", consumer.log().tail(20)))
    };
    let before = cpu_time()?;
    let (summary, calls) = site.run_consumer().await?;
    ensure!(summary.done == count as u64 && summary.unacked == 0, "not {count} done: {summary:?}");
    let cpu = cpu_time()? - before;
    Ok(Drained {
        per_second: pace(&calls, site.in_flight())?,
        cpu_ms: cpu.as_secs_f64() * 1e3 / f64::from(u32::try_from(count)?),
    })
}

/// Fills a topic with the same commands, and consumes them by a plain client.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_counts_against_the_lower_bound_if_both_are_known() {
        let counts =
            |acking, writing| targets(acking, writing, Target::AtLeast(0.7)).map(|target| target.is_some());
        assert_eq!(counts(&[9.0, 9.0], &[8.0, 8.0]), [false, true]);
        assert_eq!(counts(&[7.0, 7.0], &[8.0, 8.0]), [true, false]);
        assert_eq!(counts(&[7.0, 7.0], &[]), [false, false]);
    }
}
