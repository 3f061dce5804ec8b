//! Effects that an operator's decision has ended and for which no event has been published yet.
//!
//! A decision may be made where no broker is configured. So the decision itself puts the record into a lane of its own, and the consumer
//! publishes the event in its next run.

use jiff::Timestamp;

use super::{
    attributes::{Item, attr, number, string},
    error::StoreError,
    expression::{Change, Condition},
    record::Record,
    store::{Store, Write},
};

/// The lane of these records. No step has this id: step ids hold no `:`.
pub(super) const DECIDED_LANE: &str = ":decided";

/// An effect whose end has not been published yet.
#[derive(Debug, Clone, PartialEq)]
pub struct UnpublishedEnd {
    /// The effect.
    pub record: Record,
    /// How many effects its run has.
    pub of: u32,
}

/// Finds the decisions for which no event has been published.
#[derive(Debug, Clone)]
pub struct Unpublished {
    pub(super) store: Store,
}

impl Unpublished {
    /// The unpublished effects, those decided first, at most `limit` of them.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn first(&self, limit: i32) -> Result<Vec<UnpublishedEnd>, StoreError> {
        let (items, _) = self.store.lane_until(DECIDED_LANE, Timestamp::MAX, limit, None).await?;
        items.iter().map(UnpublishedEnd::read).collect()
    }

    /// Removes a record from the lane. True for only one caller, which then publishes the event.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn take(&self, end: &UnpublishedEnd) -> Result<bool, StoreError> {
        let condition = Condition {
            expression: "#lane = :decided",
            names: &[attr::LANE],
            values: vec![("decided", string(DECIDED_LANE))],
        };
        let key = (end.record.run_id.as_str(), end.record.effect_id.as_str());
        let change = Change::default().remove(&[attr::LANE, attr::DUE_AT]);
        Ok(matches!(self.store.update(key, change, condition).await?, Write::Applied(_)))
    }
}

impl UnpublishedEnd {
    fn read(item: &Item) -> Result<Self, StoreError> {
        Ok(Self { record: Record::read(item)?, of: number(item, attr::OF)?.unwrap_or(1) })
    }
}
