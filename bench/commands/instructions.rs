//! `--instructions`: how many instructions the release binaries execute, counted by valgrind's callgrind. Unlike times they
//! are the same on a busy machine, so a change of a few percent is a change of the code.
//!
//! [`counted`] a function under callgrind · [`budgets`] the budget of each figure.

mod budgets;
mod counted;

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
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

/// A number of webhooks after which a process has made its connections and compiled its templates.
const FEW: usize = 20;
/// How many more webhooks are counted.
const MORE: usize = 200;
/// How often everything is counted; the least counts.
const ROUNDS: usize = 3;
/// How often a webhook is delivered.
const TRIES: usize = 4;
/// A long time limit: a function is some fifty times slower under callgrind.
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

/// From the exec to the first poll, with the embedded configuration, as deployed; and one webhook more.
async fn starts(callgrind: &Callgrind, figures: &mut Figures) -> Result<()> {
    let builder = Stack::builder().functions(callgrind.functions.clone()).own_names().direct();
    let stack = builder.ingests(1).env("WEBHOOKS_CONFIG", "").start().await?;
    let ids = Ids::new();
    let [mut ingest, mut first, mut consumer] = [(); 3].map(|()| Vec::new());
    for _ in 0..ROUNDS {
        for (function, counts) in [(&stack.ingest, &mut ingest), (&stack.consumer, &mut consumer)] {
            function.warm().await?;
            counts.push(count(function).await?);
        }
        deliver(&stack, &[ids.next()]).await?;
        first.push(count(&stack.ingest).await?);
    }
    figures.ingest.start = least(&ingest)?;
    figures.ingest.first_webhook = least(&first)?.saturating_sub(figures.ingest.start);
    figures.consumer.start = least(&consumer)?;
    Ok(())
}

/// Counts the differences between a few webhooks and many, so that neither start-up nor the run's own work is in them.
async fn work(callgrind: &Callgrind, figures: &mut Figures) -> Result<()> {
    let builder = Stack::builder().functions(callgrind.functions.clone()).config(patient()?).own_names();
    let stack = builder.direct().ingests(1).env("IDLE_EXIT", "300ms").start().await?;
    // These processes have only been started.
    stack.ingest.recycle();
    stack.consumer.recycle();
    let ids = Ids::new();
    let [mut few, mut many] = [(); 2].map(|()| Counts::default());
    for round in 1..=ROUNDS {
        for (number, counts) in [(FEW, &mut few), (FEW + MORE, &mut many)] {
            let ids: Vec<_> = (0..number).map(|_| ids.next()).collect();
            deliver(&stack, &ids).await?;
            counts.webhooks.push(count(&stack.ingest).await?);
            counts.fresh.push(drained(&stack, number, |summary| summary.done).await?);
            deliver(&stack, &ids).await?;
            counts.duplicates.push(drained(&stack, number, |summary| summary.duplicates).await?);
            stack.ingest.recycle();
        }
        eprintln!("        {round} of {ROUNDS} rounds of webhooks and commands are counted");
    }
    figures.ingest.webhook = each(&few.webhooks, &many.webhooks)?;
    figures.consumer.fresh = each(&few.fresh, &many.fresh)?;
    figures.consumer.duplicate = each(&few.duplicates, &many.duplicates)?;
    Ok(())
}

/// Instructions for a number of webhooks and their commands, one count per round.
#[derive(Default)]
struct Counts {
    webhooks: Vec<u64>,
    fresh: Vec<u64>,
    duplicates: Vec<u64>,
}

/// Runs the consumer and counts its instructions. Fails unless it settled the expected number of commands: otherwise something else was
/// counted.
async fn drained(stack: &Stack, number: usize, of: fn(&Summary) -> u64) -> Result<u64> {
    let summary = stack.run_consumer().await?;
    ensure!(of(&summary) == number as u64, "not {number} settled as expected: {summary:?}");
    count(&stack.consumer).await
}

/// Whatever else happens while a function is slow, such as a second try, makes a count larger and never smaller.
fn least(counts: &[u64]) -> Result<u64> {
    counts.iter().min().copied().context("nothing was counted")
}

/// The difference per additional webhook.
fn each(few: &[u64], many: &[u64]) -> Result<u64> {
    Ok(least(many)?.saturating_sub(least(few)?) / MORE as u64)
}

/// A configuration for a slow machine. Each call takes long there, and must not be handed over for that. Other steps are
/// left out: the lane of each step would be read every second, however few commands are done in that time.
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

/// On a machine that is busy as well, broker and table may be too slow for ingest, and the provider delivers again.
async fn deliver(stack: &Stack, ids: &[String]) -> Result<()> {
    for id in ids {
        let mut answer = stack.ingest.invoke_bytes(event(&stack.config, id)?, LIMIT).await?;
        for _ in 1..TRIES {
            if answer["statusCode"] == 503 {
                answer = stack.ingest.invoke_bytes(event(&stack.config, id)?, LIMIT).await?;
            }
        }
        ensure!(answer["statusCode"] == 202, "ingest answered {answer}");
    }
    Ok(())
}
