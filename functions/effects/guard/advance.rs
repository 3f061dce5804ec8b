//! Commits an effect and begins its successors, in one transaction.
//!
//! The effect's own record is fenced as in every end of an attempt. Each successor's record is put if it is
//! absent, or updated if another predecessor was done before. So a successor begins exactly once, when its
//! last predecessor is recorded as done. That holds whatever crashes, and however many predecessors end at
//! the same time: if two write the successor's record together, DynamoDB refuses one. The refused one reads
//! what the other wrote, and tries again.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{sleep, timeout};

use super::{Guard, Lease, fence};
use crate::{
    command::{Command, MOST_INLINE, flow::Next},
    effects::{
        How, Settled, StoreError,
        attributes::{Item, attr, count, millis, short, string},
        expression::{Change, Condition},
        new_record::{absent, lane, new_item},
        record::{Receipt, Record, Status},
        row::Row,
        transaction::{Obstacle, Transacted, Writes, not_applied},
    },
    random,
};

/// When a new successor is due on the agenda. The process that began it works on it at once; the agenda is for the case that it dies.
const IN_HAND: Duration = Duration::from_secs(1);
/// Attempts at one transaction. Each cancellation means that another transaction of the same run was applied,
/// or that the table is busy.
const TRIES: u32 = 25;
/// The longest pause before the next try, in milliseconds. Pauses are random, so that two cancelled together do not collide again.
const MOST_PAUSE_MS: u64 = 40;

/// The time limit for writing an item, all tries included.
const PATIENCE: Duration = Duration::from_secs(5);
const NO_CONDITION: &str = "its condition does not hold";

/// The end of an effect, as a write to its record.
#[derive(Debug)]
pub(in crate::effects) struct End<'a> {
    pub(in crate::effects) key: (&'a str, &'a str),
    pub(in crate::effects) change: Change,
    pub(in crate::effects) condition: Condition<'a>,
    /// An item of another table, written in the same transaction.
    pub(in crate::effects) row: Option<&'a Row>,
}

/// The result of an attempt to end an effect.
#[derive(Debug)]
pub(in crate::effects) enum Advanced {
    /// The end is recorded, and these commands have begun.
    Applied(Vec<Command>),
    /// The condition on the effect's record did not hold. Contains the record as it is.
    Refused(Item),
    /// The item of the other table can't be written, for this reason.
    RowRefused(String),
}

/// The result of writing an item of another table.
#[derive(Debug)]
pub enum Written {
    /// The item is written, and the effect is recorded as done.
    Done {
        /// Proof that the message is settled.
        settled: Settled,
        /// The commands that have begun.
        begun: Vec<Command>,
    },
    /// Neither the item nor the effect's end is written.
    Not {
        /// The lease, to defer or to park with.
        lease: Box<Lease>,
        /// Why not.
        why: NotWritten,
    },
}

/// Why an item was not written.
#[derive(Debug)]
pub enum NotWritten {
    /// Permanently refused.
    Refused(String),
    /// Not possible now, or there was no answer. If the write was applied after all, the effect is done, and every other end is refused.
    Unavailable(String),
}

/// A successor, and its record as last read from the table.
struct Successor<'a> {
    next: &'a Next,
    /// The command; large input is already stored in the table.
    command: Command,
    seen: Item,
}

impl Guard {
    /// Commits an effect and begins its successors. Returns the commands that have begun. A `kept` command stays in the record.
    ///
    /// # Errors
    /// As [`Guard::commit`].
    pub async fn commit_and_begin(
        &self,
        lease: Lease,
        receipt: &Receipt,
        kept: Option<&Command>,
        next: &[Next],
        now: Timestamp,
    ) -> Result<(Settled, Vec<Command>), StoreError> {
        let change = self.done(&lease, receipt, kept, now)?;
        if next.is_empty() {
            self.report(lease, Status::Done, change).await?;
            return Ok((Settled::new(How::Done), Vec::new()));
        }
        let begun = self.end(&lease, Status::Done, change, next, now).await?;
        Ok((Settled::new(How::Done), begun))
    }

    /// Writes an item of another table, marks the effect as done, and begins its successors, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: a newer attempt owns the effect.
    pub async fn commit_with_row(
        &self,
        lease: Lease,
        row: &Row,
        receipt: &Receipt,
        kept: Option<&Command>,
        next: &[Next],
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        let not = |lease, why| Ok(Written::Not { lease: Box::new(lease), why });
        if row.table == *self.store.table {
            let why = "this is the table of effects, which no step writes to";
            return not(lease, NotWritten::Refused(why.to_owned()));
        }
        let change = self.done(&lease, receipt, kept, now)?;
        let (run_id, effect_id) = (lease.effect.run_id().as_str(), lease.effect.to_string());
        let end =
            End { key: (run_id, &effect_id), change, condition: fence(&lease.attempt_id), row: Some(row) };
        let settled = Settled::new(How::Done);
        match timeout(PATIENCE, self.end_and_begin(end, next, now)).await {
            Ok(Ok(Advanced::Applied(begun))) => Ok(Written::Done { settled, begun }),
            Ok(Ok(Advanced::Refused(item))) if lease.has_ended(&item, Status::Done) => {
                Ok(Written::Done { settled, begun: Vec::new() })
            }
            Ok(Ok(Advanced::Refused(_))) => Err(StoreError::Fenced),
            Ok(Ok(Advanced::RowRefused(why))) => not(lease, NotWritten::Refused(why)),
            Ok(Err(error)) => not(lease, NotWritten::Unavailable(error.to_string())),
            Err(_) => not(lease, NotWritten::Unavailable("no answer in time".to_owned())),
        }
    }

    /// Skips an effect and everything that comes after it.
    ///
    /// # Errors
    /// As [`Guard::commit`].
    pub async fn skip(
        &self,
        lease: Lease,
        why: &str,
        next: &[Next],
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let change = Change::default()
            .set(attr::LAST_ERROR, string(short(why)))
            .set(attr::EXPIRES_AT, self.store.expiry(now))
            .remove(&[attr::COMMAND, attr::DOUBT, attr::LANE, attr::DUE_AT]);
        let change = lease.ending(Status::Skipped, why, change, now);
        self.end(&lease, Status::Skipped, change, next, now).await?;
        Ok(Settled::new(How::Skipped))
    }

    async fn end(
        &self,
        lease: &Lease,
        status: Status,
        change: Change,
        next: &[Next],
        now: Timestamp,
    ) -> Result<Vec<Command>, StoreError> {
        let (run_id, effect_id) = (lease.effect.run_id().as_str(), lease.effect.to_string());
        let condition = fence(&lease.attempt_id);
        let end = End { key: (run_id, &effect_id), change, condition, row: None };
        match self.end_and_begin(end, next, now).await? {
            Advanced::Applied(begun) => Ok(begun),
            // All of it was applied before: what has begun is on the agenda.
            Advanced::Refused(item) if lease.has_ended(&item, status) => Ok(Vec::new()),
            Advanced::Refused(_) => Err(StoreError::Fenced),
            Advanced::RowRefused(why) => Err(not_applied(why)),
        }
    }

    /// Ends an effect and begins those successors that wait for nothing else.
    pub(in crate::effects) async fn end_and_begin(
        &self,
        end: End<'_>,
        next: &[Next],
        now: Timestamp,
    ) -> Result<Advanced, StoreError> {
        self.lanes.register(next.iter().map(|next| next.effect.step_id())).await?;
        let mut successors = self.successors(next).await?;
        for _ in 0..TRIES {
            let mut writes =
                Writes::default().update(&self.store, end.key, end.change.clone(), end.condition.clone());
            if let Some(row) = end.row {
                let Some(write) = row.write() else {
                    return Ok(Advanced::RowRefused("no such item can be written".to_owned()));
                };
                writes = writes.other(write);
            }
            let (mut written, mut begun) = (Vec::new(), Vec::new());
            for (index, successor) in successors.iter().enumerate() {
                let Some((wanted, command)) = successor.wanted()? else { continue };
                writes = self.write(writes, successor, wanted, &command, now);
                written.push(index);
                let is_now = wanted == Status::Pending && successor.next.due.is_none();
                begun.extend(is_now.then_some(command));
            }
            let obstacles = match self.store.transact(writes).await? {
                Transacted::Applied => return Ok(Advanced::Applied(begun)),
                Transacted::Cancelled(obstacles) => obstacles,
                Transacted::Invalid(why) if end.row.is_some() => return Ok(Advanced::RowRefused(why)),
                Transacted::Invalid(why) => return Err(not_applied(why)),
            };
            if let Some(refused) = refusal(obstacles, end.row.is_some(), &written, &mut successors)? {
                return Ok(refused);
            }
            sleep(Duration::from_millis(random::bits() % MOST_PAUSE_MS)).await;
        }
        Err(not_applied(format!("cancelled {TRIES} times: others write to the same records")))
    }

    async fn successors<'a>(&self, next: &'a [Next]) -> Result<Vec<Successor<'a>>, StoreError> {
        let mut successors = Vec::new();
        for next in next {
            let is_large = next.command.to_json().len() > MOST_INLINE && next.skipped.is_none();
            let command = next.command.clone();
            let command =
                if is_large { self.inputs.leave_input(&next.effect, command).await? } else { command };
            successors.push(Successor { next, command, seen: Item::new() });
        }
        Ok(successors)
    }

    fn write(
        &self,
        writes: Writes,
        successor: &Successor<'_>,
        wanted: Status,
        command: &Command,
        now: Timestamp,
    ) -> Writes {
        let Successor { next, seen, .. } = successor;
        let (run_id, effect_id) = (next.effect.run_id().as_str(), next.effect.to_string());
        let mut change = Change::default().set(attr::STATUS, string(wanted.as_str()));
        match wanted {
            Status::Skipped => {
                let why = next.skipped.as_deref().unwrap_or_default();
                change = change
                    .set(attr::LAST_ERROR, string(short(why)))
                    .set(attr::EXPIRES_AT, self.store.expiry(now))
                    .remove(&[attr::COMMAND]);
            }
            _ => change = change.set(attr::COMMAND, string(command.to_json())),
        }
        if wanted == Status::Pending {
            let due = next.due.unwrap_or(now + IN_HAND);
            change = change.set(attr::LANE, lane(&next.effect)).set(attr::DUE_AT, millis(due));
        }
        if seen.is_empty() {
            let mut item = new_item(&next.effect, wanted, &command.input_hash, now);
            item.insert(attr::ATTEMPT.into(), count(0));
            item.extend(change.into_values().map(|(name, value)| (name.to_owned(), value)));
            return writes.put(&self.store, item, absent());
        }
        let change = change.set(attr::UPDATED_AT, millis(now));
        writes.update(&self.store, (run_id, &effect_id), change, as_seen(seen))
    }
}

/// Reads the result of a cancelled transaction from the obstacles to the effect's end, to the item of another table, and to the
/// successors that were `written`. None: try again, with the successors' records as returned.
fn refusal(
    obstacles: Vec<Obstacle>,
    has_row: bool,
    written: &[usize],
    successors: &mut [Successor<'_>],
) -> Result<Option<Advanced>, StoreError> {
    let mut obstacles = obstacles.into_iter();
    match obstacles.next() {
        Some(Obstacle::Condition(item)) => return Ok(Some(Advanced::Refused(item))),
        Some(Obstacle::Unfit(why)) => return Err(not_applied(why)),
        _ => {}
    }
    if has_row {
        match obstacles.next() {
            Some(Obstacle::Condition(_)) => return Ok(Some(Advanced::RowRefused(NO_CONDITION.to_owned()))),
            Some(Obstacle::Unfit(why)) => return Ok(Some(Advanced::RowRefused(why))),
            _ => {}
        }
    }
    for (index, obstacle) in written.iter().zip(obstacles) {
        match obstacle {
            Obstacle::Condition(item) => successors[*index].seen = item,
            Obstacle::Unfit(why) => return Err(not_applied(why)),
            Obstacle::None | Obstacle::Conflict | Obstacle::Throttled => {}
        }
    }
    Ok(None)
}

impl Successor<'_> {
    /// The new state and command of the successor's record. None: its record needs no change from here.
    fn wanted(&self) -> Result<Option<(Status, Command)>, StoreError> {
        let mut command = self.command.clone();
        if !self.seen.is_empty() {
            let record = Record::read(&self.seen)?;
            if record.status != Status::Awaiting {
                return Ok(None);
            }
            let before = record.readable_command();
            let before = before.ok_or(StoreError::Malformed(attr::COMMAND))?;
            let receipts = before.receipts.into_iter().chain(command.receipts).collect();
            command = Command { receipts, payload: before.payload, flow: before.flow, ..command };
            command.input_hash = before.input_hash;
        }
        let status = match self.next.skipped {
            Some(_) => Status::Skipped,
            None if self.next.is_ready(&command) => Status::Pending,
            None => Status::Awaiting,
        };
        Ok(Some((status, command)))
    }
}

/// Holds only while no other predecessor, ending at the same time, has updated the record.
fn as_seen(item: &Item) -> Condition<'static> {
    let seen = item.get(attr::COMMAND).cloned().unwrap_or_else(|| string(""));
    Condition {
        expression: "#status = :awaiting AND #command = :seen",
        names: &[attr::STATUS, attr::COMMAND],
        values: vec![("awaiting", string(Status::Awaiting.as_str())), ("seen", seen)],
    }
}
