//! Effects by time: each once, the newest first, over days and shards.

use anyhow::Result;
use driftq_webhooks::{command::Command, effect_id::RunId, effects::record::Status};
use jiff::{SignedDuration, Timestamp};

use crate::guard::{Case, Table, now, win};

/// A command of a run of its own.
fn command(number: usize) -> Result<Case> {
    let command = Command {
        run_id: RunId::escape(&format!("stripe.evt_{number}"))?,
        business_key: format!("dp_{number}"),
        ..Case::new(number.into()).command
    };
    Ok(Case { effect: command.effect_id()?, command })
}

/// When the effect with that number was first recorded: some share a moment, and 260 of them cover two and a half days.
fn at(number: usize) -> Timestamp {
    now() - SignedDuration::from_mins(i64::try_from(number / 2).unwrap_or_default() * 28)
}

#[tokio::test]
async fn every_effect_of_the_time_asked_for_comes_once_and_the_newest_first() -> Result<()> {
    let table = Table::start().await?;
    for number in 0..260 {
        let case = command(number)?;
        let _ = table.agenda.enqueue(&case.effect, &case.command, at(number), at(number)).await?;
    }
    // A claimed effect that never was on the agenda is included; a record beside an effect is not.
    let claimed = Case::new(1.into());
    let lease = win(&table, &claimed, now() + SignedDuration::from_secs(1)).await?;
    drop(lease);

    let (since, before) = (at(250), now() + SignedDuration::from_secs(2));
    let mut recent = table.listing.recent(since, before);
    let mut all = Vec::new();
    loop {
        let page = recent.page(30).await?;
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 30);
        all.extend(page);
    }
    assert_eq!((all.len(), all[0].status), (1 + 252, Status::InProgress));
    assert!(all.is_sorted_by(|one, other| one.created_at >= other.created_at));
    let mut ids: Vec<_> = all.iter().map(|record| &record.effect_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all.len());
    assert!(all.iter().all(|record| record.created_at >= since && record.created_at < before));

    assert_eq!(table.listing.recent(at(3), at(1)).page(100).await?.len(), 2, "the end does not belong to it");
    assert!(table.listing.recent(now() + SignedDuration::from_hours(1), before).page(9).await?.is_empty());
    Ok(())
}
