//! A crash at every boundary. A scenario is told once, and every request that the function makes on any wire is numbered.
//! Then it is told again for each of them, and the process gets a SIGKILL there: before the request is processed; when it
//! has been processed and before it is answered; when the answer has gone out. The next invocation has a fresh process, the
//! schedule goes on, and in the end the third party's ledger and the effects table are compared.
//!
//! By default every boundary and moment is told under one policy, and a third of them, evenly spread, under each of the
//! others. `CRASH_MATRIX=full` tells them all.

mod boundary;
mod story;
mod table;

use std::{
    collections::BTreeMap,
    env,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};

pub(crate) use self::boundary::Moment;
use self::{
    story::{Policy, Scenario, Story, Told},
    table::Table,
};

/// Most of a story is waiting.
const SIDE_BY_SIDE: usize = 24;
const LIMIT: Duration = Duration::from_secs(120);
/// The policy under which nobody forgives a mistake: the third party dedupes nothing, and each effect must be done.
const STRICTEST: Policy = Policy::LookUp;
const SAMPLE: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_boundary_loses_nothing_and_doubles_nothing() -> Result<()> {
    let started = Instant::now();
    let full = env::var("CRASH_MATRIX").is_ok_and(|which| which == "full");
    let undisturbed = Scenario::ALL
        .into_iter()
        .flat_map(|scenario| Policy::ALL.map(|policy| Story { scenario, policy, death: None }));
    let undisturbed: BTreeMap<Story, Told> = tell(undisturbed)
        .map(|(story, told)| anyhow::Ok((story, told.with_context(|| format!("{story:?}"))?)))
        .try_collect()
        .await?;
    let deaths = undisturbed.iter().flat_map(|(story, told)| deaths(*story, told));
    let chosen = deaths
        .enumerate()
        .filter(|(number, story)| full || story.policy == STRICTEST || number % SAMPLE == 0);
    let chosen: Vec<_> = chosen.map(|(_, story)| story).collect();
    let told: BTreeMap<Story, Result<Told>> = tell(chosen).collect().await;

    let table = Table { undisturbed, told };
    println!("{table}");
    if !full {
        println!("{STRICTEST:?} in full, one in {SAMPLE} of the others; CRASH_MATRIX=full tells them all");
    }
    println!("{} s", started.elapsed().as_secs());
    let failed: Vec<_> = table.failed().collect();
    ensure!(failed.is_empty(), "{} stories went wrong:\n{}", failed.len(), failed.join("\n"));
    Ok(())
}

/// The same story with a death at each of its boundaries.
fn deaths(story: Story, told: &Told) -> Vec<Story> {
    let deaths = told.boundaries.iter().flat_map(|boundary| Moment::ALL.map(|moment| (*boundary, moment)));
    deaths.map(|death| Story { death: Some(death), ..story }).collect()
}

fn tell(stories: impl IntoIterator<Item = Story>) -> impl futures_util::Stream<Item = (Story, Result<Told>)> {
    let told = |story: Story| async move {
        let told = tokio::time::timeout(LIMIT, story.tell()).await;
        (story, told.unwrap_or_else(|_| Err(anyhow::anyhow!("it takes more than {LIMIT:?}"))))
    };
    stream::iter(stories).map(told).buffer_unordered(SIDE_BY_SIDE)
}
