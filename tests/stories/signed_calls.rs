//! Calls signed as Standard Webhooks, verified by the reference library and by our third party.

use std::collections::HashMap;

use anyhow::Result;
use http::HeaderMap;
use local::third_party::{Behaviour, Call};
use standardwebhooks::Webhook;
use toml::{Table, Value, toml};

use crate::setup::{Story, builder, config, deliver, dispute, only_effect, retry, settle, stack_with, table};

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const TICKETS: &str = crate::setup::TICKETS;

/// The step's call is signed with `TICKETS_SECRET`.
fn sign(step: &mut Table) {
    let auth = toml! { standard_webhooks = "TICKETS_SECRET" };
    table(step, "call").insert("auth".into(), Value::Table(auth));
}

fn verifies(secret: &str, call: &Call) -> Result<bool> {
    let headers = HashMap::<String, String>::from_iter(call.headers.clone());
    let headers = HeaderMap::try_from(&headers)?;
    Ok(Webhook::new(secret)?.verify(&call.bytes, &headers).is_ok())
}

#[tokio::test]
async fn a_call_is_signed_as_it_is_sent_and_each_attempt_anew() -> Story {
    let mut config = config()?;
    sign(config.step("open_ticket"));
    let secrets = format!("{NEW}, {OLD}");
    let stack = builder(config)?.env("TICKETS_SECRET", &secrets).start().await?;
    stack.third_party.script(TICKETS, [Behaviour::too_many("1")]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    let [first, second] = ledger.attempts() else { panic!("{:?}", ledger.attempts()) };
    for call in [first, second] {
        for secret in [OLD, NEW] {
            assert!(verifies(secret, call)? && call.is_signed_with(secret), "{call:?}");
        }
        let other = "whsec_b3RoZXI=";
        assert!(!verifies(other, call)? && !call.is_signed_with(other), "only the secret signs a call");
        assert!(!call.headers.contains_key("authorization"), "{:?}", call.headers);
    }
    assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"], "it is the same effect");
    assert_ne!(first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]);
    assert_ne!(first.headers["webhook-signature"], second.headers["webhook-signature"]);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_form_and_a_call_without_a_body_are_signed_too() -> Story {
    for body in ["form", ""] {
        let stack = stack_with(|config| {
            sign(config.step("open_ticket"));
            let call = table(config.step("open_ticket"), "call");
            call.remove("json");
            if body == "form" {
                call.insert("form".into(), Value::Table(toml! { reason = "ä & {{ input.reason }}" }));
            }
        })
        .await?;
        deliver(&stack, &dispute()?).await?;
        settle(&stack).await?;
        let secret = &stack.config.secrets()["TICKETS_SECRET"];
        let call = stack.third_party.ledger().attempts()[0].clone();
        assert!(verifies(secret, &call)? && call.is_signed_with(secret), "{call:?}");
        assert_eq!(call.bytes.is_empty(), body.is_empty());
        stack.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_can_not_be_signed_is_not_sent_and_not_in_doubt() -> Story {
    let mut config = config()?;
    sign(config.step("open_ticket"));
    config.step("open_ticket").insert("retry".into(), Value::Table(retry(2)));
    let stack = builder(config)?.env("TICKETS_SECRET", "a plain token").start().await?;
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    let why = "attempts used up; the last: the secret TICKETS_SECRET is not whsec_ and base64; ";
    assert!(effect.is_parked() && effect.last_error().starts_with(why), "{}", effect.last_error());
    assert!(
        effect.record["doubt"].is_null() && !effect.last_error().contains("plain"),
        "{:?}",
        effect.record
    );
    assert_eq!(stack.third_party.ledger().attempts().len(), 0);
    Ok(stack.finish().await?)
}
