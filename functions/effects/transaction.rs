//! Transactions: several conditional writes that apply together or not at all.
//!
//! DynamoDB cancels a transaction if a condition does not hold, and also if another write to one of its items is under way. In
//! the first case it returns the items; the second only means that it should be tried again.

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata as _,
    operation::transact_write_items::TransactWriteItemsError,
    types::{CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update},
};

use super::{
    attributes::{Item, attr, string},
    error::StoreError,
    expression::{Change, Condition, named},
    store::Store,
};

const OPERATION: &str = "TransactWriteItems";

/// The result of a transaction.
#[derive(Debug)]
pub(super) enum Transacted {
    /// All writes were applied.
    Applied,
    /// None was applied: for each write, its obstacle.
    Cancelled(Vec<Obstacle>),
    /// None was applied: DynamoDB rejects the request as invalid.
    Invalid(String),
}

/// Why one write of a cancelled transaction was not applied.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// This write has no obstacle.
    None,
    /// Its condition did not hold: the item as it is, empty if there is none.
    Condition(Item),
    /// Another write to the item is under way.
    Conflict,
    /// The table is throttled.
    Throttled,
    /// The item can never be written.
    Unfit(String),
}

/// The writes of a transaction, in the order of its obstacles.
#[derive(Debug, Default)]
pub(super) struct Writes(Vec<TransactWriteItem>);

impl Writes {
    /// A write to another table.
    pub(super) fn other(mut self, write: TransactWriteItem) -> Self {
        self.0.push(write);
        self
    }

    pub(super) fn put(mut self, store: &Store, item: Item, condition: Condition<'_>) -> Self {
        let (names, values) = named(Change::default(), condition.names, condition.values);
        let put = Put::builder()
            .table_name(&*store.table)
            .set_item(Some(item))
            .condition_expression(condition.expression)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        // It fails only without a table or an item.
        self.0.extend(put.build().ok().map(|put| TransactWriteItem::builder().put(put).build()));
        self
    }

    pub(super) fn update(
        mut self,
        store: &Store,
        key: (&str, &str),
        change: Change,
        condition: Condition<'_>,
    ) -> Self {
        let expression = change.expression();
        let (names, values) = named(change, condition.names, condition.values);
        let update = Update::builder()
            .table_name(&*store.table)
            .key(attr::RUN_ID, string(key.0))
            .key(attr::EFFECT_ID, string(key.1))
            .update_expression(expression)
            .condition_expression(condition.expression)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let update = update.build().ok();
        self.0.extend(update.map(|update| TransactWriteItem::builder().update(update).build()));
        self
    }
}

impl Store {
    /// Writes all or nothing. The SDK gives each transaction a token, so that one whose answer was lost and which is sent again
    /// is not applied a second time.
    pub(super) async fn transact(&self, writes: Writes) -> Result<Transacted, StoreError> {
        let request = self.client.transact_write_items().set_transact_items(Some(writes.0));
        let Err(error) = Box::pin(request.send()).await else { return Ok(Transacted::Applied) };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                let obstacles: Vec<_> = cancelled.cancellation_reasons().iter().map(Obstacle::read).collect();
                Ok(Transacted::Cancelled(obstacles))
            }
            Some(error) if error.code() == Some("ValidationException") => {
                Ok(Transacted::Invalid(error.message().unwrap_or_default().to_owned()))
            }
            // The same transaction, whose first response is still outstanding.
            Some(TransactWriteItemsError::TransactionInProgressException(_)) => {
                Ok(Transacted::Cancelled(Vec::new()))
            }
            _ => Err(StoreError::unavailable(OPERATION, &error)),
        }
    }
}

/// The error for a transaction that was not applied and may be applied later.
pub(super) fn not_applied(why: String) -> StoreError {
    StoreError::Unavailable { operation: OPERATION, why }
}

impl Obstacle {
    /// Whether another writer has changed the item or is changing it.
    pub(super) fn is_another_write(&self) -> bool {
        matches!(self, Self::Condition(_) | Self::Conflict)
    }

    /// The codes are DynamoDB's
    /// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>).
    fn read(reason: &CancellationReason) -> Self {
        match reason.code() {
            None | Some("None") => Self::None,
            Some("ConditionalCheckFailed") => Self::Condition(reason.item().cloned().unwrap_or_default()),
            Some("TransactionConflict") => Self::Conflict,
            Some("ThrottlingError" | "ProvisionedThroughputExceeded") => Self::Throttled,
            Some(code) => Self::Unfit(format!("{code}: {}", reason.message().unwrap_or_default())),
        }
    }
}
