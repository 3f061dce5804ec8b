//! A long agenda, written to the table directly.

use anyhow::{Context, Result};
use local::{http::Answer, proxy::Fault, stack::Stack};
use serde_json::Value;

use crate::setup::{deliver, dispute_about, produces};

/// A name that does not occur in any other text.
const TEMPLATE: &str = "dp_template";

/// Puts this many disputes on the agenda, due now: one that the broker did not accept, and copies of it. Returns their records.
pub(crate) async fn put_due(stack: &Stack, count: usize) -> Result<Vec<Value>> {
    stack.broker_proxy.once(produces, Fault::Answer(Answer::partition_full()));
    deliver(stack, &dispute_about(TEMPLATE)?).await?;
    let effects = stack.effects().await?.into_iter();
    let template = effects.map(|effect| effect.record).find(|record| record["business_key"] == TEMPLATE);
    let template = template.context("the broker took it")?;
    let text = template.to_string();
    let copies =
        (1..count).map(|number| serde_json::from_str(&text.replace(TEMPLATE, &format!("dp_{number}"))));
    let mut records = copies.collect::<Result<Vec<Value>, _>>()?;
    stack.table()?.put_all(&records).await?;
    records.push(template);
    Ok(records)
}
