//! Ends attempts (commit, defer, park), and settles messages whose effect another attempt has claimed.

use jiff::Timestamp;

use super::{Guard, Held, Lease, fence};
use crate::{
    command::{Command, MAX_INLINE},
    effect_id::PARKED_LANE,
    effects::{
        How, Settled, StoreError,
        attributes::{Item, attr, millis, short, string},
        expression::Change,
        new_record::lane,
        record::{AttemptEnd, Receipt, Record, Status},
        store::Write,
    },
};

/// Why an effect waits, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Deferral<'a> {
    /// The command to try again.
    pub command: &'a Command,
    /// When to try again.
    pub due: Timestamp,
    /// The reason, for the record.
    pub why: &'a str,
    /// Whether the attempt may have been applied.
    pub in_doubt: bool,
}

impl Guard {
    /// Records that the third party applied the effect.
    ///
    /// # Errors
    /// It could not be recorded: the message must not be acked, and the effect will be in doubt.
    pub async fn commit(
        &self,
        lease: Lease,
        receipt: &Receipt,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let change = self.done(&lease, receipt, None, now)?;
        self.report(lease, Status::Done, change).await?;
        Ok(Settled::new(How::Done))
    }

    /// The change that a commit writes. A `kept` command stays for as long as the record, so that the effect can be
    /// [redriven](crate::effects::redrive); large input is not kept.
    pub(super) fn done(
        &self,
        lease: &Lease,
        receipt: &Receipt,
        kept: Option<&Command>,
        now: Timestamp,
    ) -> Result<Change, StoreError> {
        let receipt = serde_json::to_string(receipt).map_err(|_| StoreError::Malformed(attr::RECEIPT))?;
        let change = Change::default()
            .set(attr::RECEIPT, string(receipt))
            .set(attr::EXPIRES_AT, self.store.expiry(now))
            .remove(&[attr::DOUBT, attr::LAST_ERROR, attr::LANE, attr::DUE_AT]);
        let kept = kept.map(Command::to_json).filter(|json| json.len() <= MAX_INLINE);
        let change = match kept {
            Some(json) => change.set(attr::COMMAND, string(json)),
            None => change.remove(&[attr::COMMAND]),
        };
        Ok(lease.ending(Status::Done, "done", change, now))
    }

    /// Defers the effect: the command leaves the queue and becomes due again later.
    ///
    /// # Errors
    /// As [`Guard::commit`].
    pub async fn defer(
        &self,
        lease: Lease,
        deferral: Deferral<'_>,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let command = Command { attempt: lease.attempt, ..deferral.command.clone() };
        let mut change = Change::default()
            .set(attr::LANE, lane(&lease.effect))
            .set(attr::DUE_AT, millis(deferral.due))
            .set(attr::COMMAND, string(command.to_json()))
            .set(attr::LAST_ERROR, string(short(deferral.why)));
        if deferral.in_doubt {
            change = change.set(attr::DOUBT, string(short(deferral.why)));
        }
        let change = lease.ending(Status::Waiting, deferral.why, change, now);
        self.report(lease, Status::Waiting, change).await?;
        Ok(Settled::new(How::Deferred))
    }

    /// Parks the effect: it is not tried again before an operator decides.
    ///
    /// # Errors
    /// As [`Guard::commit`].
    pub async fn park(
        &self,
        lease: Lease,
        command: &Command,
        why: &str,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let command = Command { attempt: lease.attempt, ..command.clone() };
        let mut change = Change::default()
            .set(attr::LANE, string(PARKED_LANE))
            .set(attr::DUE_AT, millis(now))
            .set(attr::COMMAND, string(command.to_json()))
            .set(attr::LAST_ERROR, string(short(why)));
        if lease.in_doubt {
            change = change.set_once(attr::DOUBT, string(short(why)));
        }
        let change = lease.ending(Status::Parked, why, change, now);
        self.report(lease, Status::Parked, change).await?;
        Ok(Settled::new(How::Parked))
    }

    /// Ends an attempt, with one fenced update.
    pub(super) async fn report(
        &self,
        lease: Lease,
        status: Status,
        change: Change,
    ) -> Result<(), StoreError> {
        match self.update_only(&lease.effect, change, fence(&lease.attempt_id)).await? {
            Write::Refused(item) if !lease.has_ended(&item, status) => Err(StoreError::Fenced),
            Write::Applied(_) | Write::Refused(_) => Ok(()),
        }
    }

    /// Settles a message whose effect another attempt has claimed. The record becomes due when that attempt's lease ends, so the message can
    /// leave the queue and does not depend on whether the other attempt records its outcome.
    ///
    /// # Errors
    /// DynamoDB could not be asked, or the other attempt has just recorded its outcome ([`StoreError::Fenced`]): claim again.
    pub async fn watch(&self, held: Held, command: &Command, now: Timestamp) -> Result<Settled, StoreError> {
        self.put_on_agenda(held, command, now).await?;
        Ok(Settled::new(How::Held))
    }

    /// Settles a message whose attempt goes on in this process. The record becomes due when the attempt's lease ends, in case no outcome is
    /// recorded by then.
    ///
    /// # Errors
    /// As [`Guard::watch`].
    pub async fn hand_over(
        &self,
        held: Held,
        command: &Command,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        self.put_on_agenda(held, command, now).await?;
        Ok(Settled::new(How::HandedOver))
    }

    async fn put_on_agenda(&self, held: Held, command: &Command, now: Timestamp) -> Result<(), StoreError> {
        let change = Change::default()
            .set(attr::LANE, lane(&held.effect))
            .set(attr::DUE_AT, millis(held.until))
            .set(attr::COMMAND, string(command.to_json()))
            .set(attr::UPDATED_AT, millis(now));
        match self.update_only(&held.effect, change, fence(&held.attempt_id)).await? {
            Write::Applied(_) => Ok(()),
            Write::Refused(_) => Err(StoreError::Fenced),
        }
    }
}

impl Lease {
    /// The change that every end of an attempt writes.
    pub(super) fn ending(&self, status: Status, what: &str, change: Change, now: Timestamp) -> Change {
        let change = change
            .set(attr::STATUS, string(status.as_str()))
            .set(attr::UPDATED_AT, millis(now))
            .remove(&[attr::LEASE_UNTIL]);
        self.history.clone().with(AttemptEnd::new(self.attempt, now, what)).write(change)
    }

    /// Whether a record shows that this attempt has already ended in this state: the SDK repeats writes, and
    /// its first one may have been applied.
    pub(super) fn has_ended(&self, item: &Item, status: Status) -> bool {
        let record = Record::read(item).ok();
        record.is_some_and(|record| {
            record.attempt_id.as_ref() == Some(&self.attempt_id) && record.status == status
        })
    }
}
