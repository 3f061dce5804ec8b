//! The consumer function: a Lambda on a schedule.

use driftq_webhooks::{
    clients::{self, Patience},
    config::environment::{self, Environment},
    consumer::{Consumer, call::Caller},
    effects::Effects,
    secrets::Secrets,
    telemetry,
};
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde::de::IgnoredAny;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    clients::install_tls();
    let get = |name: &str| std::env::var(name).ok();
    telemetry::start(&get);
    let consumer =
        build(&get).await.inspect_err(|error| tracing::error!(%error, "the consumer can't start"))?;
    let invoke = async |event: LambdaEvent<IgnoredAny>| {
        consumer.run(event.context.deadline).await.map_err(Error::from)
    };
    run(service_fn(invoke)).await
}

async fn build(get: environment::Lookup<'_>) -> Result<Consumer, Error> {
    let environment = Environment::read(get)?;
    let config = environment::load_config(get)?;
    let secrets = Secrets::of_steps(&config, get)?;
    let http = clients::http()?;
    let topic = clients::command_topic(http.clone(), &environment)?;
    let dynamodb = clients::dynamodb(Patience::CONSUMER).await;
    let effects = Effects::new(dynamodb, environment.effects_table.clone(), config.consumer.keep_done);
    Ok(Consumer::new(config, &environment, topic, effects, Caller::new(http, secrets), Timestamp::now))
}
