//! The agenda: a sparse index of records that are due at some time, by lane and time.
//!
//! Each step has its own lane, so that a long queue of one destination does not hide due records of another.
//! A record gets here when the broker refuses a command, when a call has to wait, when a message must not hold up its
//! partition, by a claim (for the end of its lease), and when an operator wants a parked effect tried again. The consumer
//! works on due records directly. Parked records have their own lane, which lists what an operator has to decide.

use jiff::Timestamp;

use super::{
    How, Settled,
    attributes::{Item, attr, millis, string},
    error::StoreError,
    expression::{Change, Condition},
    guard::{Guard, Held, Mismatch},
    lanes::Lanes,
    new_record::{absent, pending_item},
    queries::Cursor,
    record::{Record, Status},
    store::{Store, Write},
};
use crate::{
    command::Command,
    effect_id::{EffectId, StepId},
};

/// A record that is due or will soon be due.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// When it is due.
    pub due_at: Timestamp,
    /// Its command.
    pub command: Command,
}

/// A page of a lane, by time.
#[derive(Debug, Default)]
pub struct Page {
    /// Its records, the earliest first.
    pub due: Vec<Due>,
    /// Records without a readable command: something else wrote them.
    pub unreadable: usize,
    /// Where the next page begins, if there may be one.
    pub next: Option<Cursor>,
}

/// Puts commands on the agenda, and reads those that are due.
#[derive(Debug, Clone)]
pub struct Agenda {
    pub(super) store: Store,
    pub(super) lanes: Lanes,
    pub(super) guard: Guard,
}

impl Agenda {
    /// Stores a command, due at `due`. If the effect already has a record, that record settles the message: as a duplicate, or, if an attempt
    /// is in progress, by becoming due when that attempt's lease ends. If the record contradicts the command, the command is parked.
    ///
    /// # Errors
    /// The command could not be stored durably.
    pub async fn enqueue(
        &self,
        effect: &EffectId,
        command: &Command,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        self.lanes.register([effect.step_id()]).await?;
        match self.store.put(pending_item(effect, command, due, now), absent()).await? {
            Write::Applied(_) => Ok(Settled::new(How::Deferred)),
            Write::Refused(item) => self.enqueue_beside(&Record::read(&item)?, effect, command, now).await,
        }
    }

    /// Settles a command whose effect already has a record. A record in progress may belong to a dead
    /// consumer, so it must become due by itself.
    async fn enqueue_beside(
        &self,
        record: &Record,
        effect: &EffectId,
        command: &Command,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        if record.contradicts(command) {
            let mismatch = Mismatch::OtherInput { recorded: record.input_hash.clone() };
            return self.guard.park_mismatch(effect, command, &mismatch, now).await;
        }
        let Some(held) = Held::of_record(effect, record) else {
            if record.status.is_over() {
                // Ingest has just stored its input again.
                self.guard.inputs.expire(command, now).await?;
            }
            return Ok(Settled::new(How::Duplicate));
        };
        match self.guard.watch(held, command, now).await {
            // The attempt has just recorded its outcome: done, parked, or on the agenda.
            Err(StoreError::Fenced) => Ok(Settled::new(How::Duplicate)),
            watched => watched,
        }
    }

    /// Makes a pending command due now.
    ///
    /// # Errors
    /// DynamoDB could not be asked; it becomes due at its old time.
    pub async fn expedite(&self, effect: &EffectId, now: Timestamp) -> Result<(), StoreError> {
        let condition = Condition {
            expression: "#status = :pending",
            names: &[attr::STATUS],
            values: vec![("pending", string(Status::Pending.as_str()))],
        };
        let change = Change::default().set(attr::DUE_AT, millis(now));
        // Refused: it has been claimed meanwhile, which has the same effect.
        self.store.update((effect.run_id().as_str(), &effect.to_string()), change, condition).await.map(drop)
    }

    /// Postpones a due record, unless it was claimed.
    ///
    /// # Errors
    /// DynamoDB could not be asked; it stays due.
    pub async fn postpone(
        &self,
        effect: &EffectId,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let condition = Condition {
            expression: "#status IN (:pending, :waiting) AND #due_at <= :now",
            names: &[attr::STATUS, attr::DUE_AT],
            values: vec![
                ("pending", string(Status::Pending.as_str())),
                ("waiting", string(Status::Waiting.as_str())),
                ("now", millis(now)),
            ],
        };
        let change = Change::default().set(attr::DUE_AT, millis(due));
        // Refused: another consumer has claimed or postponed it.
        self.store.update((effect.run_id().as_str(), &effect.to_string()), change, condition).await.map(drop)
    }

    /// Records of one lane that are due by `until`, the earliest first, at most `limit` of them.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn due(
        &self,
        lane: &str,
        until: Timestamp,
        limit: i32,
        from: Option<Cursor>,
    ) -> Result<Page, StoreError> {
        let (items, next) = self.store.lane_until(lane, until, limit, from).await?;
        let due: Vec<_> = items.iter().filter_map(read_due).collect();
        Ok(Page { unreadable: items.len() - due.len(), due, next })
    }

    /// Registers the lanes of these steps, once per process. Call it before a lane's first use, so that every lane with records is read.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn register_lanes(&self, steps: impl IntoIterator<Item = &StepId>) -> Result<(), StoreError> {
        self.lanes.register(steps).await
    }

    /// Every lane that was ever used.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn lanes(&self) -> Result<Vec<String>, StoreError> {
        self.store.lanes().await
    }
}

fn read_due(item: &Item) -> Option<Due> {
    let record = Record::read(item).ok()?;
    Some(Due { due_at: record.due_at?, command: record.readable_command()? })
}
