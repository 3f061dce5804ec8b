//! Before a release, a new version tests itself, as requested by `ReleaseCheck` of the template.

use anyhow::{Context, Result};
use local::{gateway::Authorizer, secrets_manager::SecretsManager, stack::Stack};
use serde_json::Value;

use crate::{
    setup::{PATIENCE, Story, builder, config, stack},
    template::hook_event,
};

/// The response to the hook: status and report.
async fn tested(stack: &Stack) -> Result<(u64, Value)> {
    let answer = stack.ingest.invoke(&hook_event()?, PATIENCE).await?;
    let body = answer["body"].as_str().context("no body")?;
    Ok((answer["statusCode"].as_u64().context("no status")?, serde_json::from_str(body)?))
}

#[tokio::test]
async fn a_version_that_can_work_says_so() -> Story {
    let stack = stack().await?;
    let (status, report) = tested(&stack).await?;
    assert_eq!((status, &report["ok"], &report["commands_signed"]), (200, &true.into(), &true.into()));
    assert_eq!(report["sources_ready"].as_u64(), Some(3));
    // A broker that is down does not stop a release: webhooks are accepted without it.
    stack.broker_proxy.close().await;
    let (status, report) = tested(&stack).await?;
    assert_eq!((status, &report["health"]["status"]), (200, &"degraded".into()));
    stack.table_proxy()?.close().await;
    assert_eq!(tested(&stack).await?.0, 503);
    // Without a table, what is left cannot be checked; no webhook was sent.
    stack.abandon();
    Ok(())
}

#[tokio::test]
async fn a_secret_that_can_not_be_used_is_found_before_any_webhook() -> Story {
    let config = config()?;
    let mut values = config.secrets();
    values.insert("STANDARD_WEBHOOK_SECRET".to_owned(), "whsec_!".to_owned());
    let manager = SecretsManager::start(&values).await?;
    let stack = builder(config)?.secrets_manager(&manager).start().await?;
    let (status, report) = tested(&stack).await?;
    assert_eq!((status, &report["ok"]), (503, &false.into()));
    let why = report["sources_disabled"]["billing"].as_str().context("no reason")?;
    assert!(why.contains("STANDARD_WEBHOOK_SECRET") && !report.to_string().contains("whsec_!"), "{report}");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn only_operators_may_ask() -> Story {
    let stack = stack().await?;
    assert_eq!(stack.get("/self-test").await?.status, 200);
    stack.gateway.authorize_by(Authorizer::Nobody);
    let (asked, nowhere) = (stack.get("/self-test").await?, stack.get("/nowhere").await?);
    assert_eq!((asked.status, asked.body), (404, nowhere.body));
    Ok(stack.finish().await?)
}
