//! DynamoDB on this machine, by dynoxide, with the effects table. The table is created and read over plain HTTP: a deployment's template must match
//! the requests below.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use dynoxide::Database;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use crate::http;

/// A running DynamoDB with an effects table.
#[derive(Debug)]
pub struct DynamoDb {
    url: String,
    table: String,
    client: reqwest::Client,
    // An option, so that both can be taken when this is dropped.
    serving: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl DynamoDb {
    /// Starts it, in memory or on a file, and creates the table unless the file has it.
    ///
    /// # Errors
    /// The address can't be bound, or the file can't be opened.
    pub async fn start(addr: SocketAddr, file: Option<&Path>, table: &str) -> Result<Self> {
        let listener = TcpListener::bind(addr).with_context(|| format!("DynamoDB can't listen on {addr}"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let database = match file {
            Some(file) => {
                let path = file.to_str().with_context(|| format!("{} is not UTF-8", file.display()))?;
                Database::new(path).map_err(|error| anyhow!("{path}: {error}"))?
            }
            None => Database::memory().map_err(|error| anyhow!("DynamoDB in memory: {error}"))?,
        };
        let serving = Some(serve(listener, database)?);
        let client = http::client_for(&url)?;
        let db = Self { url, table: table.to_owned(), client, serving };
        db.create_table().await?;
        Ok(db)
    }

    /// Its endpoint.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The effects table's name.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Every item of the table, as plain JSON.
    ///
    /// # Errors
    /// DynamoDB refuses.
    pub async fn scan(&self) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut request = json!({ "TableName": self.table, "ConsistentRead": true });
        loop {
            let page = self.call("Scan", &request).await?;
            items.extend(page["Items"].as_array().into_iter().flatten().map(plain));
            match &page["LastEvaluatedKey"] {
                Value::Null => return Ok(items),
                key => request["ExclusiveStartKey"] = key.clone(),
            }
        }
    }

    /// Writes an item of plain JSON, in place of the one with its key.
    ///
    /// # Errors
    /// DynamoDB refuses.
    pub async fn put(&self, item: &Value) -> Result<()> {
        let item = marshalled(item)["M"].take();
        self.call("PutItem", &json!({ "TableName": self.table, "Item": item })).await.map(drop)
    }

    /// Writes many items of plain JSON, each in place of the one with its key.
    ///
    /// # Errors
    /// DynamoDB refuses, or leaves some of them.
    pub async fn put_all(&self, items: &[Value]) -> Result<()> {
        // The maximum per request.
        for items in items.chunks(25) {
            let puts =
                items.iter().map(|item| json!({ "PutRequest": { "Item": marshalled(item)["M"].take() } }));
            let request = json!({ "RequestItems": { (self.table.as_str()): puts.collect::<Vec<_>>() } });
            let answer = self.call("BatchWriteItem", &request).await?;
            let left = answer["UnprocessedItems"].as_object().is_some_and(|left| !left.is_empty());
            ensure!(!left, "DynamoDB has left some items: {answer}");
        }
        Ok(())
    }

    async fn create_table(&self) -> Result<()> {
        let attribute = |name: &str, kind: &str| json!({ "AttributeName": name, "AttributeType": kind });
        let keys = |hash: &str, range: &str| json!([{ "AttributeName": hash, "KeyType": "HASH" }, { "AttributeName": range, "KeyType": "RANGE" }]);
        let definition = json!({
            "TableName": self.table,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                attribute("run_id", "S"), attribute("effect_id", "S"), attribute("lane", "S"), attribute("due_at", "N"),
                attribute("day", "S"), attribute("created_at", "N"),
            ],
            "KeySchema": keys("run_id", "effect_id"),
            "GlobalSecondaryIndexes": [{
                "IndexName": "due", "KeySchema": keys("lane", "due_at"), "Projection": { "ProjectionType": "ALL" },
            }, {
                "IndexName": "recent", "KeySchema": keys("day", "created_at"), "Projection": { "ProjectionType": "KEYS_ONLY" },
            }],
        });
        match self.call("CreateTable", &definition).await {
            Err(error) if error.to_string().contains("ResourceInUseException") => return Ok(()),
            other => other?,
        };
        let ttl = json!({ "AttributeName": "expires_at", "Enabled": true });
        self.call("UpdateTimeToLive", &json!({ "TableName": self.table, "TimeToLiveSpecification": ttl }))
            .await?;
        Ok(())
    }

    /// Creates a table whose key is these one or two text fields, unless it exists.
    ///
    /// # Errors
    /// DynamoDB refuses.
    pub async fn make_table(&self, name: &str, key: &[String]) -> Result<()> {
        let kinds = ["HASH", "RANGE"];
        let attributes = key.iter().map(|name| json!({ "AttributeName": name, "AttributeType": "S" }));
        let schema =
            key.iter().zip(kinds).map(|(name, kind)| json!({ "AttributeName": name, "KeyType": kind }));
        let definition = json!({
            "TableName": name, "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": schema.collect::<Vec<_>>(),
            "AttributeDefinitions": attributes.collect::<Vec<_>>(),
        });
        match self.call("CreateTable", &definition).await {
            Err(error) if !error.to_string().contains("ResourceInUseException") => Err(error),
            _ => Ok(()),
        }
    }

    /// Calls any operation of DynamoDB's JSON API. Signatures are not checked here.
    ///
    /// # Errors
    /// DynamoDB returns an error; the message contains its response.
    pub async fn call(&self, operation: &str, request: &Value) -> Result<Value> {
        let response = self
            .client
            .post(&self.url)
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("content-type", "application/x-amz-json-1.0")
            .header("authorization", SIGNED_BY_NOBODY)
            .header("x-amz-date", "20260101T000000Z")
            .body(request.to_string())
            .send()
            .await?;
        let answer = http::Answer::read(response).await?;
        if answer.status != 200 {
            bail!(
                "DynamoDB answered {operation} with {}: {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
        }
        Ok(answer.json())
    }
}

const SIGNED_BY_NOBODY: &str = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
                                SignedHeaders=host;x-amz-date;x-amz-target, Signature=0";

impl Drop for DynamoDb {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.serving.take() {
            drop(end);
            drop(thread.join()); // Err: it has panicked, and its panic is printed
        }
    }
}

/// Serves on a thread of its own. The database locks itself for each request: on the threads of the other servers, those would wait for the lock
/// as well. It ends when the sender is dropped.
fn serve(listener: TcpListener, database: Database) -> Result<(oneshot::Sender<()>, JoinHandle<()>)> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (end, ended) = oneshot::channel::<()>();
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let serving = dynoxide::server::serve_with_shutdown(listener, database, std::future::pending());
        tokio::select! {
            served = serving => served.map_err(|error| anyhow!("{error}")),
            _ = ended => Ok(()),
        }
    };
    let thread = thread::Builder::new().name("dynamodb".to_owned()).spawn(move || {
        if let Err(error) = runtime.block_on(serve) {
            eprintln!("dynamodb: {error:#}");
        }
    })?;
    Ok((end, thread))
}

/// An item without DynamoDB's type tags. Numbers stay numbers; binary stays base64.
fn plain(item: &Value) -> Value {
    item.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), untagged(value))).collect()
}

fn untagged(value: &Value) -> Value {
    let Some((tag, value)) = value.as_object().and_then(|tagged| tagged.iter().next()) else {
        return Value::Null;
    };
    match tag.as_str() {
        "N" => value.as_str().and_then(|number| serde_json::from_str(number).ok()).unwrap_or_default(),
        "NULL" => Value::Null,
        "M" => plain(value),
        "L" => value.as_array().into_iter().flatten().map(untagged).collect(),
        _ => value.clone(),
    }
}

fn marshalled(value: &Value) -> Value {
    match value {
        Value::Null => json!({ "NULL": true }),
        Value::Bool(flag) => json!({ "BOOL": flag }),
        Value::Number(number) => json!({ "N": number.to_string() }),
        Value::String(text) => json!({ "S": text }),
        Value::Array(values) => json!({ "L": values.iter().map(marshalled).collect::<Vec<_>>() }),
        Value::Object(fields) => {
            let fields: Map<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), marshalled(value))).collect();
            json!({ "M": fields })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::ANY_PORT;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_put_is_scanned_and_survives_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("db");
        let item = json!({ "run_id": "r", "effect_id": "e", "n": 5, "m": { "l": [true, null, "x"] } });
        let db = DynamoDb::start(ANY_PORT, Some(&file), "effects").await.unwrap();
        assert!(db.scan().await.unwrap().is_empty());
        db.put(&item).await.unwrap();
        let more: Vec<_> = (0..60).map(|n| json!({ "run_id": "many", "effect_id": n.to_string() })).collect();
        db.put_all(&more).await.unwrap();
        drop(db);
        let db = DynamoDb::start(ANY_PORT, Some(&file), "effects").await.unwrap();
        let items = db.scan().await.unwrap();
        assert_eq!((items.len(), items.contains(&item)), (61, true));
    }
}
