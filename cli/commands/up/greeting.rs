//! The text that `up` prints at its start: where to send webhooks, where calls go, and which secrets are used.

use anyhow::Result;
use driftq_webhooks::config::Config;
use jiff::Timestamp;
use local::{config::is_here, stack::Stack, webhook::Webhook};
use serde_json::json;

use super::real;
use crate::{own::Own, paint::Paint};

pub(super) fn greeting(
    stack: &Stack,
    config: &Config,
    own: &Own,
    real: &[String],
    console: &str,
) -> Result<String> {
    let (paint, url) = (Paint::stdout(), stack.url());
    let table = stack.table.as_ref().map_or("the one that EFFECTS_TABLE names", |table| table.url());
    let mut lines = vec!["driftq-webhooks is up; Ctrl-C ends it.\n".to_owned()];
    lines.push(paint.bold("Webhooks"));
    let width = config.sources.keys().map(String::len).max().unwrap_or_default();
    for (name, source) in &config.sources {
        let secrets = source.secrets.iter().chain(&source.verify_token).map(String::as_str);
        lines.push(format!("  POST {url}/webhooks/{name:width$}  {}", whose(secrets, own)));
    }
    lines.push(format!("\n{}", paint.bold("Calls")));
    let width = config.steps.iter().map(|step| step.id.as_str().len()).max().unwrap_or_default();
    for step in &config.steps {
        let call = step.action.to_string();
        let target = if real.iter().any(|real| real == step.id.as_str()) {
            paint.yellow(format!("the real third party, {}", whose(real::secrets(step, config), own)))
        } else if is_here(&step.destination()) {
            "on this machine, unchanged".to_owned()
        } else {
            "answered by the third party below".to_owned()
        };
        lines.push(format!("  {:width$}  {call}: {target}", step.id.as_str()));
    }
    lines.push(format!("\n{}", paint.bold("The rest")));
    lines.push(format!("  runs         POST {url}/runs, GET {url}/runs/{{run_id}}"));
    lines.push(format!("  health       GET  {url}/healthz"));
    lines.push(format!("  broker       {}", stack.broker.url()));
    lines.push(format!("  DynamoDB     {table}"));
    lines.push(format!("  third party  {}", stack.third_party.url()));
    lines.push(format!("\n{}\n  {console}\n  for one browser, once", paint.bold("Console")));
    lines.push(format!("\n{}\n", invitation(stack)?));
    Ok(lines.join("\n"))
}

/// Where each secret comes from.
fn whose<'a>(secrets: impl IntoIterator<Item = &'a str>, own: &Own) -> String {
    let one = |name: &str| match own.place(name) {
        Some(place) => format!("{name} from {place}"),
        None => format!("{name} generated"),
    };
    let secrets: Vec<_> = secrets.into_iter().map(one).collect();
    if secrets.is_empty() { "no secret".to_owned() } else { secrets.join(", ") }
}

fn invitation(stack: &Stack) -> Result<String> {
    let send = "Try, in another terminal:\n\n  cargo webhooks send github.issues.opened";
    let Ok(source) = stack.config.source("stripe") else { return Ok(send.to_owned()) };
    let now = Timestamp::now();
    let dispute = json!({ "id": "du_try", "charge": "ch_try", "amount": 2599, "reason": "fraudulent" });
    let body = json!({ "id": format!("evt_try_{}", now.as_second()), "type": "charge.dispute.created", "data": { "object": dispute } });
    let webhook = Webhook::new("stripe", &body).signed(&source, now)?;
    let headers: String =
        webhook.headers.iter().map(|(name, value)| format!("    -H '{name}: {value}' \\\n")).collect();
    Ok(format!(
        "{send}\n\nor by hand (Stripe's signatures are good for 300 s from now; `send` makes a fresh one each time):\n\n  \
         curl -i {}/webhooks/stripe \\\n{headers}    -d '{body}'",
        stack.url()
    ))
}
