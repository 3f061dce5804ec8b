//! Operator decisions on parked effects: retry them or end them.
//!
//! A decision applies only to a parked record, and only while its attempt count is the one that the operator saw. So the second of two
//! concurrent decisions is refused, and so is one based on an outdated list.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Guard,
    advance::{Advanced, End},
};
use crate::{
    command::{Command, flow::Next},
    effect_id::EffectId,
    effects::{
        StoreError,
        attributes::{attr, count, millis, string},
        decided::DECIDED_LANE,
        expression::{Change, Condition},
        listing::Listing,
        new_record::lane,
        record::{AttemptEnd, Receipt, Record, Status},
        store::Write,
    },
};

/// An operator's decision on a parked effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The cause is fixed: the effect is tried again, with a new retry budget. A doubt is kept, and the step's policy resolves it as before.
    Retry,
    /// The operator has checked that the call was not applied: it is made as if for the first time.
    NotApplied,
    /// The operator has checked that the call was applied: the effect is done.
    Applied,
    /// The effect is no longer wanted.
    Discard,
}

impl Decision {
    /// All decisions.
    pub const ALL: [Self; 4] = [Self::Retry, Self::NotApplied, Self::Applied, Self::Discard];

    /// The name used in a record's history.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::NotApplied => "not_applied",
            Self::Applied => "applied",
            Self::Discard => "discard",
        }
    }

    /// Whether the effect is due at once after this decision.
    #[must_use]
    pub fn is_called(self) -> bool {
        matches!(self, Self::Retry | Self::NotApplied)
    }

    /// Whether this decision is not allowed for an effect in doubt. No policy can resolve a doubt without a recorded attempt.
    pub(in crate::effects) fn needs_certainty(self, policy_resolves: bool, attempt: u32) -> bool {
        self == Self::Retry && !(policy_resolves && attempt > 0)
    }

    /// The effect's state after this decision.
    fn status(self) -> Status {
        match self {
            Self::Retry | Self::NotApplied => Status::Waiting,
            Self::Applied => Status::Done,
            Self::Discard => Status::Discarded,
        }
    }
}

/// A parked record, as the operator saw it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The run.
    pub run_id: &'a str,
    /// The effect id, or the name of a record kept beside one.
    pub effect_id: &'a str,
    /// The attempt count that the operator saw.
    pub attempt: u32,
    /// Whether the step's policy can resolve a doubt. If it can't, a retry would only park the effect again.
    pub policy_resolves: bool,
}

/// A decision, with its author and reason.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// The decision.
    pub decision: Decision,
    /// The authenticated operator.
    pub by: &'a str,
    /// The operator's reason.
    pub note: &'a str,
}

/// The result of a decision.
#[derive(Debug)]
pub enum Decided {
    /// It is recorded. Contains the effect's new record.
    Taken(Box<Record>),
    /// The record is not parked, or has another attempt count. Contains the record as it is.
    Overtaken(Box<Record>),
    /// The effect is in doubt, and only an operator can find out whether it was applied. A retry does not answer that.
    InDoubt,
    /// There is no such record.
    Unknown,
    /// Nothing can be called: the record holds an unreadable message, or a command that contradicts its effect's record.
    NotCallable,
    /// It can't be marked as applied without these receipt fields, which later steps use.
    LacksReceipt(Vec<String>),
}

/// Applies operators' decisions on parked effects.
#[derive(Debug, Clone)]
pub struct Decisions {
    pub(in crate::effects) guard: Guard,
    pub(in crate::effects) listing: Listing,
}

impl Decisions {
    /// Records a decision and acts on it. The operator and the reason go into the record's history.
    ///
    /// # Errors
    /// DynamoDB could not be asked. The decision may be recorded all the same: look before deciding again.
    pub async fn decide(
        &self,
        seen: Seen<'_>,
        said: Said<'_>,
        now: Timestamp,
    ) -> Result<Decided, StoreError> {
        self.decide_with(seen, said, &Map::new(), now).await
    }

    /// Like [`Decisions::decide`], with the receipt fields of an applied effect, which later steps use. Those steps begin in the same
    /// transaction.
    ///
    /// # Errors
    /// As [`Decisions::decide`].
    pub async fn decide_with(
        &self,
        seen: Seen<'_>,
        said: Said<'_>,
        receipt: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Decided, StoreError> {
        let Said { decision, by, note } = said;
        let Some(change) = self.consequence(seen, decision, now) else { return Ok(Decided::NotCallable) };
        let Some(before) = self.guard.store.record(seen.run_id, seen.effect_id).await? else {
            return Ok(Decided::Unknown);
        };
        if !is_as_seen(&before, seen) {
            return Ok(Decided::Overtaken(Box::new(before)));
        }
        let ended = AttemptEnd::new(seen.attempt, now, &format!("{}: {note}", decision.as_str())).by(by);
        let change =
            change.set(attr::STATUS, string(decision.status().as_str())).set(attr::UPDATED_AT, millis(now));
        // The condition holds only while the history is as it was read: every new entry comes with a counted attempt or a change of state.
        let change = before.history.clone().with(ended.clone()).write(change);
        let needs_certainty = decision.needs_certainty(seen.policy_resolves, seen.attempt);
        let condition = as_seen(seen.attempt, needs_certainty);
        // Only a decision that ends the effect needs to know its command.
        let command = if decision.is_called() { None } else { before.readable_command() };
        let next = match decision {
            Decision::Applied => match self.next_of(command.as_ref(), receipt, now).await? {
                Ok(next) => next,
                Err(lacking) => return Ok(Decided::LacksReceipt(lacking)),
            },
            Decision::Retry | Decision::NotApplied | Decision::Discard => Vec::new(),
        };
        let change = match command.as_ref().map(|command| command.of) {
            Some(of) if of > 1 => change.set(attr::OF, count(of)),
            _ => change,
        };
        let change = if receipt.is_empty() { change } else { change.set(attr::RECEIPT, told(receipt)) };
        let key = (seen.run_id, seen.effect_id);
        let decided = match self.end_or_update(End { key, change, condition, row: None }, &next, now).await? {
            Write::Applied(item) => Decided::Taken(Box::new(Record::read(&item)?)),
            Write::Refused(item) if item.is_empty() => Decided::Unknown,
            Write::Refused(item) => refused(Record::read(&item)?, seen, &ended),
        };
        if let (Decided::Taken(_), Some(command)) = (&decided, &command) {
            self.let_input_expire(command, now).await;
        }
        Ok(decided)
    }

    /// The successors of a parked effect; or the receipt fields that they need and that the operator did not give.
    async fn next_of(
        &self,
        parked: Option<&Command>,
        receipt: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Result<Vec<Next>, Vec<String>>, StoreError> {
        let Some(command) = parked.filter(|command| !command.flow.is_empty()) else {
            return Ok(Ok(Vec::new()));
        };
        let malformed = |_| StoreError::Malformed(attr::COMMAND);
        let (_, flow) =
            self.guard.inputs.input_and_flow(&command.effect_id().map_err(malformed)?, command).await?;
        let lacking = flow.uses(&command.step).into_iter().filter(|field| !receipt.contains_key(*field));
        let lacking: Vec<_> = lacking.map(str::to_owned).collect();
        if !lacking.is_empty() {
            return Ok(Err(lacking));
        }
        Ok(Ok(flow.next(command, receipt, now).map_err(malformed)?))
    }

    /// One update, or a transaction if there are successors.
    async fn end_or_update(&self, end: End<'_>, next: &[Next], now: Timestamp) -> Result<Write, StoreError> {
        if next.is_empty() {
            return self.guard.store.update(end.key, end.change, end.condition).await;
        }
        let (run_id, effect_id) = end.key;
        match self.guard.end_and_begin(end, next, now).await? {
            Advanced::Refused(item) => Ok(Write::Refused(item)),
            Advanced::RowRefused(_) => Err(StoreError::Malformed(attr::COMMAND)),
            // A transaction does not show what it has written.
            Advanced::Applied(_) => Ok(Write::Applied(self.guard.store.item(run_id, effect_id).await?)),
        }
    }

    /// Sets the input's expiry, best effort: what is left costs storage only.
    async fn let_input_expire(&self, command: &Command, now: Timestamp) {
        if let Err(error) = self.guard.inputs.expire(command, now).await {
            tracing::warn!(%error, "the large input of a decided effect was left");
        }
    }

    /// The attributes that a decision changes besides the state. None: there is nothing that can be called.
    fn consequence(&self, seen: Seen<'_>, decision: Decision, now: Timestamp) -> Option<Change> {
        let over = match seen.effect_id.parse::<EffectId>() {
            Ok(_) => Change::default().set(attr::LANE, string(DECIDED_LANE)).set(attr::DUE_AT, millis(now)),
            Err(_) => Change::default().remove(&[attr::LANE, attr::DUE_AT]),
        };
        let again = || {
            let effect: EffectId = seen.effect_id.parse().ok()?;
            let change = Change::default().set(attr::LANE, lane(&effect)).set(attr::DUE_AT, millis(now));
            Some(change.set(attr::FORGIVEN, count(seen.attempt)).set(attr::FORGIVEN_AT, millis(now)))
        };
        match decision {
            Decision::Retry => again(),
            // The time for which the third party remembers the key is counted from the next attempt.
            Decision::NotApplied => Some(again()?.remove(&[attr::DOUBT, attr::FIRST_ATTEMPT_AT])),
            Decision::Applied => Some(
                over.set(attr::EXPIRES_AT, self.guard.store.expiry(now))
                    .remove(&[attr::COMMAND, attr::DOUBT]),
            ),
            Decision::Discard => Some(over.set(attr::EXPIRES_AT, self.guard.store.expiry(now))),
        }
    }
}

/// The receipt of an answer that was not recorded, with the fields that the operator gave.
fn told(fields: &Map<String, Value>) -> AttributeValue {
    let receipt = Receipt::new(0, "told by an operator".to_owned(), fields.clone());
    string(serde_json::to_string(&receipt).unwrap_or_default())
}

/// The result of a refused decision: the record has changed since the operator saw it, or it is in doubt, which the condition excludes
/// where only a check at the third party helps.
fn refused(record: Record, seen: Seen<'_>, ended: &AttemptEnd) -> Decided {
    // The SDK sent it again and lost to its own first write.
    let is_ours = record.history.entries.last().is_some_and(|last| last.is(ended));
    match (is_ours, is_as_seen(&record, seen)) {
        (true, _) => Decided::Taken(Box::new(record)),
        (false, true) => Decided::InDoubt,
        (false, false) => Decided::Overtaken(Box::new(record)),
    }
}

fn is_as_seen(record: &Record, seen: Seen<'_>) -> bool {
    record.status == Status::Parked && record.attempt == seen.attempt
}

/// Holds while the record is parked with the attempt count that the operator saw.
fn as_seen(attempt: u32, without_doubt: bool) -> Condition<'static> {
    let values = vec![("parked", string(Status::Parked.as_str())), ("seen", count(attempt))];
    if without_doubt {
        let expression = "#status = :parked AND #attempt = :seen AND attribute_not_exists(#doubt)";
        return Condition { expression, names: &[attr::STATUS, attr::ATTEMPT, attr::DOUBT], values };
    }
    let expression = "#status = :parked AND #attempt = :seen";
    Condition { expression, names: &[attr::STATUS, attr::ATTEMPT], values }
}
