//! Forms: a Slack command becomes a call, and Twilio's are one run however they are written.

use anyhow::Result;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use local::{gateway::FrontEnd, http::Answer, sign::Secret, stack::Stack};
use serde_json::json;
use sha1::Sha1;
use sha2::Sha256;
use toml::{Table, toml};

use crate::setup::{Story, config, settle, stack_with};

const TWILIO_URL: &str = "https://hooks.example.com/webhooks/twilio";

/// A source, and one step that it starts.
async fn with(name: &str, source: Table, input: Table) -> Result<Stack> {
    let steps = config()?.table()["steps"].as_array().cloned().unwrap_or_default();
    let mut step = steps.into_iter().find(|step| step["id"].as_str() == Some("open_ticket")).unwrap();
    let table = step.as_table_mut().unwrap();
    table.remove("when");
    table.insert("on".into(), toml! { source = "it" type = "*" }.into());
    table["on"]["source"] = name.into();
    let call = table["call"].as_table_mut().unwrap();
    call.insert("json".into(), toml! { about = "{{ input.about }}" }.into());
    call.remove("receipt");
    // Nothing separates the fields of a form that Twilio signs, so none of them can be an identity.
    let key = if name == "twilio" { "{{ digest }}".into() } else { input["about"].clone() };
    table.insert("business_key".into(), key);
    table.insert("input".into(), input.into());
    stack_with(|config| {
        config.table()["sources"].as_table_mut().unwrap().insert(name.into(), source.into());
        config.table().insert("steps".into(), vec![step].into());
    })
    .await
}

async fn from_slack(stack: &Stack, body: &str) -> Result<Answer> {
    let now = Timestamp::now().as_second().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(Secret::text("SLACK_SIGNING_SECRET").signs.as_bytes())?;
    mac.update(format!("v0:{now}:{body}").as_bytes());
    let headers = [
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ("x-slack-request-timestamp", now),
        ("x-slack-signature", format!("v0={}", hex::encode(mac.finalize().into_bytes()))),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
    stack.request("POST", "/webhooks/slack", &headers, body.as_bytes()).await
}

/// `signed` is the signed text after the URL.
async fn from_twilio(stack: &Stack, body: &str, signed: &str, token: &str) -> Result<Answer> {
    let mut mac = Hmac::<Sha1>::new_from_slice(Secret::text("TWILIO_AUTH_TOKEN").signs.as_bytes())?;
    mac.update(format!("{TWILIO_URL}{signed}").as_bytes());
    let headers = [
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ("x-twilio-signature", BASE64_STANDARD.encode(mac.finalize().into_bytes())),
        ("i-twilio-idempotency-token", token.to_owned()),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
    stack.request("POST", "/webhooks/twilio", &headers, body.as_bytes()).await
}

#[tokio::test]
async fn slack_commands_and_buttons_become_calls_in_every_format() -> Story {
    let source = toml! { scheme = "slack" secrets = ["SLACK_SIGNING_SECRET"] json_field = "payload" };
    let about = "{{ form.text if form.text is defined else event.actions[0].value }}";
    let stack = with("slack", source, toml! { about = about }).await?;
    for (index, front_end) in FrontEnd::ALL.into_iter().enumerate() {
        stack.gateway.act_as(front_end);
        let command = format!("command=%2Fticket&text=printer+{index}%21&trigger_id=1.2.{index}");
        let payload = json!({ "type": "block_actions", "actions": [{ "value": format!("button {index}") }] });
        let button: String = url::form_urlencoded::byte_serialize(payload.to_string().as_bytes()).collect();
        for body in [command, format!("payload={button}")] {
            let answer = from_slack(&stack, &body).await?;
            assert_eq!(
                (answer.status, &answer.body[..]),
                (200, &b""[..]),
                "{front_end:?}: any body would be shown"
            );
        }
    }
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    let mut about: Vec<_> = ledger.applied().iter().map(|call| call.body["about"].clone()).collect();
    about.sort_by_key(ToString::to_string);
    let buttons = (0..6).map(|index| json!(format!("button {index}")));
    let commands = (0..6).map(|index| json!(format!("printer {index}!")));
    assert_eq!(about, buttons.chain(commands).collect::<Vec<_>>());
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_form_of_twilios_is_one_call_in_whatever_order_and_under_whatever_token_it_is_sent_again() -> Story
{
    let mut source = toml! { scheme = "twilio" secrets = ["TWILIO_AUTH_TOKEN"] };
    source.insert("public_url".into(), TWILIO_URL.into());
    let stack = with("twilio", source, toml! { about = "{{ form.MessageSid }}" }).await?;
    let signed = "BodyhiFrom+1MessageSidSM1";
    for (token, body) in [
        ("token-1", "MessageSid=SM1&Body=hi&From=%2B1"),
        ("token-1", "MessageSid=SM1&Body=hi&From=%2B1"),
        ("token-2", "MessageSid=SM1&Body=hi&From=%2B1"),
        ("token-3", "From=%2b1&Body=hi&MessageSid=SM1&Body=hi"),
    ] {
        let answer = from_twilio(&stack, body, signed, token).await?;
        assert_eq!((answer.status, &answer.body[..]), (204, &b""[..]), "any body would be TwiML");
    }
    let other = from_twilio(&stack, "MessageSid=SM2&Body=hi&From=%2B1", signed, "token-1").await?;
    assert_eq!(other.status, 401);
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    assert_eq!((ledger.attempts().len(), ledger.applied()[0].body.clone()), (1, json!({ "about": "SM1" })));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_template_that_wants_json_of_a_form_is_told_what_the_body_is() -> Story {
    let source = toml! { scheme = "slack" secrets = ["SLACK_SIGNING_SECRET"] };
    let stack = with("slack", source, toml! { about = "{{ event.text }}" }).await?;
    let answer = from_slack(&stack, "command=%2Fticket&text=hi").await?;
    assert_eq!(answer.status, 422);
    let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(
        detail.starts_with("steps.open_ticket.business_key: event.text is missing: the body is a form"),
        "{detail}"
    );
    Ok(stack.finish().await?)
}
