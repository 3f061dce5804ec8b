//! A crash at every boundary. A scenario is told once, and every request that the function makes on any wire is numbered.
//! Then it is told again for each of them, and the process gets a SIGKILL there: before the request is processed; when it
//! has been processed and before it is answered; when the answer has gone out. The next invocation has a fresh process, the
//! schedule goes on, and in the end the third party's ledger and the effects table are compared.
//!
//! By default a quarter of the deaths is told, another one each time: all of them take five minutes. `CRASH_MATRIX=all` tells all,
//! as CI does. Any other text repeats a part: the stories whose names begin with it, such as `Recovery` or
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
use crate::{publish, table_has_no_wire};

/// Most of a story is waiting: for the broker, and for leases to end. Stories that have too little of a processor lose
/// leases, and take longer for that.
const SIDE_BY_SIDE_PER_PROCESSOR: usize = 12;
const LIMIT: Duration = Duration::from_secs(180);
/// By default one of so many deaths is told.
const SHARE: usize = 4;
const ALL: &str = "all";

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_boundary_loses_nothing_and_doubles_nothing() -> Result<()> {
    if table_has_no_wire() {
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
    // Those of different scenarios side by side: some need the processor all the time, others mostly wait.
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
