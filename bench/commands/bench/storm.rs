//! A storm of duplicates: of ten messages, nine are for the same effect as the first.

use anyhow::{Result, ensure};

use super::{
    plain,
    report::{Report, UNSIGNED},
    site::{Site, pace},
};

const COPIES: usize = 10;

/// Returns our figures.
pub(super) async fn measure(report: &mut Report, site: &Site, rounds: u16, when: &str) -> Result<Vec<f64>> {
    let what = format!("duplicate storm, {} partitions{when}", site.partitions);
    report.next(&what);
    let (mut ours, mut refusals) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(weathered(site).await?);
        if site.stack.table.is_some() {
            refusals.push(plain::refusals(site, site.room()?).await?);
        }
    }
    let beside = "puts that the table refuses";
    if refusals.is_empty() {
        report.alone(what.clone(), "/s", ours.clone())?;
        report.left_out(format!("{what}, beside {beside}"), UNSIGNED);
    } else {
        report.beside(what, "/s", ours.clone(), beside, refusals, None)?;
    }
    Ok(ours)
}

/// Each call stands for the ten messages of its effect.
async fn weathered(site: &Site) -> Result<f64> {
    let fresh = site.room()? / COPIES;
    let ids: Vec<_> = (0..fresh).map(|_| site.id()).flat_map(|id| vec![id; COPIES]).collect();
    site.produce(&site.stack.topic, &ids).await?;
    let (summary, calls) = site.run_consumer().await?;
    ensure!(summary.done == fresh as u64, "not {fresh} done: {summary:?}");
    ensure!(summary.duplicates == (ids.len() - fresh) as u64, "not all the others duplicates: {summary:?}");
    #[expect(clippy::cast_precision_loss, reason = "ten")]
    let copies = COPIES as f64;
    // Until the first acks each partition has one effect at work.
    Ok(pace(&calls, site.partitions)? * copies)
}
