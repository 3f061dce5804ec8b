//! A scenario's access to the table: it reads times in order to wait for them, and writes one mark.

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::scene::Scene;

/// A consumer waits for the stream if it is taken for no longer than this.
const NEARLY: Duration = Duration::from_millis(500);

impl Scene {
    /// Sets the mark of a consumer that was woken and found the stream taken.
    pub(super) async fn ask_for_stream(&self) -> Result<()> {
        let table = self.stack.table()?;
        for lease in self.stream_leases().await? {
            let key = json!({ "run_id": { "S": ":stream" }, "effect_id": { "S": lease["effect_id"] } });
            let mark = json!({
                "TableName": table.table(), "Key": key, "UpdateExpression": "SET wake_requested = :now",
                "ExpressionAttributeValues": { ":now": { "N": Timestamp::now().as_millisecond().to_string() } },
            });
            table.call("UpdateItem", &mark).await?;
        }
        Ok(())
    }

    /// Waits until a dead consumer's stream lease is close enough to its end that the next consumer waits for it.
    pub(super) async fn until_stream_is_nearly_free(&self) -> Result<()> {
        for lease in self.stream_leases().await? {
            sleep_until(time(&lease, "lease_until")? - NEARLY).await;
        }
        Ok(())
    }

    async fn stream_leases(&self) -> Result<impl Iterator<Item = Value>> {
        let items = self.stack.table()?.scan().await?;
        Ok(items.into_iter().filter(|item| item["run_id"] == ":stream"))
    }

    /// Waits until that time of every record has passed: the end of a dead attempt's lease, or the due time.
    pub(super) async fn until(&self, name: &str) -> Result<()> {
        for effect in self.stack.effects().await? {
            sleep_until(time(&effect.record, name)?).await;
        }
        Ok(())
    }
}

/// A time in a record; one far in the past if it has none.
fn time(record: &Value, name: &str) -> Result<Timestamp> {
    Ok(Timestamp::from_millisecond(record[name].as_i64().unwrap_or_default())?)
}

async fn sleep_until(time: Timestamp) {
    let left = time.duration_since(Timestamp::now());
    tokio::time::sleep(left.try_into().unwrap_or_default()).await;
}
