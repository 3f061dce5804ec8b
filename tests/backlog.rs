//! A long agenda, put into the table past the functions.

use std::ops::Range;

use anyhow::{Context, Result};
use local::{http::Answer, proxy::Fault, stack::Stack};
use serde_json::Value;

use crate::house::{deliver, dispute_about, produces};

/// A name that no other text holds.
const TEMPLATE: &str = "dp_template";

/// Puts disputes of these numbers on the agenda, due now: copies of one that the broker did not take, which is there as well.
pub(crate) async fn put_due(stack: &Stack, numbers: Range<usize>) -> Result<Vec<Value>> {
    stack.broker_wire.once(produces, Fault::Answer(Answer::partition_full()));
    deliver(stack, &dispute_about(TEMPLATE)?).await?;
    let effects = stack.effects().await?.into_iter();
    let template = effects.map(|effect| effect.record).find(|record| record["business_key"] == TEMPLATE);
    let template = template.context("the broker took it")?.to_string();
    let records =
        numbers.map(|number| serde_json::from_str(&template.replace(TEMPLATE, &format!("dp_{number}"))));
    let records = records.collect::<Result<Vec<Value>, _>>()?;
    stack.table()?.put_all(&records).await?;
    Ok(records)
}
