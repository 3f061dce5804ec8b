//! Conditional writes to the effects table, and what they can come to.
//!
//! A conditional write either applies, or is refused and shows the item that stood in its way. The SDK retries by
//! itself, so a refusal can be caused by our own first write; every caller looks for its own mark in that item.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    error::{BuildError, ProvideErrorMetadata, SdkError},
    operation::{
        put_item::PutItemError, transact_write_items::TransactWriteItemsError, update_item::UpdateItemError,
    },
    types::{
        AttributeValue, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
    },
};
use tokio::time::sleep;

use super::{
    agenda::absent,
    error::StoreError,
    record::{Item, attr, string},
};

/// What a conditional write came to.
pub(super) enum Write {
    /// It applied. For an update: the item as it is now.
    Applied(Item),
    /// Its condition did not hold: the item as it was, empty if there was none.
    Refused(Item),
}

/// The effects table.
#[derive(Debug, Clone)]
pub(super) struct Store {
    pub(super) client: Client,
    pub(super) table: String,
}

/// An update expression in the making. All names go through `#`, since DynamoDB reserves many words.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    pub(super) set: Vec<(&'static str, AttributeValue)>,
    pub(super) set_once: Vec<(&'static str, AttributeValue)>,
    pub(super) remove: Vec<&'static str>,
}

impl Change {
    pub(super) fn set(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.set.push((name, value));
        self
    }

    /// Sets what is not there yet.
    pub(super) fn set_once(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.set_once.push((name, value));
        self
    }

    pub(super) fn remove(mut self, names: &[&'static str]) -> Self {
        self.remove.extend(names);
        self
    }

    pub(super) fn expression(&self) -> String {
        let set = self.set.iter().map(|(name, _)| format!("#{name} = :{name}"));
        let once = self.set_once.iter().map(|(name, _)| format!("#{name} = if_not_exists(#{name}, :{name})"));
        let mut expression = format!("SET {}", set.chain(once).collect::<Vec<_>>().join(", "));
        if !self.remove.is_empty() {
            let remove: Vec<_> = self.remove.iter().map(|name| format!("#{name}")).collect();
            expression.push_str(&format!(" REMOVE {}", remove.join(", ")));
        }
        expression
    }
}

/// A condition: its expression, the attributes it names with `#`, and its values.
#[derive(Debug, Clone)]
pub(super) struct Condition<'a> {
    pub(super) expression: &'a str,
    pub(super) names: &'a [&'static str],
    pub(super) values: Vec<(&'static str, AttributeValue)>,
}

impl Store {
    pub(super) async fn put(&self, item: Item, condition: Condition<'_>) -> Result<Write, StoreError> {
        let mut request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(condition.expression)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        for name in condition.names {
            request = request.expression_attribute_names(format!("#{name}"), *name);
        }
        for (name, value) in condition.values {
            request = request.expression_attribute_values(format!(":{name}"), value);
        }
        match past_transactions(|| request.clone().send()).await {
            Ok(_) => Ok(Write::Applied(Item::new())),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Write::Refused(refused.item().cloned().unwrap_or_default()))
                }
                _ => Err(StoreError::unavailable("PutItem", &error)),
            },
        }
    }

    pub(super) async fn update(
        &self,
        key: (&str, &str),
        change: Change,
        condition: Condition<'_>,
    ) -> Result<Write, StoreError> {
        let mut request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(attr::RUN_ID, string(key.0))
            .key(attr::EFFECT_ID, string(key.1))
            .update_expression(change.expression())
            .condition_expression(condition.expression)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let once = change.set_once.iter().map(|(name, _)| name);
        let changed = change.set.iter().map(|(name, _)| name).chain(once).chain(&change.remove);
        for name in changed.chain(condition.names) {
            request = request.expression_attribute_names(format!("#{name}"), *name);
        }
        for (name, value) in change.set.into_iter().chain(change.set_once).chain(condition.values) {
            request = request.expression_attribute_values(format!(":{name}"), value);
        }
        match past_transactions(|| request.clone().send()).await {
            Ok(output) => Ok(Write::Applied(output.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Write::Refused(refused.item().cloned().unwrap_or_default()))
                }
                _ => Err(StoreError::unavailable("UpdateItem", &error)),
            },
        }
    }

    /// Puts an item where none stands, and changes another: both or neither. What stood in the way is not told.
    pub(super) async fn put_and_update(
        &self,
        item: Item,
        key: (&str, &str),
        change: Change,
        condition: Condition<'_>,
    ) -> Result<Write, StoreError> {
        let writes = self.transaction(item, key, change, condition);
        let writes = writes.map_err(|error| StoreError::Unavailable {
            operation: "TransactWriteItems",
            why: error.to_string(),
        })?;
        match self.client.transact_write_items().set_transact_items(Some(writes.into())).send().await {
            Ok(_) => Ok(Write::Applied(Item::new())),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled))
                    if cancelled
                        .cancellation_reasons()
                        .iter()
                        .any(|reason| stood_in_the_way(reason.code())) =>
                {
                    Ok(Write::Refused(Item::new()))
                }
                _ => Err(StoreError::unavailable("TransactWriteItems", &error)),
            },
        }
    }

    fn transaction(
        &self,
        item: Item,
        key: (&str, &str),
        change: Change,
        condition: Condition<'_>,
    ) -> Result<[TransactWriteItem; 2], BuildError> {
        let absent = absent();
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        let put = put
            .condition_expression(absent.expression)
            .set_expression_attribute_names(Some(hashed(absent.names)));
        let changed =
            change.set.iter().chain(&change.set_once).map(|(name, _)| *name).chain(change.remove.clone());
        let names: Vec<_> = changed.chain(condition.names.iter().copied()).collect();
        let expression = change.expression();
        let values = change.set.into_iter().chain(change.set_once).chain(condition.values);
        let values = values.map(|(name, value)| (format!(":{name}"), value)).collect();
        let update = Update::builder()
            .table_name(&self.table)
            .key(attr::RUN_ID, string(key.0))
            .key(attr::EFFECT_ID, string(key.1))
            .update_expression(expression)
            .condition_expression(condition.expression)
            .set_expression_attribute_names(Some(hashed(&names)))
            .set_expression_attribute_values(Some(values));
        let write = TransactWriteItem::builder();
        Ok([write.clone().put(put.build()?).build(), write.update(update.build()?).build()])
    }
}

fn hashed(names: &[&str]) -> HashMap<String, String> {
    names.iter().map(|name| (format!("#{name}"), (*name).to_owned())).collect()
}

/// A condition did not hold, or somebody else writes the same at the same time.
fn stood_in_the_way(code: Option<&str>) -> bool {
    matches!(code, Some("ConditionalCheckFailed" | "TransactionConflict"))
}

/// How long a write waits for a transaction on the same item, time after time.
const PAUSES_MS: [u64; 5] = [5, 10, 20, 40, 80];
const CONFLICT: &str = "TransactionConflictException";

/// Sends a write again that has met a transaction on its item: nothing was written. The SDK does not do so by itself.
async fn past_transactions<T, E, F>(send: impl Fn() -> F) -> Result<T, SdkError<E>>
where
    E: ProvideErrorMetadata,
    F: Future<Output = Result<T, SdkError<E>>>,
{
    for pause in PAUSES_MS {
        match send().await {
            Err(error) if error.code() == Some(CONFLICT) => sleep(Duration::from_millis(pause)).await,
            outcome => return outcome,
        }
    }
    send().await
}
