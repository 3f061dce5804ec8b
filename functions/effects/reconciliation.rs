//! Reconciliation progress: how far each source has been reconciled, and when the next turn is. One record per source, under a run id of its
//! own. It is not an effect and is in no index.
//!
//! A turn is a lease: one consumer at a time asks a provider. Its writes are fenced, so a consumer that has lost its turn can't move the
//! position. What it has requested or enqueued meanwhile is harmless, because of the guard.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    attributes::{Item, attr, millis, optional_text, string, time},
    claim_check::LargeInputs,
    error::StoreError,
    expression::{Change, Condition},
    lanes::Lanes,
    new_record::{absent, pending_item},
    record::Record,
    store::{Store, Write},
};
use crate::{
    command::{Command, MAX_INLINE},
    effect_id::EffectId,
};

/// The run id of the records. No run has it: run ids hold no `:`.
const RECONCILE: &str = ":reconcile";
const OWNER: &str = "owner";
const NEXT_AT: &str = "next_at";
const POSITION: &str = "position";

/// How far a source has been reconciled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The start: when reconciliation first ran. Older events are never asked for.
    pub floor: Timestamp,
    /// High-water mark: everything before it has been checked.
    pub looked_until: Timestamp,
    /// The scan in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
    /// Number of consecutive failed scans.
    #[serde(default)]
    pub failures: u32,
}

/// A scan of what a provider has sent in a period, backwards from the period's end to its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Start of the period.
    pub from: Timestamp,
    /// End of the period.
    pub until: Timestamp,
    /// Events newer than this have been handled already.
    pub handled_from: Timestamp,
    /// The page to continue with; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

/// A turn: the right to reconcile a source, for a time.
#[derive(Debug)]
#[must_use = "end it, so that the next look is planned"]
pub struct Turn {
    source: String,
    owner: String,
    length: Duration,
    /// The source's position.
    pub position: Position,
}

/// The result of asking for a turn.
#[derive(Debug)]
pub enum Taken {
    /// The turn is taken.
    Ours(Turn),
    /// It is not yet time, or another consumer has the turn.
    NotBefore(Timestamp),
}

/// What recovering a fetched event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// There was no record. One was created, and it is due.
    Recovered,
    /// The effect already has a record.
    Known,
}

/// Keeps the progress of each source, and puts the effects of fetched events on the agenda.
#[derive(Debug, Clone)]
pub struct Reconciliation {
    pub(super) store: Store,
    pub(super) lanes: Lanes,
    pub(super) inputs: LargeInputs,
}

impl Reconciliation {
    /// Takes the turn of a source, if it is time. The first turn ever starts at the present time.
    ///
    /// # Errors
    /// DynamoDB could not be asked, or the record is malformed.
    pub async fn take_turn(
        &self,
        source: &str,
        owner: &str,
        length: Duration,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        let free = Condition {
            expression: "(attribute_not_exists(#next_at) OR #next_at <= :now) AND \
                         (attribute_not_exists(#owner) OR #owner = :mine OR #lease_until < :now)",
            names: &[NEXT_AT, OWNER, attr::LEASE_UNTIL],
            values: vec![("mine", string(owner)), ("now", millis(now))],
        };
        let change = Change::default().set(OWNER, string(owner)).set(attr::LEASE_UNTIL, millis(now + length));
        match self.store.update((RECONCILE, source), change, free).await? {
            Write::Applied(item) => {
                let (source, owner) = (source.to_owned(), owner.to_owned());
                Ok(Taken::Ours(Turn { source, owner, length, position: position(&item, now)? }))
            }
            Write::Refused(item) => {
                let [next, held] = [NEXT_AT, attr::LEASE_UNTIL].map(|name| time(&item, name));
                Ok(Taken::NotBefore(next?.into_iter().chain(held?).max().unwrap_or(now)))
            }
        }
    }

    /// Records the position and keeps the turn.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: another consumer has the turn. Or DynamoDB could not be asked.
    pub async fn keep_turn(&self, turn: &Turn, now: Timestamp) -> Result<(), StoreError> {
        self.write_turn(turn, Change::default().set(attr::LEASE_UNTIL, millis(now + turn.length))).await
    }

    /// Records the position and the time of the next turn.
    ///
    /// # Errors
    /// As [`Reconciliation::keep_turn`]; the turn then expires.
    pub async fn end_turn(&self, turn: Turn, next_at: Timestamp) -> Result<(), StoreError> {
        let over = Change::default().set(attr::LEASE_UNTIL, millis(Timestamp::UNIX_EPOCH));
        self.write_turn(&turn, over.set(NEXT_AT, millis(next_at))).await
    }

    async fn write_turn(&self, turn: &Turn, change: Change) -> Result<(), StoreError> {
        let json = serde_json::to_string(&turn.position).map_err(|_| StoreError::Malformed(POSITION))?;
        let mine = Condition {
            expression: "#owner = :mine",
            names: &[OWNER],
            values: vec![("mine", string(&turn.owner))],
        };
        match self.store.update((RECONCILE, &turn.source), change.set(POSITION, string(json)), mine).await? {
            Write::Applied(_) => Ok(()),
            Write::Refused(_) => Err(StoreError::Fenced),
        }
    }

    /// Puts the effect of a fetched event on the agenda, due now or later, unless it has a record. One
    /// conditional put checks that and stores the effect. The topic is not used. A command of the same event
    /// that arrives meanwhile finds this record, as with a journal.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn recover(
        &self,
        effect: &EffectId,
        command: Command,
        due: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Recovery, StoreError> {
        self.lanes.register([effect.step_id()]).await?;
        let is_large = command.to_json().len() > MAX_INLINE;
        if is_large && self.store.record(effect.run_id().as_str(), &effect.to_string()).await?.is_some() {
            return Ok(Recovery::Known);
        }
        let command = if is_large { self.inputs.leave_input(effect, command).await? } else { command };
        let mut item = pending_item(effect, &command, due.unwrap_or(now), now);
        item.insert(attr::RECOVERED_AT.into(), millis(now));
        match self.store.put(item, absent()).await? {
            Write::Applied(_) => Ok(Recovery::Recovered),
            Write::Refused(item) => {
                let record = Record::read(&item)?;
                if is_large && record.status.is_over() {
                    self.inputs.expire(&command, now).await?;
                }
                // The SDK may have sent the put again, after its own first one was applied.
                let is_own =
                    record.recovered_at.is_some_and(|at| at.as_millisecond() == now.as_millisecond());
                Ok(if is_own { Recovery::Recovered } else { Recovery::Known })
            }
        }
    }
}

fn position(item: &Item, now: Timestamp) -> Result<Position, StoreError> {
    // Providers list events with a precision of one second.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let begins = Position { floor: now, looked_until: now, look: None, failures: 0 };
    let Some(json) = optional_text(item, POSITION) else { return Ok(begins) };
    serde_json::from_str(&json).map_err(|_| StoreError::Malformed(POSITION))
}
