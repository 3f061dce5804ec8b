//! The ingest function: a Lambda behind API Gateway, a load balancer or a URL of its own.

use driftq_webhooks::{
    clients::{self, Patience},
    config::environment::{self, Environment},
    effects::Effects,
    ingest::{Ingest, keys::Keys, outbox::Outbox},
    secrets::Secrets,
    telemetry,
};
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    clients::install_tls();
    let get = |name: &str| std::env::var(name).ok();
    telemetry::start(&get);
    let ingest = build(&get).await.inspect_err(|error| tracing::error!(%error, "ingest can't start"))?;
    let invoke =
        async |event: LambdaEvent<_>| Ok::<_, Error>(ingest.answer(event.payload, Timestamp::now()).await);
    run(service_fn(invoke)).await
}

async fn build(get: environment::Lookup<'_>) -> Result<Ingest, Error> {
    let environment = Environment::read(get)?;
    let config = environment::load_config(get)?;
    let secrets = Secrets::of_sources(&config, get)?;
    let topic = clients::command_topic(clients::http()?, &environment)?;
    let dynamodb = clients::dynamodb(Patience::INGEST).await;
    let journal = config.journal.then_some(config.consumer.relay_grace);
    let effects = Effects::new(dynamodb, environment.effects_table, config.consumer.keep_done);
    let keys = Keys::prepare(&config.sources, &secrets)?;
    Ok(Ingest::new(config, keys, Outbox { topic, effects, journal }))
}
