//! Reads effects, for operators and the console: by run, by state, and how many wait. [`recent`](super::recent) reads them by time.

use aws_sdk_dynamodb::types::Select;
use jiff::Timestamp;

use super::{error::StoreError, queries::Cursor, record::Record, store::Store};
use crate::effect_id::PARKED_LANE;

/// Reads effects. It writes nothing.
#[derive(Debug, Clone)]
pub struct Listing {
    pub(super) store: Store,
}

/// How much waits in a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// The number of records, up to the query's limit.
    pub count: u64,
    /// When the oldest became due.
    pub oldest: Option<Timestamp>,
}

impl Listing {
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
        let (items, next) = self.store.run_items(run_id, from).await?;
        Ok((items.iter().map(Record::read).collect::<Result<_, _>>()?, next))
    }

    /// Every lane that was ever used.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn lanes(&self) -> Result<Vec<String>, StoreError> {
        self.store.lanes().await
    }

    /// The number of records of a lane that are due by `until`, counted up to `most`, and when the oldest became due. It
    /// reads each record that it counts.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn waiting(&self, lane: &str, until: Timestamp, most: u16) -> Result<Waiting, StoreError> {
        let (first, next) = self.store.lane_until(lane, until, 1, None).await?;
        let oldest = first.first().and_then(|item| Record::read(item).ok()?.due_at);
        let mut waiting = Waiting { count: first.len() as u64, oldest };
        let mut from = next;
        while let Some(Cursor(key)) = from.filter(|_| waiting.count < u64::from(most)) {
            let page = self
                .store
                .lane_query(lane, until)
                .select(Select::Count)
                .limit(i32::from(most))
                .set_exclusive_start_key(Some(key))
                .send()
                .await
                .map_err(|error| StoreError::unavailable("Query", &error))?;
            waiting.count += u64::try_from(page.count).unwrap_or_default();
            from = page.last_evaluated_key.map(Cursor);
        }
        Ok(waiting)
    }

    /// The parked records, those longest parked first, at most `limit` of them.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn parked(&self, limit: i32) -> Result<Vec<Record>, StoreError> {
        Ok(self.parked_page(limit, None).await?.0)
    }

    /// One page of the parked records, those longest parked first.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn parked_page(
        &self,
        limit: i32,
        from: Option<Cursor>,
    ) -> Result<(Vec<Record>, Option<Cursor>), StoreError> {
        let (items, next) = self.store.lane_until(PARKED_LANE, Timestamp::MAX, limit, from).await?;
        Ok((items.iter().map(Record::read).collect::<Result<_, _>>()?, next))
    }
}
