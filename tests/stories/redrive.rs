//! Effects that are over are done again, against a real DynamoDB API. Whole redrives are in
//! `cli/tests/commands/redrive.rs`.

use anyhow::Result;
use driftq_webhooks::effects::{
    record::{Receipt, Record, Status},
    redrive::{Redrive, Tally},
};
use serde_json::json;
use uuid::Uuid;

use crate::guard::{Case, Table, later, now, win};

/// A table in which an effect with this input is done, and the effect's record.
async fn done(input: serde_json::Value) -> Result<(Table, Record)> {
    let (table, case) = (Table::start().await?, Case::new(input));
    let lease = win(&table, &case, now()).await?;
    let receipt = Receipt::new(201, "d".into(), serde_json::Map::new());
    let _ = table.guard.commit_and_begin(lease, &receipt, Some(&case.command), &[], later(1)).await?;
    let record = table.listing.run("stripe.evt_1").await?.remove(0);
    assert_eq!(record.status, Status::Done);
    Ok((table, record))
}

async fn redrive(table: &Table, id: Uuid, again: bool) -> Result<Tally> {
    let redrive = Redrive { id, by: "Ada", note: "lost", again, since: now(), before: later(10) };
    Ok(table.roles.redrives().run(&redrive, "all", |_| true, |_| true, |_| {}).await?)
}

#[tokio::test]
async fn of_two_redrives_at_once_each_effect_is_in_one() -> Result<()> {
    let (table, record) = done(json!("small")).await?;
    assert!(record.command.is_some());
    let (one, other) =
        tokio::join!(redrive(&table, Uuid::now_v7(), false), redrive(&table, Uuid::now_v7(), false));
    let (one, other) = (one?, other?);
    let late = |tally: &Tally| tally.overtaken + tally.left_out.redriven;
    assert_eq!((one.redriven + other.redriven, late(&one) + late(&other)), (1, 1));
    Ok(())
}

#[tokio::test]
async fn the_same_redrive_again_makes_the_same_effect() -> Result<()> {
    let (table, record) = done(json!("small")).await?;
    let id = Uuid::now_v7();
    assert_eq!(redrive(&table, id, true).await?.redriven, 1);
    let again = redrive(&table, id, true).await?;
    assert_eq!((again.redriven, again.left_out.redriven), (0, 1));
    let new = table.listing.run(&format!("stripe.evt_1~redrive~{}", id.simple())).await?.remove(0);
    assert_eq!((new.status, new.attempt, new.redrive_of), (Status::Pending, 0, Some(record.effect_id)));
    assert_eq!(new.history.entries[0].what, format!("redrive: lost (bulk {id})"));
    Ok(())
}

#[tokio::test]
async fn a_large_command_is_not_kept() -> Result<()> {
    let (table, record) = done(json!("x".repeat(20_000))).await?;
    assert_eq!(record.command, None);
    assert_eq!(redrive(&table, Uuid::now_v7(), true).await?.left_out.no_command, 1);
    Ok(())
}
