//! Redrive: repeats finished effects, each as a new effect of a new run, beside the old one.
//!
//! The new run's id names the old run and the redrive, so repeating a redrive gives the same ids and does
//! nothing twice. The new effect has a new idempotency key, so the third party does it again. One transaction
//! makes the new record and marks the old one. So a redrive can be stopped at any time; repeating it does the
//! rest.

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{
    StoreError,
    attributes::{attr, count, millis, string},
    expression::{Change, Condition},
    history::{AttemptEnd, History},
    lanes::Lanes,
    listing::Listing,
    new_record::{absent, pending_item},
    record::{Record, Status},
    store::Store,
    transaction::{Obstacle, Transacted, Writes, not_applied},
};
use crate::{
    command::{Command, Payload, flow::Flow},
    effect_id::{EffectId, RunId},
};

/// Between the old run and the redrive's name. No run id of a webhook holds it: there a `~` comes before two hex digits.
const MARK: &str = "~redrive~";
/// Effects that are redriven at the same time.
const AT_ONCE: usize = 32;
/// Records that are read at a time.
const PAGE: usize = 100;
/// Effects that a plan shows.
const SAMPLES: usize = 5;

/// A redrive, with its author and reason.
#[derive(Debug, Clone, Copy)]
pub struct Redrive<'a> {
    /// The redrive's id. Repeating a redrive with the same id does nothing twice.
    pub id: Uuid,
    /// The operator.
    pub by: &'a str,
    /// The operator's reason.
    pub note: &'a str,
    /// Whether to include effects that were redriven before, and effects that a redrive created.
    pub again: bool,
    /// First recorded at this time or later.
    pub since: Timestamp,
    /// First recorded before this time.
    pub before: Timestamp,
}

/// Why an effect can't be redriven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It is not finished: something is left to do or to decide.
    NotOver,
    /// It has been redriven before, or a redrive created it.
    Redriven,
    /// Its record has no command.
    NoCommand,
    /// Its input was too large for its command, and was deleted when the effect was done.
    LargeInput,
    /// Its step no longer exists.
    NoStep,
    /// The new run's id would be too long.
    TooLong,
}

/// Numbers of matching effects that are left out, by reason.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// See [`Unfit::NotOver`].
    pub not_over: u64,
    /// See [`Unfit::Redriven`].
    pub redriven: u64,
    /// See [`Unfit::NoCommand`].
    pub no_command: u64,
    /// See [`Unfit::LargeInput`].
    pub large_input: u64,
    /// See [`Unfit::NoStep`].
    pub no_step: u64,
    /// See [`Unfit::TooLong`].
    pub too_long: u64,
}

/// The plan of a redrive.
#[derive(Debug, Default, Serialize)]
pub struct Plan {
    /// Number of matching effects.
    pub fit: u64,
    /// Number of effects that would be redriven.
    pub would_redrive: u64,
    /// The effects that are left out.
    pub left_out: LeftOut,
    /// Some of those that would be redriven.
    pub samples: Vec<Record>,
}

/// The result of a redrive.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Number of redriven effects.
    pub redriven: u64,
    /// Number of effects that changed meanwhile.
    pub overtaken: u64,
    /// The matching effects that were left out.
    pub left_out: LeftOut,
}

impl LeftOut {
    fn add(&mut self, unfit: Unfit) {
        *match unfit {
            Unfit::NotOver => &mut self.not_over,
            Unfit::Redriven => &mut self.redriven,
            Unfit::NoCommand => &mut self.no_command,
            Unfit::LargeInput => &mut self.large_input,
            Unfit::NoStep => &mut self.no_step,
            Unfit::TooLong => &mut self.too_long,
        } += 1;
    }
}

impl Redrive<'_> {
    /// The new effect's command, or why the effect can't be redriven.
    fn command(&self, old: &Record, has_step: impl Fn(&str) -> bool) -> Result<(EffectId, Command), Unfit> {
        if !old.status.is_over() {
            return Err(Unfit::NotOver);
        }
        let run_id = format!("{}{MARK}{}", old.run_id, self.id.simple());
        let is_redriven = old.redriven_as.is_some() || old.run_id.contains(MARK);
        if old.redriven_as.as_ref() == Some(&run_id) || is_redriven && !self.again {
            return Err(Unfit::Redriven);
        }
        let command = old.readable_command();
        let command = command.ok_or(Unfit::NoCommand)?;
        if matches!(command.payload, Payload::ClaimCheck(_)) {
            return Err(Unfit::LargeInput);
        }
        if !has_step(command.step.as_str()) {
            return Err(Unfit::NoStep);
        }
        let run_id = RunId::try_from(run_id).map_err(|_| Unfit::TooLong)?;
        // Its successors have already begun, in their own run.
        let command =
            Command { run_id, attempt: 0, of: 1, traceparent: None, ..command }.followed_by(Flow::default());
        Ok((command.effect_id().map_err(|_| Unfit::TooLong)?, command))
    }

    fn entry(&self, attempt: u32, what: &str, now: Timestamp) -> AttemptEnd {
        AttemptEnd::new(attempt, now, &format!("{what}: {} (bulk {})", self.note, self.id)).by(self.by)
    }
}

/// Does finished effects again.
#[derive(Debug, Clone)]
pub struct Redrives {
    pub(super) store: Store,
    pub(super) lanes: Lanes,
    pub(super) listing: Listing,
}

impl Redrives {
    /// Plans a redrive of all matching effects. It reads each effect of that period.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn plan(
        &self,
        redrive: &Redrive<'_>,
        fits: impl Fn(&Record) -> bool,
        has_step: impl Fn(&str) -> bool,
    ) -> Result<Plan, StoreError> {
        let (mut plan, mut recent) = (Plan::default(), self.listing.recent(redrive.since, redrive.before));
        while let Some(record) = recent.next().await? {
            if !fits(&record) {
                continue;
            }
            plan.fit += 1;
            match redrive.command(&record, &has_step) {
                Err(unfit) => plan.left_out.add(unfit),
                Ok(_) => {
                    plan.would_redrive += 1;
                    if plan.samples.len() < SAMPLES {
                        plan.samples.push(record);
                    }
                }
            }
        }
        Ok(plan)
    }

    /// Redrives all matching effects, and calls `progress` after each page. `filter` describes the filter in words.
    ///
    /// # Errors
    /// DynamoDB could not be asked. Redriven effects stay redriven; repeating the same redrive continues with the rest.
    pub async fn run(
        &self,
        redrive: &Redrive<'_>,
        filter: &str,
        fits: impl Fn(&Record) -> bool,
        has_step: impl Fn(&str) -> bool,
        mut progress: impl FnMut(&Tally),
    ) -> Result<Tally, StoreError> {
        let Redrive { id, by, note, .. } = *redrive;
        self.store.write_down(id, ("redrive", by, note), filter, Timestamp::now()).await?;
        let (mut tally, mut recent) = (Tally::default(), self.listing.recent(redrive.since, redrive.before));
        loop {
            let page = recent.page(PAGE).await?;
            if page.is_empty() {
                return Ok(tally);
            }
            let mut wanted = Vec::new();
            for record in page.into_iter().filter(&fits) {
                match redrive.command(&record, &has_step) {
                    Ok((effect, command)) => wanted.push((record, effect, command)),
                    Err(unfit) => tally.left_out.add(unfit),
                }
            }
            self.lanes.register(wanted.iter().map(|(_, effect, _)| effect.step_id())).await?;
            let again =
                |(old, effect, command)| async move { self.again(redrive, &old, &effect, command).await };
            let mut writing = stream::iter(wanted).map(again).buffer_unordered(AT_ONCE);
            while let Some(written) = writing.next().await {
                *(if written? { &mut tally.redriven } else { &mut tally.overtaken }) += 1;
            }
            progress(&tally);
        }
    }

    /// Creates the new effect, due now, and marks the old one. False: the old one has changed, or the new one exists.
    async fn again(
        &self,
        redrive: &Redrive<'_>,
        old: &Record,
        effect: &EffectId,
        command: Command,
    ) -> Result<bool, StoreError> {
        let now = Timestamp::now();
        let command = Command { received_at: now, ..command };
        let history = History::default().with(redrive.entry(0, "redrive", now));
        let mut item = pending_item(effect, &command, now, now);
        item.insert(attr::HISTORY.into(), history.value());
        item.insert(attr::REDRIVE_OF.into(), string(&old.effect_id));
        let mark = Change::default()
            .set(attr::REDRIVEN_AS, string(effect.run_id().as_str()))
            .set(attr::UPDATED_AT, millis(now));
        let mark = old.history.clone().with(redrive.entry(old.attempt, "redriven", now)).write(mark);
        let key = (old.run_id.as_str(), old.effect_id.as_str());
        let writes = Writes::default().put(&self.store, item, absent());
        match self.store.transact(writes.update(&self.store, key, mark, as_seen(old))).await? {
            Transacted::Applied => Ok(true),
            Transacted::Cancelled(obstacles) if obstacles.iter().any(Obstacle::is_another_write) => Ok(false),
            Transacted::Cancelled(_) => Err(not_applied("the transaction was cancelled".to_owned())),
            Transacted::Invalid(why) => Err(not_applied(why)),
        }
    }
}

/// Finished, and unchanged since it was read.
fn as_seen(old: &Record) -> Condition<'static> {
    let values: Vec<(&'static str, AttributeValue)> = vec![
        ("done", string(Status::Done.as_str())),
        ("discarded", string(Status::Discarded.as_str())),
        ("attempt", count(old.attempt)),
        ("seen_at", millis(old.updated_at)),
    ];
    Condition {
        expression: "#status IN (:done, :discarded) AND #attempt = :attempt AND #updated_at = :seen_at",
        names: &[attr::STATUS, attr::ATTEMPT, attr::UPDATED_AT],
        values,
    }
}
