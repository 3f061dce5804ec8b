//! `bench/instructions.toml`: the budget of each figure. It is changed in the same commit as the code that makes a
//! figure grow.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

const FILE: &str = include_str!("../../instructions.toml");
/// A figure may exceed its budget by this percentage.
const PERCENT: u64 = 5;

/// All figures, or the budget of each.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Figures {
    pub(super) ingest: Ingest,
    pub(super) consumer: Consumer,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ingest {
    /// From the exec to the first poll.
    pub(super) start: u64,
    /// Instructions for the first webhook of a process.
    pub(super) first_webhook: u64,
    /// Instructions for each later webhook.
    pub(super) webhook: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Consumer {
    /// From the exec to the first poll.
    pub(super) start: u64,
    /// A command whose effect is done.
    pub(super) fresh: u64,
    /// A command whose effect has been done before.
    pub(super) duplicate: u64,
}

impl Figures {
    fn rows(&self) -> [(&'static str, u64); 6] {
        let Self { ingest, consumer } = self;
        [
            ("ingest: start-up", ingest.start),
            ("ingest: the first webhook", ingest.first_webhook),
            ("ingest: a webhook", ingest.webhook),
            ("consumer: start-up", consumer.start),
            ("consumer: a fresh command", consumer.fresh),
            ("consumer: a duplicate command", consumer.duplicate),
        ]
    }
}

/// Prints the figures beside their budgets.
///
/// # Errors
/// One is too far over its budget.
pub(super) fn report(figures: &Figures) -> Result<()> {
    let budgets: Figures = toml::from_str(FILE).context("bench/instructions.toml")?;
    let mut over = Vec::new();
    println!("| instructions, in thousands | counted | budget |\n|---|---|---|");
    for ((what, counted), (_, budget)) in figures.rows().into_iter().zip(budgets.rows()) {
        println!("| {what} | {} | {} |", counted / 1000, budget / 1000);
        if is_over(counted, budget) {
            over.push(what);
        }
    }
    if !over.is_empty() {
        bail!(
            "over the budget by more than {PERCENT} %: {}; make it cheaper, or say in the commit why not, and \
             change bench/instructions.toml in it",
            over.join(", ")
        );
    }
    Ok(())
}

fn is_over(counted: u64, budget: u64) -> bool {
    counted * 100 > budget * (100 + PERCENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_percent_are_borne_and_no_more() {
        assert!(!is_over(1050, 1000));
        assert!(is_over(1051, 1000));
    }

    #[test]
    fn there_is_a_budget_for_each_figure() {
        let budgets: Figures = toml::from_str(FILE).unwrap();
        assert!(budgets.rows().iter().all(|(_, budget)| *budget > 0));
    }
}
