//! A crash at every boundary. A scenario is run once, and every request that the function makes through any fault proxy is numbered. Then it is
//! run again for each of these requests, and the process gets a SIGKILL there: before the request is processed; after it was processed and
//! before the response; after the response. The next invocation has a new process, the schedule continues, and in the end the third party's
//! ledger and the effects table are compared.
//!
//! By default an eighth of the deaths is run, another eighth each time, since all of them take five minutes. `CRASH_MATRIX=all` runs
//! all, as CI does. Any other text repeats a part: the runs whose names begin with it, such as `Recovery` or
//! `Recovery, Park, Before table commit 1`.

mod boundary;
mod config;
mod numbering;
mod plot;
mod records;
mod scene;
mod story;
mod table;

use std::{
    collections::BTreeMap,
    env,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

pub(crate) use self::boundary::Moment;
use self::{
    story::{Story, Told},
    table::Table,
};
use crate::{publish, table_has_no_proxy};

/// Runs in parallel per processor. Most of a run is waiting, for the broker and for leases to expire. With too little CPU, leases are lost, and runs
/// take longer.
const SIDE_BY_SIDE_PER_PROCESSOR: usize = 12;
const LIMIT: Duration = Duration::from_secs(180);
/// By default one of this many deaths is run.
const SHARE: usize = 8;
const ALL: &str = "all";

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_boundary_loses_nothing_and_doubles_nothing() -> Result<()> {
    if table_has_no_proxy() {
        return Ok(());
    }
    let started = Instant::now();
    let chosen = env::var("CRASH_MATRIX").ok();
    let part = chosen.as_deref().filter(|part| *part != ALL).unwrap_or_default();
    let (share, first) = if chosen.is_some() { (1, 0) } else { (SHARE, random_below(SHARE)) };
    let without = Story::undisturbed().filter(|story| story.is_in(part));
    let undisturbed: BTreeMap<Story, Told> = tell(without)
        .map(|(story, told)| anyhow::Ok((story, told.with_context(|| story.to_string())?)))
        .try_collect()
        .await?;
    let deaths = undisturbed.iter().flat_map(|(story, told)| story.with_deaths(told).enumerate());
    let deaths = deaths.filter(|(number, story)| number % share == first && story.is_in(part));
    let mut deaths: Vec<_> = deaths.collect();
    // Runs of different scenarios in parallel: some need the CPU all the time, others mostly wait.
    deaths.sort_by_key(|(number, _)| *number);
    let told: BTreeMap<Story, Result<Told>> =
        tell(deaths.into_iter().map(|(_, story)| story)).collect().await;

    let table = Table { undisturbed, told };
    let seconds = started.elapsed().as_secs();
    publish(&format!("{table}\n1 of {share} deaths, {seconds} s, {} side by side", side_by_side()));
    let failed: Vec<_> = table.failed().collect();
    ensure!(failed.is_empty(), "{} stories went wrong:\n{}", failed.len(), failed.join("\n"));
    ensure!(table.most_died(), "so many boundaries were not reached that this proves little");
    Ok(())
}

fn tell(stories: impl IntoIterator<Item = Story>) -> impl Stream<Item = (Story, Result<Told>)> {
    let told = |story: Story| async move {
        let told = tokio::time::timeout(LIMIT, story.tell()).await;
        (story, told.unwrap_or_else(|_| Err(anyhow!("it takes more than {LIMIT:?}"))))
    };
    stream::iter(stories).map(told).buffer_unordered(side_by_side())
}

fn random_below(count: usize) -> usize {
    uuid::Uuid::new_v4().as_u128() as usize % count
}

fn side_by_side() -> usize {
    available_parallelism().map_or(1, usize::from) * SIDE_BY_SIDE_PER_PROCESSOR
}
