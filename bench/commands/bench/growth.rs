//! All measurements with 8 partitions, and whether any figure grows with the contents of the table and the
//! topic.

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    Args, drain, ingest, plain,
    report::{Report, Target, UNSIGNED},
    site::Site,
    storm,
};

/// Measures at each size. A slow third party would hide a growth, so it is measured at the first size only.
pub(super) async fn measure(report: &mut Report, site: &Site, args: &Args) -> Result<()> {
    if site.stack.table.is_none() {
        drain::measure(report, site, args.rounds).await?;
        storm::measure(report, site, args.rounds, "").await?;
        report.left_out("growth with the effects that are already there".into(), UNSIGNED);
        return Ok(());
    }
    let mut smallest: Option<Figures> = None;
    let mut filled = 0;
    for &size in &args.sizes {
        report.next(&format!("filling the table and the topic: {size} effects"));
        fill(site, size.saturating_sub(filled)).await?;
        filled = filled.max(size);
        let when = format!(", {size} effects already there");
        let now = Figures {
            p50: ingest::measure_one(report, site, args.rounds, &when).await?,
            drain: drain::measure_instant(report, site, args.rounds, &when).await?,
            storm: storm::measure(report, site, args.rounds, &when).await?,
        };
        if smallest.is_none() {
            drain::measure_slow(report, site, args.rounds, &when).await?;
        }
        super::peaks(report, site, &when)?;
        match &smallest {
            None => smallest = Some(now),
            Some(then) => now.beside(report, &when, then, &format!("at {} effects", args.sizes[0]))?,
        }
    }
    Ok(())
}

/// The figures that must not grow.
struct Figures {
    p50: Vec<f64>,
    drain: Vec<f64>,
    storm: Vec<f64>,
}

impl Figures {
    fn beside(self, report: &mut Report, when: &str, then: &Self, at_first: &str) -> Result<()> {
        let mut flat = |what: &str, unit, now, then: &[f64], target| {
            let what = format!("growth of {what}{when}");
            report.beside(what, unit, now, at_first, then.to_vec(), Some(target))
        };
        flat("ingest's p50", "ms", self.p50, &then.p50, Target::AtMost(1.1))?;
        flat("the drain", "/s", self.drain, &then.drain, Target::AtLeast(0.9))?;
        flat("the storm", "/s", self.storm, &then.storm, Target::AtLeast(0.9))
    }
}

/// Adds this many effects that are done, and as many messages that are acked.
async fn fill(site: &Site, count: usize) -> Result<()> {
    stream::iter(0..count).map(Ok).try_for_each_concurrent(32, |_| plain::two_writes(site)).await?;
    let mut left = count;
    while left > 0 {
        let some = left.min(site.room()?);
        let ids: Vec<_> = (0..some).map(|_| site.id()).collect();
        site.produce(&site.stack.topic, &ids).await?;
        plain::empty(site, some).await?;
        left -= some;
    }
    Ok(())
}
