//! Produces a message, receives it and acks it: `cargo run -p driftq-client --example echo -- http://127.0.0.1:8080`.
//! `cargo webhooks broker` runs a broker to try it with.

use std::{env, time::Duration};

use driftq_client::{Client, Produce, Subscription};

/// The proof, made only after a message is printed: printing is the only work of this example.
struct Printed;

const SOON: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let broker = Client::<Printed>::new(reqwest::Client::builder().build()?, broker.parse()?, None)?;
    let topic = "echo".to_owned();
    broker.ensure_topic(&topic, 1, SOON).await?;
    let message = Produce { topic: &topic, key: "greeting", value: "hello", run_id: "", step_id: "" };
    broker.produce(message, SOON).await?;

    let (group, owner) = ("echo".to_owned(), format!("echo-{}", std::process::id()));
    let mut stream = broker.consume(Subscription { topic, group, owner, lease: Duration::from_secs(10) });
    if let Some(delivery) = stream.next().await? {
        println!("partition {}, offset {}: {}", delivery.partition, delivery.offset, delivery.value);
        broker.ack(delivery.token, Printed, SOON).await.map_err(|failed| failed.error)?;
    }
    Ok(())
}
