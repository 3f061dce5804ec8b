//! The effects table: the exactly-once guard, the retry agenda and the history, one record per effect.
//!
//! | module | what |
//! |---|---|
//! | [`record`], `history`, `receipt` | a record, its states and its parts |
//! | [`guard`] | claim, then commit, defer, park or skip; decisions; chains |
//! | [`agenda`] | due records, by lane and time |
//! | [`parked`] | parks what can't be claimed |
//! | [`claim_check`] | input that is too large for the broker |
//! | [`row`] | an item of a user's table, written in the same transaction |
//! | [`request`] | the idempotency keys of clients |
//! | [`stream_lease`] | one stream at a time per broker |
//! | [`pause`] | a pause of the consumer |
//! | [`reconciliation`], [`asked`] | how far each source is reconciled; requested redeliveries |
//! | `store`, `transaction` | the conditional writes under all of them |
//! | `wire` | a conditional write in DynamoDB's JSON |
//!
//! For operators: [`standing`] the state of a run · [`bulk`] one decision on many effects · [`decided`] decisions not yet published ·
//! [`redrive`] does finished effects again · [`recent`] effects by time · [`runs`] what each consumer run did.

pub mod agenda;
pub mod asked;
pub mod bulk;
pub mod claim_check;
pub mod decided;
mod error;
pub mod guard;
mod history;
pub mod parked;
pub mod pause;
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

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use agenda::Cursor;
use aws_sdk_dynamodb::{Client, operation::query::builders::QueryFluentBuilder, types::AttributeValue};
pub use error::StoreError;
use jiff::Timestamp;
use record::{Item, Record, seconds, string};
use store::Store;

use crate::{clients::Direct, effect_id::StepId};

/// The sparse index of the agenda: `lane` and `due_at`.
pub const DUE_INDEX: &str = "due";
/// The lane of parked records.
pub const PARKED_LANE: &str = "parked";

/// The effects table.
#[derive(Debug, Clone)]
pub struct Effects {
    store: Store,
    keep_done: Duration,
    lanes: KnownLanes,
}

/// The lanes that this process has registered.
#[derive(Debug, Clone, Default)]
struct KnownLanes(Arc<Mutex<HashSet<StepId>>>);

impl KnownLanes {
    fn lock(&self) -> MutexGuard<'_, HashSet<StepId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Proof that a message is settled: an ack takes one. It can't be copied, and nothing outside this
/// module can make one.
///
/// ```compile_fail,E0451
/// # use driftq_webhooks::effects::{How, Settled};
/// let made_up = Settled { how: How::Done };
/// ```
///
/// Nor does acking before settling compile: a lease is no proof,
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
/// and an attempt ends once:
///
/// ```compile_fail,E0382
/// # use driftq_webhooks::{command::Command, effects::{Effects, StoreError, guard::Lease, record::Receipt}};
/// # use jiff::Timestamp;
/// # async fn wrong(effects: Effects, lease: Lease, receipt: Receipt, command: Command, now: Timestamp) -> Result<(), StoreError> {
/// let done = effects.commit(lease, &receipt, now).await?;
/// let parked = effects.park(lease, &command, "why", now).await?;
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

impl Effects {
    /// Opens the table of that name. `keep_done`: how long records of done and discarded effects are kept.
    #[must_use]
    pub fn new(client: Client, table: String, keep_done: Duration) -> Self {
        Self::when_needed(|| client, table, keep_done)
    }

    /// Like `new`, with a client that is created at first use: ingest seldom needs one, and creating it takes a part of each cold start.
    #[must_use]
    pub fn when_needed(
        client: impl FnOnce() -> Client + Send + 'static,
        table: String,
        keep_done: Duration,
    ) -> Self {
        let client = Arc::new(LazyLock::new(Box::new(client) as _));
        Self { store: Store { client, table, direct: None }, keep_done, lanes: KnownLanes::default() }
    }

    /// Has the first try of each write sent without the SDK's orchestration.
    #[must_use]
    pub fn with_direct(mut self, direct: Option<Direct>) -> Self {
        self.store.direct = direct.map(Arc::new);
        self
    }

    /// When DynamoDB may remove a finished record.
    fn expiry(&self, now: Timestamp) -> AttributeValue {
        seconds(now + self.keep_done)
    }

    /// All records of a run, as they are now.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn run(&self, run_id: &str) -> Result<Vec<Record>, StoreError> {
        let (mut records, mut from) = (Vec::new(), None);
        loop {
            let (page, next) = self.run_page(run_id, from).await?;
            records.extend(page);
            from = next;
            if from.is_none() {
                return Ok(records);
            }
        }
    }

    /// One page of the records of a run, as they are now: what DynamoDB reads at a time.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn run_page(
        &self,
        run_id: &str,
        from: Option<Cursor>,
    ) -> Result<(Vec<Record>, Option<Cursor>), StoreError> {
        let (items, next) = self.run_items(run_id, from).await?;
        Ok((items.iter().map(Record::read).collect::<Result<_, _>>()?, next))
    }

    async fn run_items(
        &self,
        run_id: &str,
        from: Option<Cursor>,
    ) -> Result<(Vec<Item>, Option<Cursor>), StoreError> {
        let query = self.query("run_id = :run", run_id).set_exclusive_start_key(from.map(|Cursor(key)| key));
        let page = Box::pin(query.send()).await.map_err(|error| StoreError::unavailable("Query", &error))?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key.map(Cursor)))
    }

    /// One record of a run, as it is now. It uses a Query, so that a function that only shows runs needs no other permission.
    async fn record(&self, run_id: &str, effect_id: &str) -> Result<Option<Record>, StoreError> {
        let item = self.item(run_id, effect_id).await?;
        if item.is_empty() { Ok(None) } else { Record::read(&item).map(Some) }
    }

    /// The same record as an item; empty if there is none.
    async fn item(&self, run_id: &str, effect_id: &str) -> Result<Item, StoreError> {
        let query = self.query("run_id = :run AND effect_id = :effect", run_id);
        let query = query.expression_attribute_values(":effect", string(effect_id));
        let page = Box::pin(query.send()).await.map_err(|error| StoreError::unavailable("Query", &error))?;
        Ok(page.items.unwrap_or_default().into_iter().next().unwrap_or_default())
    }

    fn query(&self, condition: &str, run_id: &str) -> QueryFluentBuilder {
        let query = self.store.client.query().table_name(&self.store.table).consistent_read(true);
        query.key_condition_expression(condition).expression_attribute_values(":run", string(run_id))
    }

    /// Whether the table can be read: a query that returns nothing, made as in [`Effects::run`].
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn reachable(&self) -> Result<(), StoreError> {
        self.run(":health").await.map(drop)
    }
}
