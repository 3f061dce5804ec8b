//! The ingest function: a Lambda function behind API Gateway, a load balancer or a function URL.

use driftq_webhooks::{
    clients::{self, Patience, invoke::Invoker},
    config::environment::{self, Environment},
    effects::Table,
    ingest::{Ingest, fetch::Fetch, keys::KeyMaker, outbox::Outbox, wake::WakeUps},
    secrets::{self, Current, SecretStore},
    telemetry::{self, spans::Spans},
    topics::Topics,
};
use jiff::Timestamp;
use lambda_http::{Error, LambdaEvent, lambda_runtime::run, service_fn};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), Error> {
    telemetry::start(&variable);
    // A task of its own: to wake the main future takes tokio a system call each time.
    tokio::task::spawn_local(serve()).await?
}

async fn serve() -> Result<(), Error> {
    let ingest = build().await.inspect_err(|error| tracing::error!(%error, "ingest can't start"))?;
    let invoke = async |LambdaEvent { payload, context }: LambdaEvent<_>| {
        let xray = context.xray_trace_id.as_deref();
        Ok::<_, Error>(ingest.answer(payload, xray, Timestamp::now()).await)
    };
    run(service_fn(invoke)).await
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

async fn build() -> Result<Ingest, Error> {
    let environment = Environment::read(&variable)?;
    let config = environment::load_config(&variable)?;
    let http = clients::http(&variable)?;
    let aws = clients::aws(http.clone(), variable)?;
    let store = SecretStore::open(&aws, &environment, secrets::of_sources(&config), variable);
    let maker = KeyMaker::new(config.sources.clone());
    let secrets = store.read().await?;
    let topics = Topics::of_commands(&http, &environment, &secrets)?;
    let spans = Spans::to(environment.collector.clone(), "ingest", &http, &secrets)?;
    let keys = Current::of(store, &secrets, Timestamp::now(), move |secrets| maker.make(secrets))?;
    let fetch = Fetch::new(http.clone(), variable("AWS_ENDPOINT_URL_SNS"));
    let consumer = environment.consumer_function.as_deref();
    let consumer = consumer.map(|name| Invoker::new(http, &aws, name)).transpose()?;
    let operators = environment.operators;
    let wake_ups = WakeUps::new(consumer, Timestamp::now);
    let dynamodb = move || clients::dynamodb(&aws, Patience::INGEST);
    let journal = config.journal.then_some(config.consumer.journal_grace);
    let table = Table::open_when_needed(dynamodb, environment.effects_table, config.consumer.keep_done);
    let outbox = Outbox { topics, agenda: table.agenda(), large_inputs: table.large_inputs(), journal };
    Ok(Ingest::new(config, keys, fetch, outbox, &table, wake_ups, operators).with_spans(spans))
}
