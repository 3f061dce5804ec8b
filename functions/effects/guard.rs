//! The exactly-once guard: claim, then one of commit, defer and park.
//!
//! A claim of a fresh effect is one conditional put, and its commit one update. Attempts are counted when they are
//! claimed, so that crashes and timeouts use up the budget. Every write after the claim is fenced: it applies only
//! while the record still bears this attempt's id, so that a stale attempt can never overwrite a newer one.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Effects, How, Settled,
    record::{Item, Receipt, Record, Status, attr, count, millis, seconds, string},
    store::{Change, Condition, StoreError, Write},
};
use crate::{
    command::{Command, InputHash},
    effect_id::EffectId,
};

/// The right to call the third party once, for a time. Only the guard makes one; `commit`, `defer` and `park` use it up.
#[derive(Debug)]
#[must_use = "a claimed effect is committed, deferred or parked"]
pub struct Lease {
    effect: EffectId,
    attempt_id: String,
    attempt: u32,
    first_attempt_at: Timestamp,
}

/// A lease on an effect of which nobody knows whether an earlier attempt was applied. It can't be used for a call
/// before the step's policy has said that calling again is safe.
#[derive(Debug)]
#[must_use = "a doubt is resolved by the step's policy"]
pub struct Doubt {
    lease: Lease,
    why: String,
}

/// Another attempt, in another process, has the effect and may still be calling.
#[derive(Debug)]
pub struct Held {
    effect: EffectId,
    attempt_id: String,
    /// Until when it has it.
    pub until: Timestamp,
}

/// The effect's own record already answers for this message.
#[derive(Debug)]
pub struct Recorded {
    /// Where the effect stands.
    pub status: Status,
    settled: Settled,
}

/// The message can't be what the record is about; a person must look at both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// The same effect with other input.
    OtherInput {
        /// Digest of the input on record.
        recorded: InputHash,
    },
    /// A retry of an effect that has no record any more.
    NoRecord,
}

/// What a claim came to.
#[derive(Debug)]
pub enum Claim {
    /// Ours, and never tried with an unknown outcome.
    Won(Lease),
    /// Ours, but an earlier attempt may have been applied.
    InDoubt(Doubt),
    /// Another attempt is at work.
    Held(Held),
    /// Done, parked, or waiting for a later attempt than this message's.
    Recorded(Recorded),
    /// Not claimed, and not safe to.
    Mismatch(Mismatch),
}

/// Who asks for which effect.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The effect.
    pub effect: &'a EffectId,
    /// Digest of the command's input.
    pub input_hash: &'a InputHash,
    /// Attempts counted when the command was written.
    pub attempt: u32,
    /// Random, new for every claim.
    pub attempt_id: Uuid,
    /// How long the call and its commit may take.
    pub lease: Duration,
}

impl Lease {
    /// The effect.
    #[must_use]
    pub fn effect(&self) -> &EffectId {
        &self.effect
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    fn taken(ask: &Request<'_>, record: &Record) -> Self {
        Self {
            effect: ask.effect.clone(),
            attempt_id: ask.attempt_id.to_string(),
            attempt: record.attempt,
            first_attempt_at: record.first_attempt_at.unwrap_or(record.updated_at),
        }
    }
}

impl Doubt {
    /// When the effect was first tried: a third party's memory of keys counts from here.
    #[must_use]
    pub fn first_attempt_at(&self) -> Timestamp {
        self.lease.first_attempt_at
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.lease.attempt
    }

    /// Why it is in doubt.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// The third party is known to dedupe this key: calling again is safe.
    pub fn same_key_is_safe(self) -> Lease {
        self.lease
    }

    /// Nothing is called: the lease, to park with.
    pub fn unresolved(self) -> Lease {
        self.lease
    }
}

impl Recorded {
    /// The message has nothing left to do.
    pub fn settled(self) -> Settled {
        self.settled
    }
}

impl Effects {
    /// Claims an effect. A fresh one costs one request, and so does a duplicate.
    ///
    /// # Errors
    /// DynamoDB could not be asked; nothing may be called.
    pub async fn claim(&self, ask: &Request<'_>, now: Timestamp) -> Result<Claim, StoreError> {
        let write = if ask.attempt == 0 {
            self.claim_fresh(ask, now).await?
        } else {
            self.claim_retry(ask, now).await?
        };
        match write {
            Write::Applied(item) => Ok(won(ask, &Record::read(&item)?)),
            Write::Refused(item) => self.refused(ask, &item, now).await,
        }
    }

    /// Nothing has been tried, so there is nothing to keep: the put replaces whatever `pending` record stands there.
    async fn claim_fresh(&self, ask: &Request<'_>, now: Timestamp) -> Result<Write, StoreError> {
        let mut item = new_item(ask.effect, Status::InProgress, ask.input_hash, now);
        item.insert(attr::ATTEMPT.into(), count(1));
        item.insert(attr::ATTEMPT_ID.into(), string(ask.attempt_id));
        item.insert(attr::LEASE_UNTIL.into(), millis(now + ask.lease));
        item.insert(attr::FIRST_ATTEMPT_AT.into(), millis(now));
        let condition = Condition {
            expression: "attribute_not_exists(#effect_id) OR \
                (#status IN (:pending, :waiting) AND #attempt = :untried AND #input_hash = :same_input)",
            names: &[attr::EFFECT_ID, attr::STATUS, attr::ATTEMPT, attr::INPUT_HASH],
            values: claimable(ask),
        };
        Ok(match self.store.put(item.clone(), condition).await? {
            Write::Applied(_) => Write::Applied(item),
            refused @ Write::Refused(_) => refused,
        })
    }

    /// In place, so that the time of the first attempt and any doubt stay on record.
    async fn claim_retry(&self, ask: &Request<'_>, now: Timestamp) -> Result<Write, StoreError> {
        let change = take(ask, ask.attempt, now);
        let condition = Condition {
            expression: "#status IN (:pending, :waiting) AND #attempt = :untried AND #input_hash = :same_input",
            names: &[attr::STATUS, attr::ATTEMPT, attr::INPUT_HASH],
            values: claimable(ask),
        };
        self.update(ask.effect, change, condition).await
    }

    /// Something stood in the way of a claim: what does it mean?
    async fn refused(&self, ask: &Request<'_>, item: &Item, now: Timestamp) -> Result<Claim, StoreError> {
        if item.is_empty() {
            return Ok(Claim::Mismatch(Mismatch::NoRecord));
        }
        let record = Record::read(item)?;
        if record.attempt_id.as_deref() == Some(&ask.attempt_id.to_string())
            && record.status == Status::InProgress
        {
            // The SDK sent the request again and lost to its own first write.
            return Ok(won(ask, &record));
        }
        if record.input_hash != *ask.input_hash {
            return Ok(Claim::Mismatch(Mismatch::OtherInput { recorded: record.input_hash }));
        }
        match (record.status, record.attempt_id.clone(), record.lease_until) {
            (Status::InProgress, Some(attempt_id), Some(until)) if until > now => {
                Ok(Claim::Held(Held { effect: ask.effect.clone(), attempt_id, until }))
            }
            (Status::InProgress, Some(attempt_id), _) => self.take_over(ask, &record, &attempt_id, now).await,
            (Status::InProgress, None, _) => Err(StoreError::Malformed(attr::ATTEMPT_ID)),
            (status, ..) => Ok(Claim::Recorded(Recorded { status, settled: Settled::new(How::Duplicate) })),
        }
    }

    /// The other attempt's lease is over and it has not reported back: in doubt, never fresh.
    async fn take_over(
        &self,
        ask: &Request<'_>,
        record: &Record,
        seen: &str,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        let why = format!("attempt {} did not report back", record.attempt);
        let change = take(ask, record.attempt, now).set(attr::DOUBT, string(&why));
        let write = self.update(ask.effect, change, fence(seen)).await?;
        let item = match write {
            Write::Applied(item) | Write::Refused(item) => item,
        };
        let record = Record::read(&item)?;
        if record.attempt_id.as_deref() == Some(&ask.attempt_id.to_string()) {
            return Ok(won(ask, &record));
        }
        // It reported back after all, or somebody else was faster. Look again when the message is next delivered.
        Ok(match record.lease_until.filter(|_| record.status == Status::InProgress) {
            Some(until) => {
                let attempt_id = record.attempt_id.unwrap_or_default();
                Claim::Held(Held { effect: ask.effect.clone(), attempt_id, until })
            }
            None => {
                Claim::Recorded(Recorded { status: record.status, settled: Settled::new(How::Duplicate) })
            }
        })
    }

    /// The third party applied the effect.
    ///
    /// # Errors
    /// It could not be recorded: the message must not be acked, and the effect will be in doubt.
    pub async fn commit(
        &self,
        lease: Lease,
        receipt: &Receipt,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let receipt = serde_json::to_string(receipt).map_err(|_| StoreError::Malformed(attr::RECEIPT))?;
        let change = Change::default()
            .set(attr::RECEIPT, string(receipt))
            .set(attr::EXPIRES_AT, seconds(now + self.keep_done))
            .remove(&[attr::COMMAND, attr::DOUBT, attr::LAST_ERROR, attr::LANE, attr::DUE_AT]);
        self.report(lease, Status::Done, change, now).await?;
        Ok(Settled::new(How::Done))
    }

    /// Not now: the command leaves the queue and comes due again.
    ///
    /// # Errors
    /// As [`Effects::commit`].
    pub async fn defer(
        &self,
        lease: Lease,
        deferral: Deferral<'_>,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let command = Command { attempt: lease.attempt, ..deferral.command.clone() };
        let mut change = Change::default()
            .set(attr::LANE, self.lane(&lease.effect))
            .set(attr::DUE_AT, millis(deferral.due))
            .set(attr::COMMAND, string(command.to_json()))
            .set(attr::LAST_ERROR, string(deferral.why));
        if deferral.in_doubt {
            change = change.set(attr::DOUBT, string(deferral.why));
        }
        self.report(lease, Status::Waiting, change, now).await?;
        Ok(Settled::new(How::Deferred))
    }

    /// Never by itself: a person has to look.
    ///
    /// # Errors
    /// As [`Effects::commit`].
    pub async fn park(
        &self,
        lease: Lease,
        command: &Command,
        why: &str,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let command = Command { attempt: lease.attempt, ..command.clone() };
        let change = Change::default()
            .set(attr::LANE, string(super::PARKED_LANE))
            .set(attr::DUE_AT, millis(now))
            .set(attr::COMMAND, string(command.to_json()))
            .set(attr::LAST_ERROR, string(why));
        self.report(lease, Status::Parked, change, now).await?;
        Ok(Settled::new(How::Parked))
    }

    async fn update(
        &self,
        effect: &EffectId,
        change: Change,
        when: Condition<'_>,
    ) -> Result<Write, StoreError> {
        self.store.update((effect.run_id().as_str(), &effect.to_string()), change, when).await
    }

    /// Ends an attempt: one fenced update.
    async fn report(
        &self,
        lease: Lease,
        status: Status,
        change: Change,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let change = change
            .set(attr::STATUS, string(status.as_str()))
            .set(attr::UPDATED_AT, millis(now))
            .remove(&[attr::LEASE_UNTIL]);
        match self.update(&lease.effect, change, fence(&lease.attempt_id)).await? {
            Write::Applied(_) => Ok(()),
            Write::Refused(item) => {
                let record = Record::read(&item).map_err(|_| StoreError::Fenced)?;
                let ours = record.attempt_id.as_ref() == Some(&lease.attempt_id) && record.status == status;
                if ours { Ok(()) } else { Err(StoreError::Fenced) }
            }
        }
    }

    /// Another attempt has the effect. The message leaves the queue all the same, since from now on the record itself
    /// is due when that attempt's lease ends: the message settles on that, not on the other attempt's word.
    ///
    /// # Errors
    /// DynamoDB could not be asked, or the other attempt has just reported back ([`StoreError::Fenced`]): claim again.
    pub async fn watch(&self, held: Held, command: &Command, now: Timestamp) -> Result<Settled, StoreError> {
        let change = Change::default()
            .set(attr::LANE, self.lane(&held.effect))
            .set(attr::DUE_AT, millis(held.until))
            .set(attr::COMMAND, string(command.to_json()))
            .set(attr::UPDATED_AT, millis(now));
        match self.update(&held.effect, change, fence(&held.attempt_id)).await? {
            Write::Applied(_) => Ok(Settled::new(How::Held)),
            Write::Refused(_) => Err(StoreError::Fenced),
        }
    }
}

/// Why and until when an effect waits.
#[derive(Debug, Clone, Copy)]
pub struct Deferral<'a> {
    /// What is to be done.
    pub command: &'a Command,
    /// When to try again.
    pub due: Timestamp,
    /// What happened.
    pub why: &'a str,
    /// Whether the attempt may have been applied all the same.
    pub in_doubt: bool,
}

fn won(ask: &Request<'_>, record: &Record) -> Claim {
    let lease = Lease::taken(ask, record);
    match record.doubt.clone() {
        Some(why) => Claim::InDoubt(Doubt { lease, why }),
        None => Claim::Won(lease),
    }
}

/// What every claim in place writes. `counted` is the attempts on record so far.
fn take(ask: &Request<'_>, counted: u32, now: Timestamp) -> Change {
    Change::default()
        .set(attr::STATUS, string(Status::InProgress.as_str()))
        .set(attr::ATTEMPT, count(counted.saturating_add(1)))
        .set(attr::ATTEMPT_ID, string(ask.attempt_id))
        .set(attr::LEASE_UNTIL, millis(now + ask.lease))
        .set(attr::UPDATED_AT, millis(now))
        .set_once(attr::FIRST_ATTEMPT_AT, millis(now))
        .remove(&[attr::LANE, attr::DUE_AT])
}

fn claimable(ask: &Request<'_>) -> Vec<(&'static str, aws_sdk_dynamodb::types::AttributeValue)> {
    vec![
        ("pending", string(Status::Pending.as_str())),
        ("waiting", string(Status::Waiting.as_str())),
        ("untried", count(ask.attempt)),
        ("same_input", string(ask.input_hash.as_str())),
    ]
}

/// Only while this attempt has the effect.
fn fence(attempt_id: &str) -> Condition<'static> {
    Condition {
        expression: "#attempt_id = :mine AND #status = :in_progress",
        names: &[attr::ATTEMPT_ID, attr::STATUS],
        values: vec![("mine", string(attempt_id)), ("in_progress", string(Status::InProgress.as_str()))],
    }
}

/// What every record starts with.
pub(super) fn new_item(effect: &EffectId, status: Status, input_hash: &InputHash, now: Timestamp) -> Item {
    Item::from([
        (attr::RUN_ID.into(), string(effect.run_id().as_str())),
        (attr::EFFECT_ID.into(), string(effect.to_string())),
        (attr::STATUS.into(), string(status.as_str())),
        (attr::STEP.into(), string(effect.step_id().as_str())),
        (attr::BUSINESS_KEY.into(), string(effect.business_key())),
        (attr::INPUT_HASH.into(), string(input_hash.as_str())),
        (attr::CREATED_AT.into(), millis(now)),
        (attr::UPDATED_AT.into(), millis(now)),
    ])
}
