//! The ends of an attempt: commit, defer, park; and what to do with a message whose effect another attempt has.

use jiff::Timestamp;

use super::{Held, Lease, fence};
use crate::{
    command::{Command, MAX_INLINE},
    effects::{
        Effects, How, PARKED_LANE, Settled, StoreError,
        agenda::lane,
        record::{Ended, Item, Receipt, Record, Status, attr, millis, short, string},
        store::{Change, Write},
    },
};

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

impl Effects {
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
        let change = self.done(&lease, receipt, None, now)?;
        self.report(lease, Status::Done, change).await?;
        Ok(Settled::new(How::Done))
    }

    /// What a commit writes. A command that is `kept` stays for as long as the record, so that the effect can be
    /// [redriven](crate::effects::redrive); not a large one.
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
            .set(attr::EXPIRES_AT, self.expiry(now))
            .remove(&[attr::DOUBT, attr::LAST_ERROR, attr::LANE, attr::DUE_AT]);
        let kept = kept.map(Command::to_json).filter(|json| json.len() <= MAX_INLINE);
        let change = match kept {
            Some(json) => change.set(attr::COMMAND, string(json)),
            None => change.remove(&[attr::COMMAND]),
        };
        Ok(lease.ending(Status::Done, "done", change, now))
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

    /// Ends an attempt: one fenced update.
    pub(super) async fn report(
        &self,
        lease: Lease,
        status: Status,
        change: Change,
    ) -> Result<(), StoreError> {
        match self.update(&lease.effect, change, fence(&lease.attempt_id)).await? {
            Write::Refused(item) if !lease.has_ended(&item, status) => Err(StoreError::Fenced),
            Write::Applied(_) | Write::Refused(_) => Ok(()),
        }
    }

    /// Another attempt has the effect. The message leaves the queue all the same, since from now on the record itself
    /// is due when that attempt's lease ends: the message settles on that, not on the other attempt's word.
    ///
    /// # Errors
    /// DynamoDB could not be asked, or the other attempt has just reported back ([`StoreError::Fenced`]): claim again.
    pub async fn watch(&self, held: Held, command: &Command, now: Timestamp) -> Result<Settled, StoreError> {
        self.put_on_agenda(held, command, now).await?;
        Ok(Settled::new(How::Held))
    }

    /// An attempt of this process goes on, and its message leaves the queue: from now on the record itself is due when the
    /// attempt's lease ends, should it not report back by then.
    ///
    /// # Errors
    /// As [`Effects::watch`].
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
        match self.update(&held.effect, change, fence(&held.attempt_id)).await? {
            Write::Applied(_) => Ok(()),
            Write::Refused(_) => Err(StoreError::Fenced),
        }
    }
}

impl Lease {
    /// What every end of an attempt writes.
    pub(super) fn ending(&self, status: Status, what: &str, change: Change, now: Timestamp) -> Change {
        let change = change
            .set(attr::STATUS, string(status.as_str()))
            .set(attr::UPDATED_AT, millis(now))
            .remove(&[attr::LEASE_UNTIL]);
        self.history.clone().with(Ended::new(self.attempt, now, what)).write(change)
    }

    /// Whether a record says that this attempt has ended so: the SDK sent a write again, and lost to its own first one.
    pub(super) fn has_ended(&self, item: &Item, status: Status) -> bool {
        let record = Record::read(item).ok();
        record.is_some_and(|record| {
            record.attempt_id.as_ref() == Some(&self.attempt_id) && record.status == status
        })
    }
}
