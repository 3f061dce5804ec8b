//! The exactly-once guard: claim, then one of commit, defer, park and skip.
//!
//! A claim of a fresh effect is one conditional put, and its commit one update. Attempts are counted when they are
//! claimed, so that crashes and timeouts use up the budget. Every write after the claim is fenced: it applies only
//! while the record still bears this attempt's id, so that a stale attempt can never overwrite a newer one.
//!
//! This file has the types, which make a wrong order of calls fail to compile. `claim`, `settle`, `advance` and [`decide`] have the writes.

mod advance;
mod claim;
pub mod decide;
mod settle;

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

pub use self::{
    advance::{NotWritten, Written},
    settle::Deferral,
};
use super::{
    How, Settled, StoreError,
    attributes::{attr, string},
    claim_check::LargeInputs,
    expression::{Change, Condition},
    lanes::Lanes,
    record::{History, Record, Status},
    store::{Store, Write},
};
use crate::{
    command::{Command, InputHash},
    effect_id::EffectId,
};

/// Claims effects, and records how attempts end.
#[derive(Debug, Clone)]
pub struct Guard {
    pub(super) store: Store,
    pub(super) lanes: Lanes,
    pub(super) inputs: LargeInputs,
}

/// A lease: the right to call the third party once, for a time. Only the guard makes one; `commit`, `defer`,
/// `park` and `skip` consume it.
#[derive(Debug)]
#[must_use = "a claimed effect is committed, deferred or parked"]
pub struct Lease {
    effect: EffectId,
    attempt_id: String,
    attempt: u32,
    forgiven: u32,
    forgiven_at: Option<Timestamp>,
    first_attempt_at: Timestamp,
    history: History,
    taken_over: bool,
    in_doubt: bool,
    until: Timestamp,
    on_agenda: bool,
}

/// A lease on an effect in doubt: an earlier attempt may have been applied. It can't be used for a call before the step's policy has
/// said that calling again is safe.
#[derive(Debug)]
#[must_use = "a doubt is resolved by the step's policy"]
pub struct Doubt {
    lease: Lease,
    why: String,
}

/// An effect that another attempt has claimed, perhaps in another process. That attempt may still be calling.
#[derive(Debug)]
pub struct Held {
    effect: EffectId,
    attempt_id: String,
    /// When that attempt's lease ends.
    pub until: Timestamp,
}

/// An effect whose own record already covers this message.
#[derive(Debug)]
pub struct Recorded {
    /// The effect's state.
    pub status: Status,
    settled: Settled,
}

/// A message that contradicts the effect's record; an operator must look at both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// The same effect with other input, and not done.
    OtherInput {
        /// Digest of the recorded input.
        recorded: InputHash,
    },
    /// A retry of an effect whose record is missing.
    NoRecord,
    /// A first attempt, of a command so old that its effect's record may have expired.
    Outlived,
}

/// The result of a claim.
#[derive(Debug)]
pub enum Claim {
    /// Claimed, and no earlier attempt has an unknown outcome.
    Won(Lease),
    /// Claimed, but an earlier attempt may have been applied.
    InDoubt(Doubt),
    /// Another attempt has the lease.
    Held(Held),
    /// Done, parked, or waiting for a later attempt than this message's.
    Recorded(Recorded),
    /// Not claimed: that would not be safe.
    Mismatch(Mismatch),
}

/// A request to claim an effect.
#[derive(Debug, Clone, Copy)]
pub struct ClaimRequest<'a> {
    /// The effect.
    pub effect: &'a EffectId,
    /// The command that asks for the effect.
    pub command: &'a Command,
    /// Fencing token: random, new for every claim.
    pub attempt_id: Uuid,
    /// The lease's length: the time for the call and its commit.
    pub lease: Duration,
    /// Whether a record is expected: for commands from the agenda, and with a journal.
    pub is_recorded: bool,
    /// Whether the claim puts the record on the agenda, due when the lease ends.
    pub on_agenda: bool,
}

impl Mismatch {
    /// Why an operator must look.
    #[must_use]
    pub fn why(&self, command: &Command) -> String {
        let Command { input_hash, attempt, received_at, .. } = command;
        match self {
            Self::OtherInput { recorded } => {
                let (recorded, offered) = (recorded.as_str(), input_hash.as_str());
                format!("the same effect with other input: recorded {recorded}, offered {offered}")
            }
            Self::NoRecord => format!("attempt {} of an effect that has no record", attempt + 1),
            Self::Outlived => format!(
                "received at {received_at}, and no record of the effect: records of that age are removed (keep_done), so it may have been done"
            ),
        }
    }

    /// Whether the effect may have been applied.
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        *self == Self::Outlived
    }
}

impl Lease {
    /// The effect.
    #[must_use]
    pub fn effect(&self) -> &EffectId {
        &self.effect
    }

    /// The attempt's number, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The attempt's number within the retry budget, from 1. An operator's decision starts a new budget.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.attempt.saturating_sub(self.forgiven)
    }

    /// Proof that the message is settled, if the claim has put the record on the agenda for the end of this lease.
    #[must_use]
    pub fn handed_over(&self) -> Option<Settled> {
        self.on_agenda.then(|| Settled::new(How::HandedOver))
    }

    /// This attempt as other attempts see it, to be put on the agenda for the end of its lease.
    #[must_use]
    pub fn held(&self) -> Held {
        let Self { effect, attempt_id, until, .. } = self;
        Held { effect: effect.clone(), attempt_id: attempt_id.clone(), until: *until }
    }

    /// How long the effect has been tried within the budget: since its first attempt, or since an operator's decision.
    #[must_use]
    pub fn tried_for(&self, now: Timestamp) -> Duration {
        let began = self.forgiven_at.map_or(self.first_attempt_at, |at| at.max(self.first_attempt_at));
        Duration::try_from(now.duration_since(began)).unwrap_or_default()
    }

    /// Whether this claim took over from an attempt that did not record its outcome.
    #[must_use]
    pub fn taken_over(&self) -> bool {
        self.taken_over
    }

    /// Marks this attempt as in doubt: it may have been applied.
    pub fn doubted(self) -> Self {
        Self { in_doubt: true, ..self }
    }

    /// Whether this attempt or an earlier one may have been applied.
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        self.in_doubt
    }
}

impl Held {
    /// The attempt in a record, if the record is in progress.
    pub(super) fn of_record(effect: &EffectId, record: &Record) -> Option<Self> {
        let attempt_id = record.attempt_id.clone().filter(|_| record.status == Status::InProgress)?;
        let until = record.lease_until.unwrap_or(record.updated_at);
        Some(Self { effect: effect.clone(), attempt_id, until })
    }
}

impl Doubt {
    /// When the effect was first tried. The time for which a third party remembers keys is counted from here.
    #[must_use]
    pub fn first_attempt_at(&self) -> Timestamp {
        self.lease.first_attempt_at
    }

    /// The attempt's number, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.lease.attempt
    }

    /// The attempt's number within the retry budget, from 1.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.lease.tries()
    }

    /// Why it is in doubt.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Whether this claim took over from an attempt that did not record its outcome.
    #[must_use]
    pub fn taken_over(&self) -> bool {
        self.lease.taken_over
    }

    /// The effect.
    #[must_use]
    pub fn effect(&self) -> &EffectId {
        &self.lease.effect
    }

    /// See [`Lease::handed_over`].
    #[must_use]
    pub fn handed_over(&self) -> Option<Settled> {
        self.lease.handed_over()
    }

    /// See [`Lease::held`].
    #[must_use]
    pub fn held(&self) -> Held {
        self.lease.held()
    }

    /// The third party was asked, and its answer resolves the doubt.
    pub fn looked_up(self) -> Lease {
        Lease { in_doubt: false, ..self.lease }
    }

    /// The third party deduplicates by this key: calling again is safe.
    pub fn same_key_is_safe(self) -> Lease {
        self.lease
    }

    /// The doubt stays and nothing is called: the lease, to park with.
    pub fn unresolved(self) -> Lease {
        self.lease
    }
}

impl Recorded {
    /// Proof that the message is settled: nothing is left to do for it.
    pub fn settled(self) -> Settled {
        self.settled
    }
}

impl Guard {
    async fn update(
        &self,
        effect: &EffectId,
        change: Change,
        when: Condition<'_>,
    ) -> Result<Write, StoreError> {
        self.store.update((effect.run_id().as_str(), &effect.to_string()), change, when).await
    }

    /// Like `update`, where the item is not needed if the update is applied.
    async fn update_only(
        &self,
        effect: &EffectId,
        change: Change,
        when: Condition<'_>,
    ) -> Result<Write, StoreError> {
        self.store.update_only((effect.run_id().as_str(), &effect.to_string()), change, when).await
    }
}

/// Holds only while this attempt owns the effect.
fn fence(attempt_id: &str) -> Condition<'static> {
    Condition {
        expression: "#attempt_id = :mine AND #status = :in_progress",
        names: &[attr::ATTEMPT_ID, attr::STATUS],
        values: vec![("mine", string(attempt_id)), ("in_progress", string(Status::InProgress.as_str()))],
    }
}
