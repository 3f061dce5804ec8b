//! `up`: everything, until Ctrl-C, with a line for each event.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Result;
use clap::Args as ClapArgs;
use jiff::Timestamp;
use local::{
    config::Config,
    gateway::Exchange,
    runtime_api::{InvokeError, Line},
    stack::{Addrs, Stack, Summary},
    third_party::{Call, Fate},
    webhook::Webhook,
};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use super::send::state_file;

/// What `up` takes.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The gateway's port; a free one if it is not given.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The broker's port.
    #[arg(long, default_value_t = 0)]
    broker_port: u16,
    /// DynamoDB's port.
    #[arg(long, default_value_t = 0)]
    dynamodb_port: u16,
    /// The third party's port.
    #[arg(long, default_value_t = 0)]
    third_party_port: u16,
    /// Keep the broker's log and the table in this folder.
    #[arg(long, value_name = "DIR")]
    persist: Option<PathBuf>,
    /// Seconds from the start of one consumer run to the next; a run that takes longer delays it.
    #[arg(long, default_value_t = 5)]
    every: u64,
}

const AFTER_HELP: &str = "\
Examples:
  cargo webhooks up
  WEBHOOKS_CONFIG=tests/providers.toml cargo webhooks up --port 8000 --persist /tmp/webhooks";

/// Brings it up and tells what happens.
pub(crate) async fn run(args: Args) -> Result<()> {
    let mut builder = Stack::builder().addrs(args.addrs()).wake_ups();
    if let Some(dir) = &args.persist {
        builder = builder.persist(dir.clone());
    }
    let stack = builder.start().await?;
    let config = std::path::absolute(Config::path_from_env())?;
    fs::write(state_file()?, format!("{}\n{}\n", stack.url(), config.display()))?;
    println!("{}", greeting(&stack)?);
    let told = tell(&stack, Duration::from_secs(args.every.max(1))).await;
    // Gone already: somebody else has removed it.
    let _ = fs::remove_file(state_file()?);
    told
}

impl Args {
    fn addrs(&self) -> Addrs {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Addrs {
            gateway: at(self.port),
            broker: at(self.broker_port),
            dynamodb: at(self.dynamodb_port),
            third_party: at(self.third_party_port),
        }
    }
}

fn greeting(stack: &Stack) -> Result<String> {
    let table = stack.table.as_ref().map_or("the one that EFFECTS_TABLE names", |table| table.url());
    Ok(format!(
        "driftq-webhooks is up; Ctrl-C ends it.\n\n  \
           webhooks     POST {url}/webhooks/{{source}}\n  \
           runs         POST {url}/runs, GET {url}/runs/{{run_id}}\n  \
           health       GET  {url}/healthz\n  \
           broker       {broker}\n  \
           DynamoDB     {table}\n  \
           third party  {third_party}\n\n\
         Try, in another terminal:\n\n  \
           cargo webhooks send github.issues.opened\n\n\
         or by hand (Stripe's signatures are good for 300 s from now; `send` makes a fresh one each time):\n\n\
         {curl}\n",
        url = stack.url(),
        broker = stack.broker.url(),
        third_party = stack.third_party.url(),
        curl = curl(stack)?,
    ))
}

/// A curl whose signature is right.
fn curl(stack: &Stack) -> Result<String> {
    let now = Timestamp::now();
    let dispute = json!({ "id": "du_try", "charge": "ch_try", "amount": 2599, "reason": "fraudulent" });
    let body = json!({ "id": format!("evt_try_{}", now.as_second()), "type": "charge.dispute.created", "data": { "object": dispute } });
    let Ok(source) = stack.config.source("stripe") else {
        return Ok("  (this webhooks.toml has no source named stripe)".to_owned());
    };
    let webhook = Webhook::new("stripe", &body).signed(&source, now)?;
    let headers: String =
        webhook.headers.iter().map(|(name, value)| format!("    -H '{name}: {value}' \\\n")).collect();
    Ok(format!("  curl -i {}/webhooks/stripe \\\n{headers}    -d '{body}'", stack.url()))
}

/// Prints a line for each event until Ctrl-C.
async fn tell(stack: &Stack, every: Duration) -> Result<()> {
    let schedule = stack.schedule(every);
    let mut exchanges = stack.gateway.follow();
    let mut calls = stack.third_party.follow();
    let mut runs = schedule.follow();
    let mut woken = stack.lambda()?.follow();
    let (mut ingest, mut consumer) = (stack.ingest.log().follow(), stack.consumer.log().follow());
    loop {
        let line = tokio::select! {
            ended = tokio::signal::ctrl_c() => return Ok(ended?),
            exchange = next(&mut exchanges) => Some(of_exchange(&exchange)),
            call = next(&mut calls) => Some(of_call(&call)),
            run = next(&mut runs) => of_run(&run),
            run = next(&mut woken) => of_run(&run.and_then(|reply| Summary::read("consumer", reply))),
            line = next(&mut ingest) => of_log(&line),
            line = next(&mut consumer) => of_log(&line),
        };
        if let Some(line) = line {
            println!("{}  {line}", Timestamp::now().strftime("%H:%M:%SZ"));
        }
    }
}

/// The next item; those that came too fast to be printed are passed over.
async fn next<T: Clone>(items: &mut Receiver<T>) -> T {
    loop {
        match items.recv().await {
            Ok(item) => return item,
            Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
            // Its sender is gone with the stack; Ctrl-C is next.
            Err(tokio::sync::broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn of_exchange(exchange: &Exchange) -> String {
    let Exchange { method, path, answer, took } = exchange;
    let body = answer.json();
    let about = match (&body["run_id"], &body["effects"]) {
        (Value::String(run), Value::Array(effects)) if path.starts_with("/webhooks/") => {
            format!("run {run}, effects: {}", effects.len())
        }
        (Value::String(run), _) => format!("run {run}"),
        _ => body["title"].as_str().or(body["detail"].as_str()).unwrap_or_default().to_owned(),
    };
    format!("gateway      {method} {path} -> {} in {} ms  {about}", answer.status, took.as_millis())
}

fn of_call(call: &Call) -> String {
    let fate = match &call.fate {
        Fate::Refused => "refused".to_owned(),
        Fate::Applied { receipt } => format!("applied as {receipt}"),
        Fate::Deduped { receipt } => format!("seen before, {receipt} again"),
    };
    let key = call.key.as_deref().unwrap_or("no key");
    format!("third party  {} {} ({key}) {fate}", call.method, call.path)
}

/// A run with nothing to do is not worth a line.
fn of_run(run: &Result<Summary, InvokeError>) -> Option<String> {
    let run = match run {
        Ok(run) => run,
        Err(error) => return Some(format!("consumer     {error}")),
    };
    let Summary {
        outcome, from_agenda, received, done, duplicates, deferred, parked, held, unacked, ms, ..
    } = run;
    let quiet = outcome == "drained" && from_agenda + received == 0;
    let counts = [
        ("from agenda", from_agenda),
        ("received", received),
        ("done", done),
        ("duplicates", duplicates),
        ("deferred", deferred),
        ("parked", parked),
        ("held", held),
        ("unacked", unacked),
    ];
    let counts: Vec<_> =
        counts.iter().filter(|(_, n)| **n > 0).map(|(name, n)| format!("{n} {name}")).collect();
    (!quiet).then(|| format!("consumer     {outcome} in {ms} ms: {}", counts.join(", ")))
}

/// What the functions log about one effect or one failure, and whatever is not a log line. Metrics are passed over.
fn of_log(line: &Line) -> Option<String> {
    let Ok(Value::Object(fields)) = serde_json::from_str(&line.text) else {
        return Some(format!("{:<12} {}", line.function, line.text));
    };
    if fields.contains_key("_aws") {
        return None;
    }
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let serious = text("level").is_some_and(|level| level == "WARN" || level == "ERROR");
    if !serious && text("effect_id").is_none() {
        return None;
    }
    let message = text("message").unwrap_or_default();
    let rest = fields.iter().filter(|(name, _)| {
        !["timestamp", "level", "message", "name", "requestId", "xrayTraceId"].contains(&name.as_str())
    });
    let rest: Vec<_> = rest.map(|(name, value)| format!("{name}={}", plain(value))).collect();
    Some(format!("{:<12} {message}  {}", line.function, rest.join(" ")))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
