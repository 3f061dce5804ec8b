//! The consumer function: a Lambda function that runs on a schedule and whenever ingest wakes it.

use driftq_webhooks::{
    clients::{self, AwsSigner, Direct, Patience},
    command_keys::CommandKeys,
    config::environment::{self, Environment},
    consumer::{Consumer, call::Caller},
    effects::Table,
    secrets::{self, Current, SecretStore, Secrets},
    telemetry::{self, spans::Spans},
    third_parties::ThirdParties,
    topics::Topics,
};
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde::de::IgnoredAny;

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), Error> {
    telemetry::start(&variable);
    // A task of its own: to wake the main future takes tokio a system call each time.
    tokio::task::spawn_local(serve()).await?
}

async fn serve() -> Result<(), Error> {
    let consumer = build().await.inspect_err(|error| tracing::error!(%error, "the consumer can't start"))?;
    let invoke = async |event: LambdaEvent<IgnoredAny>| {
        consumer.run(event.context.deadline).await.map_err(Error::from)
    };
    run(service_fn(invoke)).await
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

async fn build() -> Result<Consumer, Error> {
    let environment = Environment::read(&variable)?;
    let config = environment::load_config(&variable)?;
    let http = clients::http(&variable)?;
    let aws = clients::aws(http.clone(), variable)?;
    let store = SecretStore::open(&aws, &environment, secrets::of_steps(&config), variable);
    let fit = |secrets: &Secrets| CommandKeys::of(secrets).map(|_| secrets.clone());
    let secrets = Current::start(store, Timestamp::now(), fit).await?;
    let topics = Topics::of_commands(&http, &environment, &secrets.get())?;
    let spans = Spans::to(environment.collector.clone(), "consumer", &http, &secrets.get())?;
    let (dynamodb, direct) = Direct::beside(&aws, http.clone(), Patience::CONSUMER, Timestamp::now).await;
    let table = Table::open(dynamodb, environment.effects_table.clone(), config.consumer.keep_done);
    let table = table.with_direct(direct);
    let caller = Caller::new(ThirdParties::new(http, &config, &variable)?, secrets);
    let caller = caller.with_aws(AwsSigner::new(&aws));
    Ok(Consumer::new(config, &environment, &topics, table, caller, Timestamp::now).with_spans(spans))
}
