//! Bulk decisions on parked effects: first a plan, then a decision on each effect, fenced by its attempt count like a single one.
//!
//! It can be stopped at any time and repeated: decided effects are not parked any more, so the same filter finds the
//! rest. Before the first effect changes, a record says who decides what, why, and about which effects.

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    StoreError,
    attributes::{Item, attr, millis, optional_text, string, time},
    guard::decide::{Decided, Decision, Decisions, Said, Seen},
    listing::Listing,
    new_record::absent,
    queries::Cursor,
    record::{Record, as_json},
    store::Store,
};
use crate::{
    config::{Config, in_doubt::InDoubt},
    effect_id::EffectId,
};

/// The run id of the records about bulk decisions.
const BULK_RUN: &str = ":bulk";
const DECISION: &str = "decision";
const BY: &str = "by";
const NOTE: &str = "note";
const FILTER: &str = "filter";
/// Records that are read at a time.
const PAGE: i32 = 200;
/// Effects that are decided at the same time.
const AT_ONCE: usize = 32;
/// Effects that a plan shows.
const SAMPLES: usize = 5;

/// A filter for parked effects: all given fields must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Effects of this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Effects of this step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The reason contains this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Effects for this business key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_key: Option<String>,
    /// Parked at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Parked before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
    /// Only those in doubt, or only the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_doubt: Option<bool>,
}

/// A bulk decision, with its author and reason.
#[derive(Debug, Clone, Copy)]
pub struct Bulk<'a> {
    /// The decision's id in the history of each effect.
    pub id: Uuid,
    /// Which effects.
    pub filter: &'a Filter,
    /// The decision, its author and the reason.
    pub said: Said<'a>,
}

/// What a parked effect's step can do about a doubt, by the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// There is no such step: nothing can be called.
    Gone,
    /// Only an operator can resolve a doubt.
    Parks,
    /// The step's policy can resolve a doubt.
    Resolves,
}

impl Policy {
    /// Looks up the step with this id.
    #[must_use]
    pub fn of(config: &Config, step: &str) -> Self {
        match config.step(step).map(|step| &step.in_doubt) {
            None => Self::Gone,
            Some(InDoubt::Park) => Self::Parks,
            Some(InDoubt::SameKey { .. } | InDoubt::LookUp(_) | InDoubt::Impossible) => Self::Resolves,
        }
    }
}

/// The record of a bulk decision: who decided what, why, and about which effects. It is kept as long as records of done
/// effects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BulkRecord {
    /// Names it in the history of each effect.
    pub bulk: String,
    /// What was decided, or `redrive`.
    pub decision: String,
    /// The operator.
    pub by: String,
    /// The operator's reason.
    pub note: String,
    /// Which effects: a filter, in JSON.
    #[serde(serialize_with = "as_json")]
    pub filter: String,
    /// When the bulk decision was started.
    pub created_at: Timestamp,
}

impl BulkRecord {
    fn read(item: &Item) -> Result<Self, StoreError> {
        let text = |name| optional_text(item, name).ok_or(StoreError::Malformed(name));
        let created_at = time(item, attr::CREATED_AT)?.ok_or(StoreError::Malformed(attr::CREATED_AT))?;
        Ok(Self {
            bulk: text(attr::EFFECT_ID)?,
            decision: text(DECISION)?,
            by: text(BY)?,
            note: text(NOTE)?,
            filter: text(FILTER)?,
            created_at,
        })
    }
}

/// Why a decision can't be applied to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It can't be called: it has no command, its command contradicts a record, or its step no longer exists.
    NotCallable,
    /// It is in doubt: a retry does not tell whether it was applied, and its step's policy can't find out.
    InDoubt,
}

/// The plan of a decision.
#[derive(Debug, Default, Serialize)]
pub struct Plan {
    /// Number of parked effects.
    pub parked: u64,
    /// Number of effects that would be decided.
    pub would_decide: u64,
    /// Number of matching effects that can't be decided because they are in doubt.
    pub in_doubt: u64,
    /// Number of matching effects that can't be called.
    pub not_callable: u64,
    /// Some of those that would be decided.
    pub samples: Vec<Record>,
}

/// The result of a decision.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Number of decided effects.
    pub decided: u64,
    /// Number of effects that changed meanwhile.
    pub overtaken: u64,
    /// Not decided: in doubt.
    pub in_doubt: u64,
    /// Not decided: can't be called.
    pub not_callable: u64,
    /// Not decided: later steps use their receipts, which can only be given for one effect at a time.
    #[serde(skip_serializing_if = "is_none")]
    pub lacking: u64,
    /// Whether more may match.
    pub more: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Filter {
    /// Whether the filter is empty and matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn fits(&self, record: &Record) -> bool {
        let is = |wanted: &Option<String>, there: &str| wanted.as_ref().is_none_or(|wanted| wanted == there);
        let error = record.last_error.as_deref().unwrap_or_default();
        let parked_at = record.due_at.unwrap_or(record.updated_at);
        is(&self.run_id, &record.run_id)
            && is(&self.step, &record.step)
            && is(&self.business_key, &record.business_key)
            && self.error.as_ref().is_none_or(|wanted| error.contains(wanted))
            && self.since.is_none_or(|since| parked_at >= since)
            && self.before.is_none_or(|before| parked_at < before)
            && self.in_doubt.is_none_or(|in_doubt| record.doubt.is_some() == in_doubt)
    }
}

impl Decision {
    /// Why the decision can't be applied to a record; none if it can.
    #[must_use]
    pub fn unfit(self, record: &Record, policy: Policy) -> Option<Unfit> {
        if !self.is_called() {
            return None;
        }
        if policy == Policy::Gone || record.effect_id.parse::<EffectId>().is_err() {
            return Some(Unfit::NotCallable);
        }
        let needs_certainty = self.needs_certainty(policy == Policy::Resolves, record.attempt);
        (needs_certainty && record.doubt.is_some()).then_some(Unfit::InDoubt)
    }
}

impl Decisions {
    /// Plans a bulk decision. It reads all parked records.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn plan(
        &self,
        filter: &Filter,
        decision: Decision,
        policy: impl Fn(&str) -> Policy,
    ) -> Result<Plan, StoreError> {
        let (mut plan, mut from) = (Plan::default(), None);
        loop {
            let (records, next) = self.listing.parked_page(PAGE, from).await?;
            plan.parked += records.len() as u64;
            for record in records.into_iter().filter(|record| filter.fits(record)) {
                match decision.unfit(&record, policy(&record.step)) {
                    Some(Unfit::InDoubt) => plan.in_doubt += 1,
                    Some(Unfit::NotCallable) => plan.not_callable += 1,
                    None => {
                        plan.would_decide += 1;
                        if plan.samples.len() < SAMPLES {
                            plan.samples.push(record);
                        }
                    }
                }
            }
            from = next;
            if from.is_none() {
                return Ok(plan);
            }
        }
    }

    /// Decides on all matching effects, at most `most`, and calls `progress` after each page.
    ///
    /// # Errors
    /// DynamoDB could not be asked. Decided effects stay decided; repeating the same decision continues with the rest.
    pub async fn decide_all(
        &self,
        bulk: Bulk<'_>,
        policy: impl Fn(&str) -> Policy,
        most: u64,
        now: Timestamp,
        mut progress: impl FnMut(&Tally),
    ) -> Result<Tally, StoreError> {
        let Said { decision, by, note } = bulk.said;
        let filter = serde_json::to_string(bulk.filter).unwrap_or_default();
        self.guard.store.write_down(bulk.id, (decision.as_str(), by, note), &filter, now).await?;
        let note = format!("{} (bulk {})", bulk.said.note, bulk.id);
        let said = Said { note: &note, ..bulk.said };
        let (mut tally, mut from) = (Tally::default(), None);
        loop {
            let (records, next) = self.listing.parked_page(PAGE, from).await?;
            let mut fit = Vec::new();
            for record in records.into_iter().filter(|record| bulk.filter.fits(record)) {
                let policy = policy(&record.step);
                match said.decision.unfit(&record, policy) {
                    Some(Unfit::InDoubt) => tally.in_doubt += 1,
                    Some(Unfit::NotCallable) => tally.not_callable += 1,
                    None => fit.push((record, policy == Policy::Resolves)),
                }
            }
            let room = usize::try_from(most - tally.decided).unwrap_or(usize::MAX);
            tally.more = fit.len() > room;
            fit.truncate(room);
            let decide = |(record, policy_resolves): (Record, bool)| async move {
                let Record { run_id, effect_id, attempt, .. } = &record;
                self.decide(Seen { run_id, effect_id, attempt: *attempt, policy_resolves }, said, now).await
            };
            let mut deciding = stream::iter(fit).map(decide).buffer_unordered(AT_ONCE);
            while let Some(decided) = deciding.next().await {
                match decided? {
                    Decided::Taken(_) => tally.decided += 1,
                    Decided::Overtaken(_) | Decided::Unknown => tally.overtaken += 1,
                    Decided::InDoubt => tally.in_doubt += 1,
                    Decided::NotCallable => tally.not_callable += 1,
                    Decided::LacksReceipt(_) => tally.lacking += 1,
                }
            }
            progress(&tally);
            from = next;
            if from.is_none() || tally.decided >= most {
                tally.more |= from.is_some();
                return Ok(tally);
            }
        }
    }
}

impl Listing {
    /// One page of the records of bulk decisions.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn bulk_page(
        &self,
        from: Option<Cursor>,
    ) -> Result<(Vec<BulkRecord>, Option<Cursor>), StoreError> {
        let (items, next) = self.store.run_items(BULK_RUN, from).await?;
        Ok((items.iter().map(BulkRecord::read).collect::<Result<_, _>>()?, next))
    }
}

impl Store {
    /// Records who decides what, why, and about which effects. The record is kept as long as those of done effects.
    pub(super) async fn write_down(
        &self,
        id: Uuid,
        (decision, by, note): (&str, &str, &str),
        filter: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let item = Item::from([
            (attr::RUN_ID.into(), string(BULK_RUN)),
            (attr::EFFECT_ID.into(), string(id)),
            (DECISION.into(), string(decision)),
            (BY.into(), string(by)),
            (NOTE.into(), string(note)),
            (FILTER.into(), string(filter)),
            (attr::CREATED_AT.into(), millis(now)),
            (attr::EXPIRES_AT.into(), self.expiry(now)),
        ]);
        // Refused: the record was written when this decision was started.
        self.put(item, absent()).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_without_a_word_is_empty_and_one_with_an_unknown_word_is_none() {
        let read = |json: serde_json::Value| serde_json::from_value::<Filter>(json);
        assert!(read(json!({})).unwrap().is_empty());
        assert!(!read(json!({ "in_doubt": false })).unwrap().is_empty());
        assert!(read(json!({ "steps": "open_ticket" })).is_err());
    }
}
