//! With every event format, the same webhook is the same run, and the same requests are refused.

use anyhow::Context;
use jiff::Timestamp;
use local::{gateway::FrontEnd, sign::Secret, webhook::Webhook};
use toml::toml;

use crate::setup::{Story, dispute, settle, stack, stack_with};

#[tokio::test]
async fn a_webhook_is_one_call_in_every_event_format() -> Story {
    let stack = stack().await?;
    let mut runs = Vec::new();
    for front_end in FrontEnd::ALL {
        stack.gateway.act_as(front_end);
        let answer = stack.deliver(&dispute()?).await?;
        assert!(answer.status == 202, "{front_end:?}: {} {}", answer.status, answer.json());
        assert!(
            answer.header("content-type") == Some("application/json"),
            "{front_end:?}: {:?}",
            answer.headers
        );
        runs.push(answer.json()["run_id"].as_str().context("a run id")?.to_owned());
        assert_eq!(stack.get("/healthz").await?.status, 200, "{front_end:?}");
        assert_eq!(stack.get("/nowhere").await?.status, 404, "{front_end:?}");
    }
    runs.dedup();
    assert_eq!(runs.len(), 1, "{runs:?}");
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied().len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn binary_bodies_are_accepted_in_every_event_format() -> Story {
    let stack = stack().await?;
    let mut webhook = Webhook::new("billing", &serde_json::Value::Null).with("webhook-id", "msg_bytes");
    webhook.body = vec![0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d].into();
    for front_end in FrontEnd::ALL {
        stack.gateway.act_as(front_end);
        assert_eq!(
            stack.deliver(&webhook).await?.status,
            200,
            "{front_end:?}: genuine, and no step wants it"
        );
    }
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_disallowed_address_gets_the_response_of_a_forgery() -> Story {
    let from_elsewhere = toml! { allow = ["192.0.2.0/24", "2001:db8::/32"] };
    let from_here = toml! { allow = ["127.0.0.0/8"] };
    let stack = stack_with(|config| {
        let mut set = |source: &str, allow| {
            config.table()["sources"][source].as_table_mut().unwrap().extend(allow);
        };
        set("github", from_elsewhere);
        set("stripe", from_here);
    })
    .await?;
    let forged = Webhook::sample("forged.github.issues.opened")?;
    for front_end in FrontEnd::ALL {
        stack.gateway.act_as(front_end);
        let stranger = stack.deliver(&Webhook::sample("github.issues.opened")?).await?;
        let forger = stack.post_webhook(&forged).await?;
        assert_eq!((stranger.status, &stranger.body), (401, &forger.body), "{front_end:?}");
        let names = |answer: &local::http::Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&stranger), names(&forger), "{front_end:?}");
        assert_eq!(stack.deliver(&dispute()?).await?.status, 202, "{front_end:?}");
    }
    // A client's own X-Forwarded-For comes before the address that the load balancer appends.
    stack.gateway.act_as(FrontEnd::LoadBalancer);
    let source = stack.config.source("github")?;
    let claimed = Webhook::sample("github.issues.opened")?.signed(&source, Timestamp::now())?;
    let claimed = claimed.with("x-forwarded-for", "192.0.2.1");
    assert_eq!(stack.post_webhook(&claimed).await?.status, 401);
    assert!(stack.ingest.log().tail(5).contains("an address that the source does not allow"));
    settle(&stack).await?;
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn okta_gets_its_challenge_in_every_event_format_if_allowed() -> Story {
    let stack = stack_with(|config| {
        let sources = config.table()["sources"].as_table_mut().unwrap();
        let okta = toml! { scheme = "okta" secrets = ["OKTA_HOOK_SECRET"] };
        let mut elsewhere = okta.clone();
        elsewhere.extend(toml! { allow = ["192.0.2.0/24"] });
        sources.extend([("okta".to_owned(), okta.into()), ("elsewhere".to_owned(), elsewhere.into())]);
    })
    .await?;
    let headers = [("x-okta-verification-challenge".to_owned(), "c3VwZXI".to_owned())].into();
    for front_end in FrontEnd::ALL {
        stack.gateway.act_as(front_end);
        let answer = stack.request("GET", "/webhooks/okta", &headers, b"").await?;
        let verification = serde_json::json!({ "verification": "c3VwZXI" });
        assert_eq!((answer.status, answer.json()), (200, verification), "{front_end:?}");
        assert_eq!(stack.get("/webhooks/okta").await?.status, 403, "{front_end:?}");
        let stranger = stack.request("GET", "/webhooks/elsewhere", &headers, b"").await?;
        assert_eq!((stranger.status, &stranger.body[..]), (403, &b""[..]), "{front_end:?}");
    }
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn meta_is_answered_if_it_shows_the_token_and_not_for_the_secret_that_signs() -> Story {
    let stack = stack_with(|config| {
        let meta = toml! { scheme = "meta" secrets = ["META_APP_SECRET"] verify_token = "META_VERIFY_TOKEN" };
        config.table()["sources"].as_table_mut().unwrap().insert("meta".into(), meta.into());
    })
    .await?;
    for front_end in FrontEnd::ALL {
        stack.gateway.act_as(front_end);
        let ask = async |name: &str| {
            let token = Secret::text(name).signs;
            let query = format!("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}");
            stack.get(&format!("/webhooks/meta?{query}")).await
        };
        let (right, wrong) = (ask("META_VERIFY_TOKEN").await?, ask("META_APP_SECRET").await?);
        assert_eq!((right.status, &right.body[..]), (200, &b"1158201444"[..]), "{front_end:?}");
        assert_eq!((wrong.status, &wrong.body[..]), (403, &b""[..]), "{front_end:?}");
    }
    Ok(stack.finish().await?)
}
