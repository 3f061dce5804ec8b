//! Failing third parties and long queues: unrelated work continues.
//!
//! `destinations` calls that hang, a breaker, a pause, a rate · `queues` long agendas, refused commands, a full partition.

mod destinations;
mod queues;

use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use local::{
    config::Config,
    runtime_api::Line,
    server::ANY_PORT,
    stack::Stack,
    third_party::{Call, ThirdParty},
    webhook::Webhook,
};

use crate::setup::{PATIENCE, TICKETS, accepted, builder, config, table};

const EMAILS: &str = "/v1/emails";

/// How soon a webhook is processed that nothing delays.
const SOON: Duration = Duration::from_secs(1);

/// A stack whose emails go to a separate third party, and everything else to the usual one.
struct Neighbours {
    stack: Stack,
    emails: ThirdParty,
}

impl Neighbours {
    async fn start(edit: impl FnOnce(&mut Config, &ThirdParty)) -> Result<Self> {
        let emails = ThirdParty::start(ANY_PORT).await?;
        let mut config = config()?;
        let consumer = table(config.table(), "consumer");
        consumer.insert("slow_call".into(), "250ms".into());
        // No consumer is killed, and on a busy machine a shorter lease may be lost.
        consumer.insert("stream_lease".into(), "10s".into());
        let call = table(config.step("email_receipt"), "call");
        call.insert("url".into(), format!("{}{EMAILS}", emails.url()).into());
        edit(&mut config, &emails);
        Ok(Self { stack: builder(config)?.start().await?, emails })
    }

    /// Delivers this many checkouts, each of which sends an email.
    async fn deliver_emails(&self, count: usize) -> Result<()> {
        for number in 0..count {
            accepted(&self.stack.deliver(&checkout(number)?).await?)?;
        }
        Ok(())
    }

    /// As [`Neighbours::deliver_emails`], one after the other, and each is sent soon. Returns the total time.
    async fn deliver_emails_soon(&self, count: usize) -> Result<Duration> {
        let began = Timestamp::now();
        let mut waited = Vec::new();
        for number in 0..count {
            let delivered = Timestamp::now();
            accepted(&self.stack.deliver(&checkout(number)?).await?)?;
            waited.push(since(delivered, self.emails(number + 1).await?[number].at));
        }
        waited.sort();
        // A busy machine may delay a few of them.
        ensure!(waited[count / 2] < SOON, "emails waited for {waited:?}");
        Ok(since(began, Timestamp::now()))
    }

    /// Waits for this many emails, and returns the calls in order.
    async fn emails(&self, count: usize) -> Result<Vec<Call>> {
        let ledger = self.emails.until(PATIENCE, |ledger| ledger.attempts().len() >= count).await?;
        Ok(ledger.attempts().to_vec())
    }

    /// The calls for tickets, in order.
    fn tickets(&self) -> Vec<Call> {
        self.stack.third_party.ledger().attempts_on(TICKETS).into_iter().cloned().collect()
    }
}

/// Waits until the consumer has given up on a destination.
async fn breaker_opens(stack: &Stack) -> Result<()> {
    let is_open = |line: &Line| line.text.contains("its breaker is open");
    stack.consumer.log().until(PATIENCE, |lines| lines.iter().any(is_open)).await.map(drop)
}

fn checkout(number: usize) -> Result<Webhook> {
    Ok(Webhook::sample("stripe.checkout.session.completed")?.edited(|event| {
        event["id"] = format!("evt_cs_{number}").into();
        event["data"]["object"]["id"] = format!("cs_{number}").into();
    }))
}

fn since(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}
