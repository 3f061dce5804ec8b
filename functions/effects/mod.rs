//! The effects table: the exactly-once guard, the retry agenda and the history, one record per effect.
//!
//! [`Table`] opens it. Each user gets only the roles that it needs:
//!
//! | role | module | what | users |
//! |---|---|---|---|
//! | [`Guard`] | [`guard`], [`parked`] | claim, then commit, defer, park or skip; chains; parks what can't be claimed | consumer |
//! | [`Agenda`] | [`agenda`] | due records, by lane and time | ingest's outbox, consumer |
//! | [`LargeInputs`] | [`claim_check`] | input that is too large for the broker | ingest's outbox, consumer |
//! | [`StreamLeases`] | [`stream_lease`] | one stream at a time per broker | consumer |
//! | [`Pauses`] | [`pause`] | a pause of the consumer | consumer, operators |
//! | [`Reconciliation`] | [`reconciliation`], [`asked`] | how far each source is reconciled; requested redeliveries | consumer, operators |
//! | [`IdempotencyKeys`] | [`request`] | the idempotency keys of clients | ingest's API |
//! | [`Listing`] | [`listing`], [`recent`] | effects by run, by state and by time, read only | ingest's API, operators, console |
//! | [`RunLog`] | [`runs`] | what each consumer run did | consumer, console |
//! | [`Decisions`] | [`guard::decide`], [`bulk`] | one decision on one or on many parked effects | ingest's API, operators, console |
//! | [`Unpublished`] | [`decided`] | decisions not yet published | consumer |
//! | [`Redrives`] | [`redrive`] | does finished effects again | operators |
//! | [`Health`] | [`health`] | whether the table can be read | ingest's health route |
//!
//! All roles are built on these modules. `store` and `transaction` make conditional writes; `wire` encodes
//! them as DynamoDB's JSON. `queries` reads. `lanes` registers the agenda's lanes. `new_record` has what a
//! record starts with. `attributes` has the names and forms of an item's values.
//!
//! The values: [`record`], `history` and `receipt` are a record, its states and its parts; [`row`] is an item
//! of a user's table, written in the same transaction; [`standing`] is the state of a run.

pub mod agenda;
pub mod asked;
mod attributes;
pub mod bulk;
pub mod claim_check;
pub mod decided;
mod error;
mod expression;
pub mod guard;
pub mod health;
mod history;
mod lanes;
pub mod listing;
mod new_record;
pub mod parked;
pub mod pause;
mod queries;
mod receipt;
pub mod recent;
pub mod reconciliation;
pub mod record;
pub mod redrive;
pub mod request;
pub mod row;
pub mod runs;
pub mod standing;
mod store;
pub mod stream_lease;
mod transaction;
mod wire;

use std::{sync::Arc, time::Duration};

use agenda::Agenda;
use aws_sdk_dynamodb::Client;
use claim_check::LargeInputs;
use decided::Unpublished;
pub use error::StoreError;
use guard::{Guard, decide::Decisions};
use health::Health;
use lanes::Lanes;
use listing::Listing;
use pause::Pauses;
pub use queries::Cursor;
use reconciliation::Reconciliation;
use redrive::Redrives;
use request::IdempotencyKeys;
use runs::RunLog;
use store::Store;
use stream_lease::StreamLeases;

use crate::clients::Direct;

/// The sparse index of the agenda: `lane` and `due_at`.
pub const DUE_INDEX: &str = "due";

/// The effects table. It only hands out the roles, so that each user's fields say what that user can do. All of them are cheap to clone.
#[derive(Debug, Clone)]
pub struct Table {
    store: Store,
    lanes: Lanes,
}

/// Proof that a message is settled: an ack takes one. It can't be copied, and nothing outside this
/// module can make one.
///
/// ```compile_fail,E0451
/// # use driftq_webhooks::effects::{How, Settled};
/// let made_up = Settled { how: How::Done };
/// ```
///
/// Acking before settling does not compile either, since a lease is not a proof:
///
/// ```compile_fail,E0308
/// # use driftq_client::{AckToken, Client, Error};
/// # use driftq_webhooks::{effects::{Settled, guard::Lease}};
/// # use std::time::Duration;
/// # async fn wrong(broker: Client<Settled>, token: AckToken, lease: Lease) -> Result<(), Error> {
/// broker.ack(token, lease, Duration::from_secs(1)).await?;
/// # Ok(())
/// # }
/// ```
///
/// An attempt can end only once:
///
/// ```compile_fail,E0382
/// # use driftq_webhooks::{command::Command, effects::{StoreError, guard::{Guard, Lease}, record::Receipt}};
/// # use jiff::Timestamp;
/// # async fn wrong(guard: Guard, lease: Lease, receipt: Receipt, command: Command, now: Timestamp) -> Result<(), StoreError> {
/// let done = guard.commit(lease, &receipt, now).await?;
/// let parked = guard.park(lease, &command, "why", now).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a settled message is acked"]
pub struct Settled {
    how: How,
}

/// What settled a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The third party applied the effect, and that is recorded.
    Done,
    /// The record says that another message has settled or will settle the effect.
    Duplicate,
    /// It is on the agenda for later.
    Deferred,
    /// Another attempt has claimed it, and the record is on the agenda for the end of that attempt's lease.
    Held,
    /// The attempt goes on in this process, and the record is on the agenda for the end of its lease.
    HandedOver,
    /// An operator has to decide.
    Parked,
    /// Its condition does not hold, and that is recorded.
    Skipped,
}

impl Settled {
    fn new(how: How) -> Self {
        Self { how }
    }

    /// What settled it.
    #[must_use]
    pub fn how(&self) -> How {
        self.how
    }
}

impl Table {
    /// Opens the table of that name. `keep_done`: how long records of done and discarded effects are kept.
    #[must_use]
    pub fn open(client: Client, name: String, keep_done: Duration) -> Self {
        Self::open_when_needed(|| client, name, keep_done)
    }

    /// Like `open`, with a client that is created at first use: ingest seldom needs one, and creating it takes a part of each cold start.
    #[must_use]
    pub fn open_when_needed(
        client: impl FnOnce() -> Client + Send + 'static,
        name: String,
        keep_done: Duration,
    ) -> Self {
        let store = Store::new(client, name, keep_done);
        Self { lanes: Lanes::new(store.clone()), store }
    }

    /// Sends the first try of each write by `direct`, without the SDK's orchestration.
    #[must_use]
    pub fn with_direct(self, direct: Option<Direct>) -> Self {
        let store = Store { direct: direct.map(Arc::new), ..self.store };
        Self { lanes: Lanes::new(store.clone()), store }
    }

    /// Claims effects, and records how attempts end.
    #[must_use]
    pub fn guard(&self) -> Guard {
        Guard { store: self.store.clone(), lanes: self.lanes.clone(), inputs: self.large_inputs() }
    }

    /// Puts commands on the agenda, and reads those that are due.
    #[must_use]
    pub fn agenda(&self) -> Agenda {
        Agenda { store: self.store.clone(), lanes: self.lanes.clone(), guard: self.guard() }
    }

    /// Stores and fetches input that is too large for the broker.
    #[must_use]
    pub fn large_inputs(&self) -> LargeInputs {
        LargeInputs { store: self.store.clone() }
    }

    /// Takes, renews and releases the lease on a stream.
    #[must_use]
    pub fn stream_leases(&self) -> StreamLeases {
        StreamLeases { store: self.store.clone() }
    }

    /// Reads, begins and ends a pause of the consumer.
    #[must_use]
    pub fn pauses(&self) -> Pauses {
        Pauses { store: self.store.clone() }
    }

    /// Keeps the progress of each source's reconciliation, and puts the effects of fetched events on the agenda.
    #[must_use]
    pub fn reconciliation(&self) -> Reconciliation {
        Reconciliation { store: self.store.clone(), lanes: self.lanes.clone(), inputs: self.large_inputs() }
    }

    /// Remembers the idempotency keys of clients.
    #[must_use]
    pub fn idempotency_keys(&self) -> IdempotencyKeys {
        IdempotencyKeys { store: self.store.clone() }
    }

    /// Reads effects, for operators and the console. It writes nothing.
    #[must_use]
    pub fn listing(&self) -> Listing {
        Listing { store: self.store.clone() }
    }

    /// Writes and reads what each run of the consumer did.
    #[must_use]
    pub fn run_log(&self) -> RunLog {
        RunLog { store: self.store.clone() }
    }

    /// Applies operators' decisions on parked effects.
    #[must_use]
    pub fn decisions(&self) -> Decisions {
        Decisions { guard: self.guard(), listing: self.listing() }
    }

    /// Finds the decisions for which no event has been published.
    #[must_use]
    pub fn unpublished(&self) -> Unpublished {
        Unpublished { store: self.store.clone() }
    }

    /// Does finished effects again.
    #[must_use]
    pub fn redrives(&self) -> Redrives {
        Redrives { store: self.store.clone(), lanes: self.lanes.clone(), listing: self.listing() }
    }

    /// Checks whether the table can be read.
    #[must_use]
    pub fn health(&self) -> Health {
        Health { store: self.store.clone() }
    }
}
