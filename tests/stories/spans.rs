//! Traces: one trace from the webhook to the third party, and a failing collector that affects nothing else.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use local::{
    collector::{Collector, Span},
    http::Answer,
    proxy::Fault,
    stack::Stack,
    third_party::Behaviour,
    webhook::Webhook,
};
use serde_json::json;
use tokio::time::timeout;
use toml::toml;

use crate::{
    printed::Printed,
    setup::{PATIENCE, Story, TICKETS, builder, config, deliver, dispute, dispute_about, issue, settle},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const CONSUMER: u8 = 5;
/// Longer than ingest may wait for a collector, on a busy machine.
const SOON: Duration = Duration::from_secs(2);

async fn traced(env: &[(&str, &str)]) -> Result<(Collector, Stack)> {
    let collector = Collector::start().await?;
    let (name, url) = collector.env();
    let builder = builder(config()?)?.env(name, &url);
    let stack = env.iter().fold(builder, |builder, (name, value)| builder.env(name, value)).start().await?;
    Ok((collector, stack))
}

fn of_kind(spans: &[Span], kind: u8) -> Result<&Span> {
    spans.iter().find(|span| span.kind == kind).with_context(|| format!("no span of kind {kind}: {spans:#?}"))
}

#[tokio::test]
async fn a_webhook_its_command_and_its_call_are_one_trace() -> Story {
    let secret = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20c2VjcmV0");
    let (collector, stack) = traced(&[secret, ("METRICS_NAMESPACE", "hooks")]).await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(429)]);
    deliver(&stack, &dispute()?.with("traceparent", &format!("00-{TRACE}-{SPAN}-01"))).await?;
    settle(&stack).await?;

    let spans = collector.spans(5, PATIENCE).await?;
    assert!(spans.iter().all(|span| span.trace_id == TRACE), "one trace: {spans:#?}");
    let webhook = of_kind(&spans, SERVER)?;
    assert_eq!((webhook.parent_span_id.as_str(), webhook.name.as_str()), (SPAN, "POST /webhooks/stripe"));
    assert_eq!(
        (webhook.service.as_str(), webhook.attribute("driftq.outcome")),
        ("hooks-ingest", Some("accepted"))
    );
    let sent: Vec<_> = stack
        .third_party
        .ledger()
        .attempts()
        .iter()
        .map(|call| call.headers["traceparent"].clone())
        .collect();
    for (outcome, status, sent) in [("deferred", None, &sent[0]), ("done", Some("200"), &sent[1])] {
        let effect = spans.iter().find(|span| span.attribute("driftq.outcome") == Some(outcome));
        let effect = effect.with_context(|| format!("{outcome}: {spans:#?}"))?;
        assert_eq!((effect.kind, effect.service.as_str()), (CONSUMER, "hooks-consumer"));
        assert_eq!(effect.parent_span_id, webhook.span_id, "the command has carried it");
        let call = spans.iter().find(|span| span.parent_span_id == effect.span_id).context("no call")?;
        assert_eq!((call.kind, call.attribute("http.response.status_code")), (CLIENT, status));
        assert_eq!(*sent, format!("00-{TRACE}-{}-01", call.span_id), "and the third party is told");
        assert!(call.duration() <= effect.duration());
        assert_eq!(call.status == json!(null), effect.status == json!(null), "both failed, or neither");
    }
    assert!(spans.iter().all(|span| span.authorization == "Basic c2VjcmV0"), "{spans:#?}");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn nothing_that_was_sent_and_no_secret_is_in_a_span() -> Story {
    let (collector, stack) = traced(&[]).await?;
    let webhook = issue()?.edited(|event| event["issue"]["title"] = "PRIVATE".into());
    deliver(&stack, &webhook).await?;
    settle(&stack).await?;
    collector.spans(5, PATIENCE).await?;
    let secrets = stack.config.secrets();
    for posted in collector.proxy.seen() {
        let body = String::from_utf8_lossy(&posted.body);
        assert!(!body.contains("PRIVATE"), "{body}");
        assert!(secrets.values().all(|secret| !body.contains(secret.as_str())), "{body}");
    }
    Ok(stack.finish().await?)
}

/// Otherwise anyone who knows the URL could fill the collector, and make every request wait for it.
#[tokio::test]
async fn unauthenticated_requests_and_unsampled_traces_make_no_spans() -> Story {
    let (collector, stack) = traced(&[]).await?;
    stack.post_webhook(&Webhook::sample("forged.github.issues.opened")?).await?;
    stack.post_webhook(&Webhook { source: "nobody".into(), ..dispute()? }).await?;
    let unrecorded = dispute()?.with("traceparent", &format!("00-{TRACE}-{SPAN}-00"));
    deliver(&stack, &unrecorded).await?;
    settle(&stack).await?;
    assert!(collector.proxy.seen().is_empty(), "{:#?}", collector.proxy.seen());
    deliver(&stack, &dispute_about("dp_recorded")?).await?;
    let spans = collector.spans(1, PATIENCE).await?;
    assert!(spans[0].parent_span_id.is_empty(), "X-Ray's segment is not there: {spans:#?}");
    settle(&stack).await?;
    Ok(stack.finish().await?)
}

async fn is_only_counted(trouble: Fault) -> Story {
    let (collector, stack) = traced(&[]).await?;
    let asked = collector.proxy.always(|_| true, trouble);
    for number in 0..3 {
        let began = Instant::now();
        deliver(&stack, &dispute_about(&format!("dp_{number}"))?).await?;
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }
    let runs = settle(&stack).await?.runs.len();
    let ingest = Printed::by_ingest(&stack, 3).await?;
    ingest.assert(&[("Accepted", 3.0), ("SpansDropped", 3.0)]);
    let consumer = Printed::by_consumer(&stack, runs).await?;
    consumer.assert(&[("Done", 3.0), ("FailedRuns", 0.0), ("SpansDropped", 6.0)]);
    // Each function has called the collector once, and then paused.
    assert_eq!(asked.count(), 2);
    for printed in [&ingest, &consumer] {
        let warnings = printed
            .logs
            .iter()
            .filter(|line| line["message"].as_str().unwrap_or_default().starts_with("spans"));
        assert_eq!(warnings.count(), 1);
    }
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_collector_that_hangs_is_only_counted() -> Story {
    is_only_counted(Fault::HangBefore).await
}

#[tokio::test]
async fn a_collector_that_is_down_is_only_counted() -> Story {
    is_only_counted(Fault::CutBefore).await
}

#[tokio::test]
async fn a_collector_that_refuses_is_only_counted() -> Story {
    is_only_counted(Fault::Answer(Answer::of_json(503, &json!({})))).await
}

#[tokio::test]
async fn a_long_run_sends_spans_before_its_end() -> Story {
    let (collector, stack) = traced(&[("IDLE_EXIT", "9s")]).await?;
    deliver(&stack, &dispute()?).await?;
    let mut run = Box::pin(stack.run_consumer());
    tokio::select! {
        run = &mut run => panic!("it was over first: {run:?}"),
        spans = collector.spans(3, PATIENCE) => drop(spans?),
    }
    // The last spans are sent at the end.
    assert!(timeout(Duration::from_secs(1), &mut run).await.is_err(), "it was over at once");
    run.await?;
    settle(&stack).await?;
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_look_up_is_a_span_of_the_attempt_that_asked() -> Story {
    const LOOK_UP: &str = "/api/tickets/by-key";
    let policy = toml! {
        policy = "look-up"
        url = "https://tickets.example.com/api/tickets/by-key?key={{ idempotency_key }}"
        timeout = "1s"
        found = "response.status == 200"
        not_found = "response.status == 404"
    };
    let collector = Collector::start().await?;
    let mut config = config()?;
    config.step("open_ticket").insert("in_doubt".into(), policy.into());
    let (name, url) = collector.env();
    let stack = builder(config)?.env(name, &url).start().await?;
    stack.third_party.script(TICKETS, [Behaviour::cut().after_applying()]);
    stack.third_party.always(LOOK_UP, Behaviour::answer(Answer::of_json(200, &json!({ "ticket": "T-1" }))));
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let spans = collector.spans(5, PATIENCE).await?;
    let done = spans.iter().find(|span| span.attribute("driftq.outcome") == Some("done"));
    let done = done.context("not done")?;
    let asked = spans.iter().find(|span| span.parent_span_id == done.span_id).context("nobody was asked")?;
    assert!(asked.kind == CLIENT && asked.name.starts_with("look-up "), "{asked:#?}");
    let sent = stack.third_party.ledger().attempts_on(LOOK_UP)[0].headers["traceparent"].clone();
    assert_eq!(sent, format!("00-{}-{}-01", asked.trace_id, asked.span_id));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_run_that_a_client_starts_is_traced() -> Story {
    let (collector, stack) = traced(&[]).await?;
    let run = json!({ "step": "triage_issue", "business_key": "k", "input": { "title": "t", "body": "b" } });
    let answer = stack.post_json("/runs", &[], &run).await?;
    assert!(answer.status == 202, "{}", answer.json());
    settle(&stack).await?;
    let spans = collector.spans(3, PATIENCE).await?;
    let started = of_kind(&spans, SERVER)?;
    assert_eq!((started.name.as_str(), started.attribute("driftq.source")), ("POST /runs", Some("api")));
    assert_eq!(of_kind(&spans, CONSUMER)?.parent_span_id, started.span_id);
    Ok(stack.finish().await?)
}
