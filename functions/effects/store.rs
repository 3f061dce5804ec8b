//! Conditional writes to the effects table, and their results.
//!
//! A conditional write either applies, or is refused and returns the item that did not match. The SDK retries by itself, so our own first
//! write can cause a refusal; every caller looks for its own mark in that item, such as its attempt id.

#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::{put_item::PutItemError, update_item::UpdateItemError},
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::{
    attributes::{Item, attr, seconds, string},
    error::StoreError,
    expression::{Change, Condition, named},
    wire,
};
use crate::clients::direct::{Direct, Tried, other_tries};

/// The result of a conditional write.
pub(super) enum Write {
    /// It was applied. For an update: the item as it is now.
    Applied(Item),
    /// Its condition did not hold: the item as it was, empty if there was none.
    Refused(Item),
}

/// The table's client and name, which all roles share.
#[derive(Debug, Clone)]
pub(super) struct Store {
    pub(super) client: LazyClient,
    pub(super) table: Arc<str>,
    /// How long records of done and discarded effects are kept.
    pub(super) keep_done: Duration,
    /// Sends the first try of each write. None: the client does.
    pub(super) direct: Option<Arc<Direct>>,
}

/// A client that is created at first use.
type LazyClient = Arc<LazyLock<Client, Box<dyn FnOnce() -> Client + Send>>>;

impl Store {
    pub(super) fn new(
        client: impl FnOnce() -> Client + Send + 'static,
        table: String,
        keep_done: Duration,
    ) -> Self {
        let client = Arc::new(LazyLock::new(Box::new(client) as _));
        Self { client, table: table.into(), keep_done, direct: None }
    }

    /// When DynamoDB may remove a finished record.
    pub(super) fn expiry(&self, now: Timestamp) -> AttributeValue {
        seconds(now + self.keep_done)
    }

    pub(super) async fn put(&self, item: Item, condition: Condition<'_>) -> Result<Write, StoreError> {
        let body = || wire::put(&self.table, &item, &condition);
        let left = match self.first_try("PutItem", body).await {
            Ok(write) => return Ok(write),
            Err(left) => left,
        };
        let (names, values) = named(Change::default(), condition.names, condition.values);
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression(condition.expression)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let send = || {
            let request = request.clone().customize();
            match left {
                None => request.send(),
                Some(time) => request.config_override(other_tries(time)).send(),
            }
        };
        match past_transactions(send).await {
            Ok(_) => Ok(Write::Applied(Item::new())),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Write::Refused(refused.item().cloned().unwrap_or_default()))
                }
                _ => Err(StoreError::unavailable("PutItem", &error)),
            },
        }
    }

    /// An update that returns the item as it is then.
    pub(super) async fn update(
        &self,
        key: (&str, &str),
        change: Change,
        condition: Condition<'_>,
    ) -> Result<Write, StoreError> {
        self.update_returning(ReturnValue::AllNew, key, change, condition).await
    }

    /// An update that returns no item if it is applied.
    pub(super) async fn update_only(
        &self,
        key: (&str, &str),
        change: Change,
        condition: Condition<'_>,
    ) -> Result<Write, StoreError> {
        self.update_returning(ReturnValue::None, key, change, condition).await
    }

    async fn update_returning(
        &self,
        returned: ReturnValue,
        key: (&str, &str),
        change: Change,
        condition: Condition<'_>,
    ) -> Result<Write, StoreError> {
        let body = || wire::update(&self.table, key, &change, &condition, returned.as_str());
        let left = match self.first_try("UpdateItem", body).await {
            Ok(write) => return Ok(write),
            Err(left) => left,
        };
        let expression = change.expression();
        let (names, values) = named(change, condition.names, condition.values);
        let request = self
            .client
            .update_item()
            .table_name(&*self.table)
            .key(attr::RUN_ID, string(key.0))
            .key(attr::EFFECT_ID, string(key.1))
            .update_expression(expression)
            .condition_expression(condition.expression)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values(returned)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let send = || {
            let request = request.clone().customize();
            match left {
                None => request.send(),
                Some(time) => request.config_override(other_tries(time)).send(),
            }
        };
        match past_transactions(send).await {
            Ok(output) => Ok(Write::Applied(output.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Write::Refused(refused.item().cloned().unwrap_or_default()))
                }
                _ => Err(StoreError::unavailable("UpdateItem", &error)),
            },
        }
    }

    /// Tries a write without the SDK.
    ///
    /// # Errors
    /// The write is left to the SDK. If something was sent, the error holds the time that is left.
    async fn first_try(
        &self,
        operation: &str,
        body: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Result<Write, Option<Duration>> {
        let Some(direct) = &self.direct else { return Err(None) };
        let began = Instant::now();
        let read = match direct.write(operation, body).await {
            Tried::Applied(answer) => wire::item(&answer).map(Write::Applied),
            Tried::Refused(answer) => wire::item(&answer).map(Write::Refused),
            Tried::Left(left) => return Err(left),
        };
        read.ok_or_else(|| Some(direct.left_since(began)))
    }
}

/// The pauses before a write is repeated because of a transaction on the same item.
const PAUSES_MS: [u64; 5] = [5, 10, 20, 40, 80];
const CONFLICT: &str = "TransactionConflictException";

/// Repeats a write that conflicted with a transaction on its item: nothing was written. The SDK does not retry that.
///
/// The SDK's futures are boxed, here and wherever a command may need a request: they take 10 KB and more, which would be a part of every future
/// around them, and be copied whenever one of those is moved.
async fn past_transactions<T, E, F>(send: impl Fn() -> F) -> Result<T, SdkError<E>>
where
    E: ProvideErrorMetadata,
    F: Future<Output = Result<T, SdkError<E>>>,
{
    for pause in PAUSES_MS {
        match Box::pin(send()).await {
            Err(error) if error.code() == Some(CONFLICT) => sleep(Duration::from_millis(pause)).await,
            outcome => return outcome,
        }
    }
    Box::pin(send()).await
}
