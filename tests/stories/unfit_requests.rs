//! Events that make no valid request, or only one for another resource than the step's. They are parked before anything is sent, and the reason names
//! the field.

use anyhow::Result;
use local::{stack::Stack, third_party::Behaviour, webhook::Webhook};
use toml::{Value, toml};

use crate::setup::{Story, TICKETS, deliver, dispute, only_effect, settle, stack_with, table};

/// The shipped step, whose call goes to this URL.
async fn stack_that_calls(url: &str) -> Result<Stack> {
    stack_with(|config| drop(table(config.step("open_ticket"), "call").insert("url".into(), url.into())))
        .await
}

fn dispute_for(reason: &str) -> Result<Webhook> {
    let reason = reason.to_owned();
    Ok(dispute()?.edited(|event| event["data"]["object"]["reason"] = reason.into()))
}

/// Delivers it, and checks that it is parked for that reason with nothing sent and nothing in doubt.
async fn is_parked(stack: Stack, webhook: &Webhook, why: &str) -> Story {
    deliver(&stack, webhook).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    assert_eq!(effect.last_error(), why);
    assert!(effect.is_parked() && effect.record["doubt"].is_null(), "{:?}", effect.record);
    assert_eq!((effect.attempt, stack.third_party.ledger().attempts().len()), (1, 0));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_url_that_grows_too_long_is_parked_and_not_in_doubt() -> Story {
    let stack = stack_that_calls("https://tickets.example.com/api/tickets?reason={{ input.reason }}").await?;
    let why = "steps.open_ticket.call.url: uri too long";
    is_parked(stack, &dispute_for(&"x".repeat(70_000))?, why).await
}

#[tokio::test]
async fn a_header_that_can_not_be_sent_is_parked_with_its_field() -> Story {
    let stack = stack_with(|config| {
        let headers = toml! { X-Reason = "{{ input.reason }}" };
        table(config.step("open_ticket"), "call").insert("headers".into(), Value::Table(headers));
    })
    .await?;
    let why = "steps.open_ticket.call.headers.X-Reason: not a legal header value";
    is_parked(stack, &dispute_for("a\r\nX-Admin: 1")?, why).await
}

#[tokio::test]
async fn a_field_can_not_name_another_resource() -> Story {
    let url = "https://tickets.example.com/api/tickets/{{ input.reason }}/close";
    for (reason, problem) in [
        ("", "is empty"),
        ("..", "makes a path segment . or .."),
        ("%2e%2e", "makes a path segment . or .."),
        ("1/delete", "holds a / or a \\"),
    ] {
        let why = format!(
            "steps.open_ticket.call.url: input.reason {problem}; the path would name another resource"
        );
        is_parked(stack_that_calls(url).await?, &dispute_for(reason)?, &why).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_field_in_a_look_up_can_not_either_and_an_operator_decides_the_doubt() -> Story {
    let policy = toml! {
        policy = "look-up"
        url = "https://tickets.example.com/api/tickets/{{ input.reason }}"
        found = "response.status == 200"
        not_found = "response.status == 404"
    };
    let stack = stack_with(|config| {
        config.step("open_ticket").insert("in_doubt".into(), policy.into());
    })
    .await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(500).after_applying()]);
    deliver(&stack, &dispute_for("..")?).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    let why = "in doubt: answered 500; the look-up can't be made: steps.open_ticket.in_doubt.url: input.reason \
               makes a path segment . or ..; the path would name another resource";
    assert_eq!((effect.is_parked(), effect.last_error()), (true, why));
    assert!(!effect.record["doubt"].is_null(), "the call may have been applied");
    assert_eq!(stack.third_party.ledger().attempts().len(), 1, "only the call");
    Ok(stack.finish().await?)
}
