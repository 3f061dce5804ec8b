//! A minimal function that produces: `lambda_runtime` and `reqwest`; it posts every event to `PRODUCE_URL` unchanged. `bench` compares ingest
//! with it.

use std::{env, time::Duration};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use reqwest::{Client, header::CONTENT_TYPE};
use serde_json::{Value, json};

/// DriftQ closes idle connections after 5 s.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let url = env::var("PRODUCE_URL")?;
    // Err: a provider is installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = Client::builder().no_proxy().pool_idle_timeout(IDLE_CONNECTION);
    // Plain HTTP needs none of the platform's certificates, and reading them takes time.
    let client = if url.starts_with("http://") { client.tls_certs_only([]) } else { client };
    let client = client.build()?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| produce(&client, &url, event.payload))).await
}

async fn produce(client: &Client, url: &str, body: Value) -> Result<Value, Error> {
    let request = client.post(url).header(CONTENT_TYPE, "application/json").body(body.to_string());
    let response = request.send().await?.error_for_status()?;
    response.bytes().await?; // to its end, so that the connection can be used again
    Ok(json!({ "statusCode": 202 }))
}
