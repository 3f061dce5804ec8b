//! A crash at every boundary. A scenario is told once, and every request that the function makes on any wire is numbered.
//! Then it is told again for each of them, and the process gets a SIGKILL there: before the request is processed; when it
//! has been processed and before it is answered; when the answer has gone out. The next invocation has a fresh process, the
//! schedule goes on, and in the end the third party's ledger and the effects table are compared.

mod boundary;
mod numbering;
mod plot;
mod scene;
mod story;
mod table;

use std::{
    collections::BTreeMap,
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

/// Most of a story is waiting: for the broker, for leases to end, for the first acks to be let go.
const SIDE_BY_SIDE: usize = 32;
const LIMIT: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_boundary_loses_nothing_and_doubles_nothing() -> Result<()> {
    if table_has_no_wire() {
        return Ok(());
    }
    let started = Instant::now();
    let undisturbed: BTreeMap<Story, Told> = tell(Story::undisturbed())
        .map(|(story, told)| anyhow::Ok((story, told.with_context(|| format!("{story:?}"))?)))
        .try_collect()
        .await?;
    let deaths: Vec<_> = undisturbed.iter().flat_map(|(story, told)| story.with_deaths(told)).collect();
    let told: BTreeMap<Story, Result<Told>> = tell(deaths).collect().await;

    let table = Table { undisturbed, told };
    publish(&format!("{table}\n{} s, {SIDE_BY_SIDE} side by side", started.elapsed().as_secs()));
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
    stream::iter(stories).map(told).buffer_unordered(SIDE_BY_SIDE)
}
