//! The kills of the demo: the consumer at its three worst moments, and the broker.

use anyhow::{Context, Result, ensure};
use local::{
    hook::Hook,
    proxy::{Fault, Seen},
    runtime_api::InvokeError,
    stack::{Stack, Summary},
    third_party::Behaviour,
    webhook::Webhook,
};

use super::{ACT, dispute, invoice, story::Story, tally::Tally};

const TICKETS: &str = "/api/tickets";
const INVOICE: &str = "inv_demoF";

/// The claim is recorded, but the call is not made.
pub(crate) async fn after_the_claim(stack: &Stack, story: &Story, tally: &mut Tally) -> Result<()> {
    let kill = stack.consumer.killer().hook();
    match &stack.table_proxy {
        Some(proxy) => {
            let claim = |request: &Seen| request.is("PutItem") && request.mentions("demoA");
            drop(proxy.once(claim, Fault::HookAfter(kill)));
        }
        // Requests to a DynamoDB of the developer's own can't be observed. So the kill comes a moment later, at the
        // call, which is not applied.
        None => stack.third_party.script(TICKETS, [Behaviour::cut().with_hook(kill)]),
    }
    run_until_killed(stack).await?;
    tally.kills += 1;
    let effects = stack.effects().await?;
    let claimed = effects.iter().filter(|effect| effect.status == "in_progress").count();
    story.line(&format!("killed; on record as in progress, and no process works on it: {claimed}"));
    Ok(())
}

/// The call is applied, and its answer lost.
pub(crate) async fn after_the_call(stack: &Stack, story: &Story, tally: &mut Tally) -> Result<()> {
    let kill = stack.consumer.killer().hook();
    stack.third_party.script(TICKETS, [Behaviour::cut().after_applying().with_hook(kill)]);
    run_until_killed(stack).await?;
    tally.kills += 1;
    story.line("killed; there is a new ticket, and its effect is not recorded as done");
    Ok(())
}

/// Everything is done and recorded, but not acked.
pub(crate) async fn before_the_ack(stack: &Stack, story: &Story, tally: &mut Tally) -> Result<()> {
    // Earlier messages may have left the topic by now, and wait in the table. A new one has to be acked.
    tally.deliver(stack, story, &dispute("E")?).await?;
    let kill = stack.consumer.killer().hook();
    let hits = stack.broker_proxy.once(is_ack, Fault::HookInstead(kill));
    run_until_killed(stack).await?;
    ensure!(hits.count() == 1, "the consumer died before it acked");
    tally.kills += 1;
    let messages = stack.unacked().await?;
    story.line(&format!("killed; {messages} messages are not acked and will come again"));
    Ok(())
}

/// One effect is done, the record of the next one has begun, and the process that would continue is dead.
pub(crate) async fn between_the_steps(stack: &Stack, story: &Story, tally: &mut Tally) -> Result<()> {
    tally.deliver(stack, story, &invoice(INVOICE)?).await?;
    let Some(proxy) = &stack.table_proxy else {
        story.line("the transactions of another DynamoDB can't be seen, so no process is killed at them");
        return Ok(());
    };
    for (step, next) in [("charge_card", "file_charge"), ("file_charge", "email_charge")] {
        let commit = move |request: &Seen| {
            request.is("TransactWriteItems") && request.mentions(&format!(":{step}:{INVOICE}"))
        };
        let committed = proxy.once(commit, Fault::HookOnceAnswered(stack.consumer.killer().hook()));
        run_until_killed(stack).await?;
        ensure!(committed.count() == 1, "the consumer died before {step} was on record");
        tally.kills += 1;
        story.line(&format!("killed; in one transaction {step} is done, and {next} is due"));
    }
    Ok(())
}

/// The broker dies during an ack, is down while a webhook arrives, and restarts.
pub(crate) async fn of_the_broker(stack: &Stack, story: &Story, tally: &mut Tally) -> Result<()> {
    let issue = Webhook::sample("github.issues.opened")?;
    tally.deliver(stack, story, &issue).await?;
    tally.deliver(stack, story, &issue).await?;
    if stack.broker.is_external() {
        story.line("DRIFTQ_HTTP_URL names another broker, which is not killed");
        return Ok(());
    }
    let killed = stack.broker_proxy.once(is_ack, Fault::HookInstead(kill_broker(stack)));
    let killing = async {
        killed.within(ACT).await?;
        tally.kills += 1;
        story.line("killed, with an ack on its way; a webhook that comes now is accepted all the same:");
        tally.deliver(stack, story, &dispute("D")?).await?;
        stack.broker.start().await?;
        story.line("the broker is back, with what its log has");
        anyhow::Ok(())
    };
    let (run, killing) = tokio::join!(run_alone(stack), killing);
    killing?;
    match run {
        Ok(run) => story.line(&format!(
            "the consumer goes on: {} messages, {} effects done, {} done already",
            run.received, run.done, run.duplicates
        )),
        // This run may give up; the next run continues.
        Err(error) => story.line(&format!("the consumer's run ended: {error}")),
    }
    Ok(())
}

/// A run that can read the topic: the stream lease of the consumer that was killed has to end first.
async fn run_alone(stack: &Stack) -> Result<Summary, InvokeError> {
    loop {
        match stack.run_consumer().await {
            Ok(run) if run.outcome == "busy" => {}
            ended => return ended,
        }
    }
}

async fn run_until_killed(stack: &Stack) -> Result<()> {
    let runs = async {
        loop {
            match stack.run_consumer().await {
                Err(error) if error.is_death() => return Ok(()),
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
        }
    };
    tokio::time::timeout(ACT, runs).await.context("nothing came that the consumer could be killed at")?
}

fn is_ack(request: &Seen) -> bool {
    request.goes_to("POST", "/v1/ack")
}

fn kill_broker(stack: &Stack) -> Hook {
    let broker = stack.broker.clone();
    Hook::new(move || {
        let broker = broker.clone();
        async move {
            if let Err(error) = broker.kill().await {
                eprintln!("the broker could not be killed: {error:#}");
            }
        }
    })
}
