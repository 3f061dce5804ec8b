//! The claim: an attempt takes the exclusive right to make the call.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::{Claim, ClaimRequest, Doubt, Guard, Held, Lease, Mismatch, Recorded, fence};
use crate::effects::{
    How, Settled, StoreError,
    attributes::{Item, attr, count, millis, string},
    expression::{Change, Condition},
    new_record::{absent, lane, new_item},
    record::{AttemptEnd, Record, Status},
    store::Write,
};

/// How much younger than the retention period a command must be for a missing record to mean "never claimed". Retention is counted from
/// a time after the command was received. The two times may come from different clocks, which differ by far less than this margin.
const MARGIN: Duration = Duration::from_secs(3600);

impl Guard {
    /// Claims an effect. A fresh one costs one request, and so does a duplicate.
    ///
    /// # Errors
    /// DynamoDB could not be asked; nothing may be called.
    pub async fn claim(&self, ask: &ClaimRequest<'_>, now: Timestamp) -> Result<Claim, StoreError> {
        let write = if ask.command.attempt > 0 || self.may_have_outlived(ask, now) {
            self.claim_in_place(ask, now).await?
        } else {
            self.claim_first(ask, now).await?
        };
        match write {
            Write::Applied(item) => Ok(won(ask, Record::read(&item)?, false)),
            Write::Refused(item) => self.refused(ask, &item, now).await,
        }
    }

    /// Claims for a first attempt. Usually there is no record, and a put creates it. A record that waits on
    /// the agenda is claimed in place, so that it stays on the agenda: it may hold the only copy of the
    /// command. If a record is expected, the claim in place is tried first.
    async fn claim_first(&self, ask: &ClaimRequest<'_>, now: Timestamp) -> Result<Write, StoreError> {
        if ask.is_recorded {
            let write = self.claim_in_place(ask, now).await?;
            return match &write {
                Write::Refused(item) if item.is_empty() => self.claim_fresh(ask, now).await,
                _ => Ok(write),
            };
        }
        let write = self.claim_fresh(ask, now).await?;
        let waits = match &write {
            Write::Refused(item) if !item.is_empty() => {
                matches!(Record::read(item)?.status, Status::Pending | Status::Waiting)
            }
            _ => false,
        };
        if waits { self.claim_in_place(ask, now).await } else { Ok(write) }
    }

    async fn claim_fresh(&self, ask: &ClaimRequest<'_>, now: Timestamp) -> Result<Write, StoreError> {
        let mut item = new_item(ask.effect, Status::InProgress, &ask.command.input_hash, now);
        item.insert(attr::ATTEMPT.into(), count(1));
        item.insert(attr::ATTEMPT_ID.into(), string(ask.attempt_id));
        item.insert(attr::LEASE_UNTIL.into(), millis(now + ask.lease));
        item.insert(attr::FIRST_ATTEMPT_AT.into(), millis(now));
        if ask.on_agenda {
            item.insert(attr::COMMAND.into(), string(ask.command.to_json()));
            item.insert(attr::LANE.into(), lane(ask.effect));
            item.insert(attr::DUE_AT.into(), millis(now + ask.lease));
        }
        Ok(match self.store.put(item.clone(), absent()).await? {
            Write::Applied(_) => Write::Applied(item),
            refused @ Write::Refused(_) => refused,
        })
    }

    /// Whether the command is so old that the record of its effect may have been removed. A topic that is read again from
    /// its beginning, as by a new consumer group, brings such commands.
    fn may_have_outlived(&self, ask: &ClaimRequest<'_>, now: Timestamp) -> bool {
        let age = Duration::try_from(now.duration_since(ask.command.received_at)).unwrap_or_default();
        age > self.store.keep_done.saturating_sub(MARGIN)
    }

    /// Claims in place, so that the time of the first attempt and any doubt are kept. Applies only if there is a record.
    async fn claim_in_place(&self, ask: &ClaimRequest<'_>, now: Timestamp) -> Result<Write, StoreError> {
        let change = take(ask, ask.command.attempt, now);
        let condition = Condition {
            expression: "#status IN (:pending, :waiting) AND #attempt = :untried AND #input_hash = :same_input",
            names: &[attr::STATUS, attr::ATTEMPT, attr::INPUT_HASH],
            values: claimable(ask),
        };
        self.update(ask.effect, change, condition).await
    }

    /// Derives the result of a claim from the record that caused its refusal.
    async fn refused(
        &self,
        ask: &ClaimRequest<'_>,
        item: &Item,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        if item.is_empty() {
            let is_first = ask.command.attempt == 0;
            return Ok(Claim::Mismatch(if is_first { Mismatch::Outlived } else { Mismatch::NoRecord }));
        }
        let record = Record::read(item)?;
        if record.attempt_id.as_deref() == Some(&ask.attempt_id.to_string())
            && record.status == Status::InProgress
        {
            // The SDK sent the request again and lost to its own first write.
            return Ok(won(ask, record, false));
        }
        if record.contradicts(ask.command) {
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

    /// Takes over from an attempt whose lease has expired without an outcome: the effect is in doubt, never fresh.
    async fn take_over(
        &self,
        ask: &ClaimRequest<'_>,
        record: &Record,
        seen: &str,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        let why = format!("attempt {} did not report back", record.attempt);
        let ended = AttemptEnd::new(record.attempt, now, "did not report back");
        let change = take(ask, record.attempt, now).set(attr::DOUBT, string(&why));
        let change = record.history.clone().with(ended).write(change);
        let write = self.update(ask.effect, change, fence(seen)).await?;
        let item = match write {
            Write::Applied(item) | Write::Refused(item) => item,
        };
        let record = Record::read(&item)?;
        if record.attempt_id.as_deref() == Some(&ask.attempt_id.to_string()) {
            return Ok(won(ask, record, true));
        }
        // The other attempt recorded its outcome after all, or another claim was faster. Look again at the next delivery.
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
}

fn won(ask: &ClaimRequest<'_>, record: Record, taken_over: bool) -> Claim {
    let lease = Lease {
        effect: ask.effect.clone(),
        attempt_id: ask.attempt_id.to_string(),
        attempt: record.attempt,
        forgiven: record.forgiven,
        forgiven_at: record.forgiven_at,
        first_attempt_at: record.first_attempt_at.unwrap_or(record.updated_at),
        history: record.history,
        taken_over,
        in_doubt: record.doubt.is_some(),
        until: record.lease_until.unwrap_or(record.updated_at),
        on_agenda: record.due_at.is_some(),
    };
    match record.doubt {
        Some(why) => Claim::InDoubt(Doubt { lease, why }),
        None => Claim::Won(lease),
    }
}

/// What every claim in place writes. `counted` is the number of attempts recorded so far.
///
/// The effect stays on the agenda, due when this lease ends: another message of the same effect may have been settled because the record
/// is there (see `watch`), so the effect must still be worked on if this attempt dies.
fn take(ask: &ClaimRequest<'_>, counted: u32, now: Timestamp) -> Change {
    let until = now + ask.lease;
    Change::default()
        .set(attr::STATUS, string(Status::InProgress.as_str()))
        .set(attr::ATTEMPT, count(counted.saturating_add(1)))
        .set(attr::ATTEMPT_ID, string(ask.attempt_id))
        .set(attr::LEASE_UNTIL, millis(until))
        .set(attr::UPDATED_AT, millis(now))
        .set(attr::LANE, lane(ask.effect))
        .set(attr::DUE_AT, millis(until))
        .set(attr::COMMAND, string(ask.command.to_json()))
        .set_once(attr::FIRST_ATTEMPT_AT, millis(now))
}

fn claimable(ask: &ClaimRequest<'_>) -> Vec<(&'static str, AttributeValue)> {
    vec![
        ("pending", string(Status::Pending.as_str())),
        ("waiting", string(Status::Waiting.as_str())),
        ("untried", count(ask.command.attempt)),
        ("same_input", string(ask.command.input_hash.as_str())),
    ]
}
