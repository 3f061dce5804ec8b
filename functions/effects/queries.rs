//! Reads of the effects table: the records of a run, and those of a lane.

use std::collections::HashMap;

use aws_sdk_dynamodb::{operation::query::builders::QueryFluentBuilder, types::AttributeValue};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    DUE_INDEX,
    attributes::{Item, millis, string},
    error::StoreError,
    record::Record,
    store::Store,
};

/// Where the next page begins.
#[derive(Debug, Clone)]
pub struct Cursor(pub(super) HashMap<String, AttributeValue>);

impl Cursor {
    /// As a text for a URL.
    #[must_use]
    pub fn token(&self) -> String {
        let plain = |value: &AttributeValue| match value {
            AttributeValue::S(text) => Some(Value::from(text.as_str())),
            AttributeValue::N(number) => Some(serde_json::json!({ "n": number })),
            _ => None,
        };
        let key: Map<_, _> =
            self.0.iter().filter_map(|(name, value)| Some((name.clone(), plain(value)?))).collect();
        URL_SAFE_NO_PAD.encode(Value::from(key).to_string())
    }

    /// Reads such a text; none if it is malformed.
    #[must_use]
    pub fn of_token(token: &str) -> Option<Self> {
        let key: Map<String, Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let typed = |value: &Value| match value {
            Value::String(text) => Some(AttributeValue::S(text.clone())),
            number => Some(AttributeValue::N(number["n"].as_str()?.to_owned())),
        };
        let key = key.iter().map(|(name, value)| Some((name.clone(), typed(value)?)));
        Some(Self(key.collect::<Option<_>>()?))
    }
}

impl Store {
    /// One page of a run's items, as they are now: what DynamoDB reads at a time.
    pub(super) async fn run_items(
        &self,
        run_id: &str,
        from: Option<Cursor>,
    ) -> Result<(Vec<Item>, Option<Cursor>), StoreError> {
        let query = self.run_query("run_id = :run", run_id);
        let query = query.set_exclusive_start_key(from.map(|Cursor(key)| key));
        let page = Box::pin(query.send()).await.map_err(|error| StoreError::unavailable("Query", &error))?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key.map(Cursor)))
    }

    /// One record of a run, as it is now. It uses a Query, so that a function that only shows runs needs no other permission.
    pub(super) async fn record(&self, run_id: &str, effect_id: &str) -> Result<Option<Record>, StoreError> {
        let item = self.item(run_id, effect_id).await?;
        if item.is_empty() { Ok(None) } else { Record::read(&item).map(Some) }
    }

    /// One record of a run, as an item; empty if there is none.
    pub(super) async fn item(&self, run_id: &str, effect_id: &str) -> Result<Item, StoreError> {
        let query = self.run_query("run_id = :run AND effect_id = :effect", run_id);
        let query = query.expression_attribute_values(":effect", string(effect_id));
        let page = Box::pin(query.send()).await.map_err(|error| StoreError::unavailable("Query", &error))?;
        Ok(page.items.unwrap_or_default().into_iter().next().unwrap_or_default())
    }

    fn run_query(&self, condition: &str, run_id: &str) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&*self.table).consistent_read(true);
        query.key_condition_expression(condition).expression_attribute_values(":run", string(run_id))
    }

    /// One page of a lane, by time.
    pub(super) async fn lane_until(
        &self,
        lane: &str,
        until: Timestamp,
        limit: i32,
        from: Option<Cursor>,
    ) -> Result<(Vec<Item>, Option<Cursor>), StoreError> {
        let page = self
            .lane_query(lane, until)
            .limit(limit)
            .set_exclusive_start_key(from.map(|Cursor(key)| key))
            .send()
            .await
            .map_err(|error| StoreError::unavailable("Query", &error))?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key.map(Cursor)))
    }

    /// The query for records of a lane that are due by `until`, by time.
    pub(super) fn lane_query(&self, lane: &str, until: Timestamp) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&*self.table).index_name(DUE_INDEX);
        query
            .key_condition_expression("lane = :lane AND due_at <= :until")
            .expression_attribute_values(":lane", string(lane))
            .expression_attribute_values(":until", millis(until))
    }
}
