//! `--instructions`: how many instructions the release binaries execute, counted by valgrind's callgrind. Unlike times they
//! are the same on a busy machine, so a change of a few percent is a change of the code.
//!
//! [`counted`] a function under callgrind · [`budgets`] what each figure may be.

mod budgets;
mod counted;

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use jiff::Timestamp;
use local::{
    config::Config,
    functions::Functions,
    stack::{Stack, Summary},
};

use self::{
    budgets::Figures,
    counted::{Callgrind, count},
};
use super::bench::{ingest::event, recorded::STEP, site::Ids};

/// Enough that a process has made its connections and compiled its templates.
const FEW: usize = 20;
/// How many more are counted.
const MORE: usize = 200;
/// A function is some fifty times slower under callgrind.
const LIMIT: Duration = Duration::from_secs(60);

/// Counts, prints, and compares with the budgets.
pub(crate) async fn run() -> Result<()> {
    let functions = match std::env::var_os("FUNCTIONS_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => Functions::in_dir(Path::new(&dir))?,
        None => Functions::build(true).await?,
    };
    let callgrind = Callgrind::find(&functions)?;
    let mut figures = Figures::default();
    starts(&callgrind, &mut figures).await?;
    work(&callgrind, &mut figures).await?;
    budgets::report(&figures)
}

/// From the exec to the first poll, with the embedded configuration, as deployed.
async fn starts(callgrind: &Callgrind, figures: &mut Figures) -> Result<()> {
    let builder = Stack::builder().functions(callgrind.functions.clone()).own_names().direct();
    let stack = builder.ingests(1).env("WEBHOOKS_CONFIG", "").start().await?;
    figures.ingest.start = count(&stack.ingest).await?;
    figures.consumer.start = count(&stack.consumer).await?;
    eprintln!("        start-up: {} and {}", figures.ingest.start, figures.consumer.start);
    let ids = Ids::new();
    deliver(&stack, &[ids.next()]).await?;
    figures.ingest.first_webhook = count(&stack.ingest).await? - figures.ingest.start;
    Ok(())
}

/// Differences between a few and many, so that neither start-up nor the run's own work is in them.
async fn work(callgrind: &Callgrind, figures: &mut Figures) -> Result<()> {
    let config = patient()?;
    let builder = Stack::builder().functions(callgrind.functions.clone()).config(config).own_names();
    let stack = builder.direct().ingests(1).env("IDLE_EXIT", "300ms").start().await?;
    let ids = Ids::new();
    let [few, many] = [FEW, FEW + MORE].map(|count| (0..count).map(|_| ids.next()).collect::<Vec<_>>());
    // These processes have only been started.
    stack.ingest.recycle();
    stack.consumer.recycle();
    let mut webhooks = Vec::new();
    let mut commands = Vec::new();
    for round in [&few, &many, &few, &many] {
        deliver(&stack, round).await?;
        webhooks.push(count(&stack.ingest).await?);
        let summary = stack.run_consumer().await?;
        commands.push((count(&stack.consumer).await?, summary));
        eprintln!("        {} webhooks and their commands are counted", round.len());
    }
    let [few_fresh, fresh, few_duplicates, duplicates] = &commands[..] else { unreachable!("four rounds") };
    settled(&[few_fresh, fresh], |summary| summary.done)?;
    settled(&[few_duplicates, duplicates], |summary| summary.duplicates)?;
    figures.ingest.webhook = each(webhooks[0], webhooks[1]);
    figures.consumer.fresh = each(few_fresh.0, fresh.0);
    figures.consumer.duplicate = each(few_duplicates.0, duplicates.0);
    Ok(())
}

/// A configuration for a machine that is slow. Each call takes long there, and none is to leave its partition for that; and
/// each step's lane would be read every second, however few commands that is.
fn patient() -> Result<Config> {
    let mut config = Config::from_env()?;
    let table = config.table();
    let consumer = table.entry("consumer").or_insert_with(|| toml::Table::new().into());
    consumer.as_table_mut().map(|consumer| consumer.insert("slow_call".into(), "10s".into()));
    let is_needed = |step: &toml::Value| step.get("id").and_then(toml::Value::as_str) == Some(STEP);
    if let Some(steps) = table.get_mut("steps").and_then(toml::Value::as_array_mut) {
        steps.retain(is_needed);
    }
    Ok(config)
}

/// The difference, by how many more there were.
fn each(few: u64, many: u64) -> u64 {
    many.saturating_sub(few) / MORE as u64
}

async fn deliver(stack: &Stack, ids: &[String]) -> Result<()> {
    for id in ids {
        let answer = stack.ingest.invoke_bytes(event(&stack.config, id)?, LIMIT).await?;
        ensure!(answer["statusCode"] == 202, "ingest answered {answer} at {}", Timestamp::now());
    }
    Ok(())
}

/// Otherwise something else than that was counted.
fn settled(runs: &[&(u64, Summary)], of: fn(&Summary) -> u64) -> Result<()> {
    for ((_, summary), expected) in runs.iter().zip([FEW, FEW + MORE]) {
        ensure!(of(summary) == expected as u64, "not {expected} settled as expected: {summary:?}");
    }
    Ok(())
}
