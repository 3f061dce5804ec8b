//! The flow: how soon a webhook is acted on, how fast a backlog is worked off, and how much one third party's failures
//! delay the others.
//!
//! [`latency`] from the 2xx to the call · [`chain`] from the 2xx to the last call of a chain of three · [`backlog`] due
//! records · [`neighbours`] how much other work delays messages · [`load`] commands at a steady rate.

mod backlog;
mod chain;
mod latency;
mod load;
mod neighbours;

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{
    Bench,
    report::{NO_PROXY, Report, Target},
    site::{Setup, Site},
};

/// As many as the consumer of the drain's largest topic has.
const PARTITIONS: usize = 32;
/// Longer than a run needs here.
const RUN: Duration = Duration::from_secs(100);

/// Measures the flow.
pub(super) async fn measure(report: &mut Report, bench: &Bench<'_>) -> Result<()> {
    latency::measure(report, bench).await?;
    chain::measure(report, bench).await?;
    neighbours::measure(report, bench).await?;
    if bench.recorded.has_deferred() {
        backlog::measure(report, bench).await
    } else {
        report.left_out("backlogs of what is due".into(), NO_PROXY);
        Ok(())
    }
}

impl Bench<'_> {
    async fn site(&self, setup: Setup) -> Result<Site> {
        Site::start(self, PARTITIONS, setup).await
    }
}

/// A row whose bound is its target.
fn row(report: &mut Report, what: &str, unit: &'static str, ours: f64, most: f64) -> Result<()> {
    let target = Some(Target::AtMost(1.0));
    report.beside(what.to_owned(), unit, vec![ours], "the target", vec![most], target)
}

/// Runs the consumer again and again for as long as `work` takes, and then kills it.
async fn while_running<T>(site: &Site, work: impl Future<Output = Result<T>>) -> Result<T> {
    let runs = async {
        loop {
            if let Err(error) = site.stack.run_consumer_within(RUN).await {
                return error;
            }
        }
    };
    let done = tokio::select! {
        done = work => done,
        error = runs => bail!("{error}{}", site.stack.report(&[])),
    };
    site.stack.consumer.killer().kill().await;
    done
}

/// The time within which this percentage of all `times` is, in milliseconds.
fn percentile(times: &[Duration], percent: usize) -> Result<f64> {
    let mut times = times.to_vec();
    times.sort_unstable();
    let last = times.len().checked_sub(1).context("nothing was measured")?;
    Ok(times[(times.len() * percent / 100).min(last)].as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_percent_are_within_it() {
        let times: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!((percentile(&times, 50).unwrap(), percentile(&times, 99).unwrap()), (51.0, 100.0));
        assert!(percentile(&[], 50).is_err());
    }
}
