//! Compares what was delivered with the third party's ledger.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context, Result, ensure};
use local::{
    proxy::Seen,
    stack::{Effect, Stack},
    third_party::idempotency_key,
    webhook::Webhook,
};
use serde_json::{Value, json};

use super::story::Story;

/// The steps that come after a charge.
const LATER: [&str; 2] = ["file_charge", "email_charge"];
/// The step that writes an item instead of calling, and the table that serves as its ledger.
pub(crate) const ROW: &str = "save_order";
const TABLE: &str = "orders";

/// What was delivered so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Number of SIGKILLs.
    pub(crate) kills: usize,
    webhooks: usize,
    accepted: usize,
    /// The step of each effect that ingest has accepted, and of each effect after it, by effect id.
    commands: BTreeMap<String, String>,
}

impl Tally {
    /// Delivers a webhook, and records the answer.
    pub(crate) async fn deliver(&mut self, stack: &Stack, story: &Story, webhook: &Webhook) -> Result<()> {
        let answer = stack.deliver(webhook).await?;
        self.webhooks += 1;
        let accepted = (200..300).contains(&answer.status);
        ensure!(accepted != webhook.forged, "{} {}: {}", webhook.source, answer.status, answer.json());
        self.accepted += usize::from(accepted);
        let body = answer.json();
        let effects = body["effects"].as_array().cloned().unwrap_or_default();
        let steps: Vec<_> = effects.iter().filter_map(|effect| effect["step"].as_str()).collect();
        let steps = match (accepted, steps.is_empty()) {
            (false, _) => "refused".to_owned(),
            (true, true) => "accepted; no step is for it".to_owned(),
            (true, false) => format!("accepted for {}", steps.join(" and ")),
        };
        story.line(&format!("{} {:<8} {:<27} {steps}", answer.status, webhook.source, kind(webhook)));
        for effect in &effects {
            let text =
                |name: &str| effect[name].as_str().map(str::to_owned).context("an effect without id or step");
            let (effect_id, step) = (text("effect_id")?, text("step")?);
            if step == "charge_card" {
                let later = LATER.map(|later| {
                    (effect_id.replacen(":charge_card:", &format!(":{later}:"), 1), later.into())
                });
                self.commands.extend(later);
            }
            self.commands.insert(effect_id, step);
        }
        Ok(())
    }

    /// Compares this with the table and the ledger.
    pub(crate) async fn outcome(self, stack: &Stack) -> Result<Outcome> {
        let effects = stack.effects().await?;
        let ledger = stack.third_party.ledger();
        let applied = ledger.applied_by_key();
        let items = items(stack).await?;
        let rows = self.commands.iter().map(|(effect_id, step)| {
            let key = idempotency_key(effect_id);
            let effect = effects.iter().find(|effect| effect.effect_id == *effect_id);
            let business_key = effect.map_or_else(|| "?".to_owned(), |effect| effect.business_key.clone());
            let called = || ledger.attempts().iter().filter(|call| call.key.as_deref() == Some(&key)).count();
            let (requests, applied) = match step == ROW {
                true => {
                    (transactions(stack, effect_id), items.iter().filter(|id| **id == business_key).count())
                }
                false => (called(), applied.get(&key).copied().unwrap_or_default()),
            };
            let status = effect.map_or_else(|| "unknown".to_owned(), |effect| effect.status.clone());
            Row { step: step.clone(), business_key, status, requests, applied }
        });
        Ok(Outcome {
            items: items.len(),
            rows: rows.collect(),
            calls: ledger.applied().len(),
            done: effects.iter().filter(|effect| effect.is_done()).count(),
            parked: effects.iter().filter(|effect: &&Effect| effect.is_parked()).count(),
            tally: self,
        })
    }
}

/// The ids of the items that were written.
async fn items(stack: &Stack) -> Result<Vec<String>> {
    let Ok(table) = stack.table() else { return Ok(Vec::new()) };
    let items = table.call("Scan", &json!({ "TableName": TABLE })).await?["Items"].take();
    let ids = items.as_array().into_iter().flatten().filter_map(|item| item["id"]["S"].as_str());
    Ok(ids.map(str::to_owned).collect())
}

/// How many transactions were sent that write an item and the end of its effect.
fn transactions(stack: &Stack, effect_id: &str) -> usize {
    let sends = |seen: &Seen| seen.is("TransactWriteItems") && seen.mentions(effect_id);
    stack.table_proxy.as_ref().map_or(0, |proxy| proxy.seen_where(sends).len())
}

/// GitHub names its events in a header, the others in the body.
fn kind(webhook: &Webhook) -> String {
    let body = webhook.json();
    match (webhook.header("x-github-event"), body["action"].as_str()) {
        (Some(event), Some(action)) => format!("{event}.{action}"),
        (Some(event), None) => event.to_owned(),
        (None, _) => body["type"].as_str().unwrap_or("?").to_owned(),
    }
}

/// The outcome of the demo.
#[derive(Debug)]
pub(crate) struct Outcome {
    tally: Tally,
    rows: Vec<Row>,
    calls: usize,
    items: usize,
    done: usize,
    parked: usize,
}

/// One command.
#[derive(Debug)]
struct Row {
    step: String,
    business_key: String,
    status: String,
    requests: usize,
    applied: usize,
}

impl Outcome {
    /// Every command was applied once and is done, and nothing else was applied.
    pub(crate) fn is_right(&self) -> bool {
        let all = self.rows.len();
        self.rows.iter().all(|row| row.applied == 1) && (self.calls + self.items, self.done) == (all, all)
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "webhooks": self.tally.webhooks,
            "accepted": self.tally.accepted,
            "commands": self.rows.len(),
            "effects_done": self.done,
            "calls": self.calls,
            "items": self.items,
            "lost": self.lost(),
            "duplicated": self.duplicated(),
            "parked": self.parked,
            "kills": self.tally.kills,
        })
    }

    fn lost(&self) -> usize {
        self.rows.iter().filter(|row| row.applied == 0).count()
    }

    fn duplicated(&self) -> usize {
        self.rows.iter().map(|row| row.applied.saturating_sub(1)).sum()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The third party's ledger and the table:\n")?;
        let width =
            self.rows.iter().map(|row| row.business_key.chars().count()).max().unwrap_or_default().max(12);
        writeln!(f, "   {:<14} {:<width$}  {:<8} requests  applied", "step", "business key", "status")?;
        for Row { step, business_key, status, requests, applied } in &self.rows {
            writeln!(f, "   {step:<14} {business_key:<width$}  {status:<8} {requests:>8}  {applied:>7}")?;
        }
        let Tally { kills, webhooks, accepted, .. } = &self.tally;
        let (commands, lost, duplicated) = (self.rows.len(), self.lost(), self.duplicated());
        writeln!(
            f,
            "\n{webhooks} webhooks, {accepted} accepted, {commands} commands, {kills} kills; applied: {} by calls, {} as rows",
            self.calls, self.items
        )?;
        write!(f, "{lost} lost, {duplicated} duplicated, {} parked: ", self.parked)?;
        f.write_str(if self.is_right() { "each was done exactly once." } else { "THIS IS WRONG." })
    }
}
