//! Whether anything grows with what is already in the table and in the topic.

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use local::functions::{Bare, Functions};

use super::{
    Args, drain, ingest, plain,
    recorded::Recorded,
    report::{Report, Target},
    site::Site,
    storm,
};

const PARTITIONS: usize = 8;

pub(super) async fn measure(
    report: &mut Report,
    functions: &Functions,
    bare: &Bare,
    recorded: &Recorded,
    args: &Args,
) -> Result<()> {
    let site = Site::start(functions, bare, recorded, PARTITIONS).await?;
    if site.stack.table.is_none() {
        eprintln!("left out: the table of EFFECTS_TABLE can't be filled by plain HTTP");
        return Ok(());
    }
    let mut smallest: Option<[Vec<f64>; 3]> = None;
    let mut filled = 0;
    for &size in &args.sizes {
        fill(&site, size.saturating_sub(filled)).await?;
        filled = filled.max(size);
        let when = format!(", {size} effects already there");
        let p50 = ingest::measure_one(report, &site, args.rounds, &when).await?;
        let drain = drain::measure_instant(report, &site, args.rounds, &when).await?;
        let storm = storm::measure(report, &site, args.rounds, &when).await?;
        super::peaks(report, &site, &when)?;
        let now = [p50, drain, storm];
        let Some([p50, drain, storm]) = &smallest else {
            smallest = Some(now);
            continue;
        };
        let [p50_now, drain_now, storm_now] = now;
        let first = format!("at {} effects", args.sizes[0]);
        let mut flat = |what: &str, unit, now, then: &Vec<f64>, target| {
            report.beside(format!("growth of {what}{when}"), unit, now, &*first, then.clone(), Some(target))
        };
        flat("ingest's p50", "ms", p50_now, p50, Target::AtMost(1.1))?;
        flat("the drain", "/s", drain_now, drain, Target::AtLeast(0.9))?;
        flat("the storm", "/s", storm_now, storm, Target::AtLeast(0.9))?;
    }
    Ok(())
}

/// So many more effects that are done, and as many messages of the topic that are acked.
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
