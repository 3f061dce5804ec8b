//! How far each source has been reconciled, and whose turn it is to go on: one record per source, under a run id of its own.
//! It is no effect and stands in no index.
//!
//! A turn is a lease: one consumer at a time asks a provider. Its writes are fenced, so that one which has lost its turn moves
//! nothing; what it has asked for or enqueued meanwhile is harmless, because of the guard.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Effects,
    agenda::{absent, pending_item},
    error::StoreError,
    record::{Item, Record, attr, millis, optional_text, string, time},
    store::{Change, Condition, Write},
};
use crate::{
    command::{Command, MAX_INLINE},
    effect_id::EffectId,
};

/// No run id can be this: they hold no `:`.
const RECONCILE: &str = ":reconcile";
const OWNER: &str = "owner";
const NEXT_AT: &str = "next_at";
const POSITION: &str = "position";

/// How far a source has been reconciled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Nothing older is ever asked for: it was there before anybody asked.
    pub floor: Timestamp,
    /// Everything until then has been looked at.
    pub looked_until: Timestamp,
    /// The look that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
    /// Looks in a row that have failed.
    #[serde(default)]
    pub failures: u32,
}

/// A look at what a provider has sent in a time, from its end to its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// What is newer has been handled already.
    pub handled_from: Timestamp,
    /// The page to go on with; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

/// The right to reconcile a source, for a time.
#[derive(Debug)]
#[must_use = "end it, so that the next look is planned"]
pub struct Turn {
    source: String,
    owner: String,
    length: Duration,
    /// How far it has come.
    pub position: Position,
}

/// What asking for a turn came to.
#[derive(Debug)]
pub enum Taken {
    /// It is ours.
    Ours(Turn),
    /// It is not time yet, or another consumer has it.
    NotBefore(Timestamp),
}

/// What became of an event's effect that was fetched from the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// There was no record of it. There is one now, and it is due.
    Recovered,
    /// Its record answers for it.
    Known,
}

impl Effects {
    /// Takes the turn of a source, if it is time. The first one ever begins now.
    ///
    /// # Errors
    /// DynamoDB could not be asked, or the record is not ours.
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

    /// Records how far it has come, and keeps the turn.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: another has the turn. Or DynamoDB could not be asked.
    pub async fn keep_turn(&self, turn: &Turn, now: Timestamp) -> Result<(), StoreError> {
        self.write_turn(turn, Change::default().set(attr::LEASE_UNTIL, millis(now + turn.length))).await
    }

    /// Records how far it has come, and when to go on.
    ///
    /// # Errors
    /// As [`Effects::keep_turn`]; the turn then ends by itself.
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

    /// Puts the effect of a fetched event on the agenda, due now or later, unless there is a record of it: one conditional put says both.
    /// The topic is not needed for it. A command of the same event that arrives meanwhile meets this record, as a journal's.
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
        self.register_lanes([effect.step_id()]).await?;
        let is_large = command.to_json().len() > MAX_INLINE;
        if is_large && self.record(effect.run_id().as_str(), &effect.to_string()).await?.is_some() {
            return Ok(Recovery::Known);
        }
        let command = if is_large { self.leave_input(effect, command).await? } else { command };
        let mut item = pending_item(effect, &command, due.unwrap_or(now), now);
        item.insert(attr::RECOVERED_AT.into(), millis(now));
        match self.store.put(item, absent()).await? {
            Write::Applied(_) => Ok(Recovery::Recovered),
            Write::Refused(item) => {
                let record = Record::read(&item)?;
                if is_large && record.status.is_over() {
                    self.expire_input(&command, now).await?;
                }
                // The SDK may have sent the put again, and lost to its own first one.
                let is_own =
                    record.recovered_at.is_some_and(|at| at.as_millisecond() == now.as_millisecond());
                Ok(if is_own { Recovery::Recovered } else { Recovery::Known })
            }
        }
    }
}

fn position(item: &Item, now: Timestamp) -> Result<Position, StoreError> {
    // Providers date what they list by whole seconds.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let begins = Position { floor: now, looked_until: now, look: None, failures: 0 };
    let Some(json) = optional_text(item, POSITION) else { return Ok(begins) };
    serde_json::from_str(&json).map_err(|_| StoreError::Malformed(POSITION))
}
