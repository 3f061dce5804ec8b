//! One output line per event.

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use local::{
    gateway::Exchange,
    runtime_api::{InvokeError, Line},
    stack::{Stack, Summary},
    third_party::{Call, Fate},
};
use serde_json::Value;
use tokio::sync::broadcast::Receiver;

use crate::{output::print, paint::Paint, stop::Stop};

/// A line: which part did what.
struct Told {
    who: String,
    what: String,
    mood: Mood,
}

/// The line's colour.
enum Mood {
    Plain,
    Good,
    Bad,
}

impl Told {
    fn new(who: &str, what: String, mood: Mood) -> Self {
        Self { who: who.to_owned(), what, mood }
    }
}

/// Prints a line for each event until Ctrl-C.
pub(super) async fn tell(stack: &Stack, mut stop: Stop, every: Duration) -> Result<()> {
    let (paint, schedule) = (Paint::stdout(), stack.schedule(every));
    let mut exchanges = stack.gateway.follow();
    let mut calls = stack.third_party.follow();
    let mut runs = schedule.follow();
    let mut woken = stack.lambda()?.follow();
    let (mut ingest, mut consumer) = (stack.ingest.log().follow(), stack.consumer.log().follow());
    loop {
        let line = tokio::select! {
            ended = stop.asked() => return ended,
            exchange = next(&mut exchanges) => of_exchange(&exchange),
            call = next(&mut calls) => Some(of_call(&call)),
            run = next(&mut runs) => of_run(&run),
            run = next(&mut woken) => of_run(&run.and_then(|reply| Summary::read("consumer", reply))),
            line = next(&mut ingest) => of_log(&line),
            line = next(&mut consumer) => of_log(&line),
        };
        if let Some(Told { who, what, mood }) = line {
            let what = match mood {
                Mood::Good => paint.green(what),
                Mood::Bad => paint.red(what),
                Mood::Plain => what,
            };
            let now = paint.dim(Timestamp::now().strftime("%H:%M:%S%.3fZ"));
            print(&format!("{now}  {who:<11}  {what}"))?;
        }
    }
}

/// The next item; skips items that arrived too fast to print.
async fn next<T: Clone>(items: &mut Receiver<T>) -> T {
    loop {
        match items.recv().await {
            Ok(item) => return item,
            Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
            // The sender was dropped with the stack. Only Ctrl-C is left to wait for.
            Err(tokio::sync::broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// A request for a run that does not exist yet, as `send` makes it, gets no line.
fn of_exchange(exchange: &Exchange) -> Option<Told> {
    let Exchange { method, path, answer, took } = exchange;
    if method == "GET" && path.starts_with("/runs/") && answer.status == 404 {
        return None;
    }
    let body = answer.json();
    let about = match (&body["run_id"], &body["effects"]) {
        (Value::String(run), Value::Array(effects)) if path.starts_with("/webhooks/") => {
            format!("run {run}, effects: {}", effects.len())
        }
        (Value::String(run), _) => format!("run {run}"),
        _ => body["title"].as_str().or(body["detail"].as_str()).unwrap_or_default().to_owned(),
    };
    let mood = if answer.status < 400 { Mood::Plain } else { Mood::Bad };
    let what = format!("{method} {path} -> {} in {} ms  {about}", answer.status, took.as_millis());
    Some(Told::new("gateway", what, mood))
}

fn of_call(call: &Call) -> Told {
    let (fate, mood) = match &call.fate {
        Fate::Refused => ("refused".to_owned(), Mood::Bad),
        Fate::Applied { receipt } => (format!("applied as {receipt}"), Mood::Good),
        Fate::Deduped { receipt } => (format!("seen before, {receipt} again"), Mood::Plain),
    };
    let key = call.key.as_deref().unwrap_or("no key");
    Told::new("third party", format!("{} {} ({key}) {fate}", call.method, call.path), mood)
}

/// An invocation without work gets no line.
fn of_run(run: &Result<Summary, InvokeError>) -> Option<Told> {
    let run = match run {
        Ok(run) => run,
        Err(error) => return Some(Told::new("consumer", error.to_string(), Mood::Bad)),
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
    let what = format!("{outcome} in {ms} ms: {}", counts.join(", "));
    (!quiet).then(|| Told::new("consumer", what, Mood::Plain))
}

/// Log fields that a line omits, because the line or the effect's id already contains them.
const KNOWN: [&str; 15] = [
    "timestamp",
    "level",
    "message",
    "name",
    "requestId",
    "xrayTraceId",
    "target",
    "effect_id",
    "run_id",
    "step",
    "business_key",
    "source",
    "outcome",
    "trace_id",
    "span_id",
];

/// A function's log line about an effect or a failure, or its other output. Metrics are skipped.
fn of_log(line: &Line) -> Option<Told> {
    let Ok(Value::Object(fields)) = serde_json::from_str(&line.text) else {
        return Some(Told::new(&line.function, line.text.clone(), Mood::Plain));
    };
    if fields.contains_key("_aws") {
        return None;
    }
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let serious = text("level").is_some_and(|level| level == "WARN" || level == "ERROR");
    if !serious && text("effect_id").is_none() {
        return None;
    }
    let effect = text("effect_id").unwrap_or_default();
    let rest = fields.iter().filter(|(name, _)| !KNOWN.contains(&name.as_str()));
    let rest: Vec<_> = rest.map(|(name, value)| format!("{name}={}", plain(value))).collect();
    let what = format!("{}  {effect} {}", text("message").unwrap_or_default(), rest.join(" "));
    Some(Told::new(&line.function, what, if serious { Mood::Bad } else { Mood::Plain }))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
