//! Steps that begin later, by the clock.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use local::proxy::Fault;

use super::{CHAIN, EMAILS, FILES, applied};
use crate::setup::{Story, TICKETS, add_steps, deliver, dispute, produces, settle, stack_with};

#[tokio::test]
async fn a_delayed_step_begins_so_much_after_the_one_before_it_whatever_dies() -> Story {
    let stack = stack_with(|config| {
        add_steps(config, CHAIN);
        config.step("email_customer").insert("delay".into(), "2s".into());
    })
    .await?;
    let kill = stack.consumer.killer().hook();
    stack.table_proxy()?.once(|seen| seen.is("TransactWriteItems"), Fault::HookOnceAnswered(kill));
    deliver(&stack, &dispute()?).await?;
    assert_eq!(settle(&stack).await?.deaths(), 1);
    assert_eq!(applied(&stack), [TICKETS, EMAILS, FILES]);
    let ledger = stack.third_party.ledger();
    let at = |path: &str| ledger.attempts_on(path)[0].at;
    assert!(at(EMAILS).duration_since(at(TICKETS)).as_millis() >= 2000);
    assert!(at(FILES).duration_since(at(EMAILS)).as_millis() < 1000, "which goes on at once");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_delayed_first_step_waits_in_the_table_and_not_on_the_topic() -> Story {
    let stack = stack_with(|config| {
        config.step("open_ticket").insert("delay".into(), "{{ event.data.object.remind_at }}".into());
    })
    .await?;
    let then = Timestamp::now() + Duration::from_secs(2);
    let webhook = dispute()?.edited(|event| event["data"]["object"]["remind_at"] = then.to_string().into());
    let asked = Instant::now();
    for _ in 0..2 {
        deliver(&stack, &webhook).await?;
    }
    assert_eq!(stack.broker_proxy.seen_where(produces).len(), 0);
    settle(&stack).await?;
    assert!(asked.elapsed() >= Duration::from_millis(1900));
    let ledger = stack.third_party.ledger();
    assert_eq!(ledger.attempts().len(), 1, "a redelivery is the same effect");
    assert!(ledger.attempts()[0].at >= then - Duration::from_millis(5));
    let wrong = dispute()?.edited(|event| event["data"]["object"]["remind_at"] = "soon".into());
    assert_eq!(stack.deliver(&wrong).await?.status, 422);
    Ok(stack.finish().await?)
}
