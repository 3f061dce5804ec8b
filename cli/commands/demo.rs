//! `demo`: sends real webhooks, kills the consumer at the three worst moments and the broker in between, and checks in the third
//! party's ledger that each call was made exactly once.

mod deaths;
mod story;
mod tally;

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args as ClapArgs;
use local::{config::Config, stack::Stack, webhook::Webhook};
use serde_json::json;

use self::{
    story::Story,
    tally::{ROW, Tally},
};

/// The arguments of `demo`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Print the outcome as JSON on standard output, and the progress on standard error.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  cargo webhooks demo
  DRIFTQ_HTTP_URL=http://127.0.0.1:8080 cargo webhooks demo --json";

const DISPUTE: &str = "stripe.charge.dispute.created";
const SLACK: &str = "/api/chat.postMessage";
/// The time limit of each act.
const ACT: Duration = Duration::from_secs(60);

/// Runs the demonstration; fails unless every command was called exactly once and no work is left.
pub(crate) async fn run(args: Args) -> Result<()> {
    let stack = stack().await?;
    let mut story = Story::new(args.json);
    let mut tally = Tally::default();

    story.act("Webhooks arrive, signed as their providers sign them");
    arrivals(&stack, &story, &mut tally).await?;
    story.act("The consumer is killed (SIGKILL) when it has claimed an effect, before it makes the call");
    deaths::after_the_claim(&stack, &story, &mut tally).await?;
    story.act(
        "The next one is killed when the third party has applied its call, before it receives the answer",
    );
    deaths::after_the_call(&stack, &story, &mut tally).await?;
    story.act("The next one is killed when everything is done and recorded, before it acks");
    deaths::before_the_ack(&stack, &story, &mut tally).await?;
    story.act("A card is charged, then a ticket names the charge, then an email names both; the consumer is killed after each");
    deaths::between_the_steps(&stack, &story, &mut tally).await?;
    story.act("The broker is killed while the consumer drains it");
    deaths::of_the_broker(&stack, &story, &mut tally).await?;
    story.act("The consumer runs until nothing is left");
    stack.run_until_settled(ACT).await?;
    story.line("every effect is settled, and every message acked");

    let outcome = tally.outcome(&stack).await?;
    story.end(&outcome.to_string(), &outcome.json());
    stack.finish().await?;
    ensure!(outcome.is_right(), "some command was not called exactly once");
    Ok(())
}

/// The shipped configuration, with a broker in its own process that can be killed, and with short times.
async fn stack() -> Result<Stack> {
    let mut config = Config::shipped()?;
    let consumer = json!({ "stream_lease": "2s", "settle": "1s", "journal_grace": "5s" });
    config.table().insert("consumer".into(), toml::Value::try_from(consumer)?);
    if std::env::var_os("EFFECTS_TABLE").is_some() {
        // A DynamoDB of the developer's own has no table for the items of this step.
        let steps = config.table().get_mut("steps").and_then(toml::Value::as_array_mut);
        steps
            .into_iter()
            .for_each(|steps| steps.retain(|step| step.get("id").and_then(toml::Value::as_str) != Some(ROW)));
    }
    for step in config.steps() {
        if let Some(call) = step.get_mut("call").and_then(toml::Value::as_table_mut) {
            call.insert("timeout".into(), "2s".into());
        }
        let retry = json!({ "max_attempts": 8, "backoff": "1s", "max_backoff": "2s" });
        step.insert("retry".into(), toml::Value::try_from(retry)?);
    }
    let stack = Stack::builder().config(config).broker_process(std::env::current_exe()?).start().await?;
    // Slack ignores idempotency keys, so the local third party does too.
    stack.third_party.forget_keys(SLACK);
    Ok(stack)
}

async fn arrivals(stack: &Stack, story: &Story, tally: &mut Tally) -> Result<()> {
    let samples = [
        "stripe.checkout.session.completed",
        "stripe.invoice.payment_failed",
        "billing.invoice.issued",
        "billing.user.created",
        "github.push",
    ];
    for sample in samples {
        tally.deliver(stack, story, &Webhook::sample(sample)?).await?;
    }
    let disputes = [Webhook::sample(DISPUTE)?, dispute("A")?, dispute("B")?, dispute("C")?];
    for webhook in &disputes {
        tally.deliver(stack, story, webhook).await?;
    }
    story.line("the provider delivers four of them again:");
    for webhook in &disputes {
        tally.deliver(stack, story, webhook).await?;
    }
    story.line("and a forged webhook arrives:");
    tally.deliver(stack, story, &Webhook::sample("forged.github.issues.opened")?).await
}

/// The sample, as the sender would send it for another invoice.
fn invoice(id: &str) -> Result<Webhook> {
    Ok(Webhook::sample("billing.invoice.issued")?.edited(|event| event["data"]["invoice_id"] = json!(id)))
}

/// The sample, as the provider would send it for another dispute.
fn dispute(name: &str) -> Result<Webhook> {
    Ok(Webhook::sample(DISPUTE)?.edited(|event| {
        event["id"] = json!(format!("evt_3SkPqr2eZvKYlo2C0demo{name}"));
        event["data"]["object"]["id"] = json!(format!("du_1SkPrT2eZvKYlo2Cdemo{name}"));
    }))
}
