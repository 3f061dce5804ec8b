//! Effects that an operator's decision has ended and for which no event has been published yet.
//!
//! A decision may be made where no broker is configured. So the decision itself puts the record into a lane of its own, and the consumer
//! publishes the event in its next run.

use jiff::Timestamp;

use super::{
    Effects,
    error::StoreError,
    record::{Item, Record, attr, number, string},
    store::{Change, Condition, Write},
};

/// No step has this id: they hold no `:`.
pub(super) const DECIDED_LANE: &str = ":decided";

/// An effect whose end has not been published yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Untold {
    /// The effect.
    pub record: Record,
    /// How many effects its run has.
    pub of: u32,
}

impl Effects {
    /// The unpublished effects, those decided first, at most `limit` of them.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn untold(&self, limit: i32) -> Result<Vec<Untold>, StoreError> {
        let (items, _) = self.lane_until(DECIDED_LANE, Timestamp::MAX, limit, None).await?;
        items.iter().map(Untold::read).collect()
    }

    /// Removes a record from the lane. True for only one caller, which then publishes the event.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn take_untold(&self, untold: &Untold) -> Result<bool, StoreError> {
        let condition = Condition {
            expression: "#lane = :decided",
            names: &[attr::LANE],
            values: vec![("decided", string(DECIDED_LANE))],
        };
        let key = (untold.record.run_id.as_str(), untold.record.effect_id.as_str());
        let change = Change::default().remove(&[attr::LANE, attr::DUE_AT]);
        Ok(matches!(self.store.update(key, change, condition).await?, Write::Applied(_)))
    }
}

impl Untold {
    fn read(item: &Item) -> Result<Self, StoreError> {
        Ok(Self { record: Record::read(item)?, of: number(item, attr::OF)?.unwrap_or(1) })
    }
}
