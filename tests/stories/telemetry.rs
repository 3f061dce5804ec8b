//! The functions' output: each line is JSON, each outcome is one line and is counted once, and no line contains data that was sent or secrets.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Context;
use local::{command, config::Config, http::Answer, proxy::Fault, third_party::Behaviour, webhook::Webhook};
use serde_json::{Value, json};
use toml::toml;

use crate::{
    printed::{DOCUMENT, Printed, fields_of},
    setup::{
        SLACK, Story, TICKETS, builder, config, deliver, dispute, dispute_about, issue, park_in_doubt,
        produces, retry, settle, stack, stack_with, table,
    },
};

/// The trace that the local Runtime API passes to every invocation, in W3C's format.
const XRAY_TRACE: &str = "5759e988bd862e3fe1be46a994272793";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

#[tokio::test]
async fn each_outcome_of_a_message_is_one_line_and_is_counted_once() -> Story {
    let stack = stack_with(|config| park_in_doubt(config, "tell_slack")).await?;
    // Done, and its duplicate; deferred once, then done; refused for good; in doubt and parked, and its run's other effect done.
    deliver(&stack, &dispute()?).await?;
    deliver(&stack, &dispute()?).await?;
    let mut runs = settle(&stack).await?.runs;
    stack.third_party.script(TICKETS, [Behaviour::refuse(429)]);
    deliver(&stack, &dispute_about("dp_busy")?).await?;
    runs.extend(settle(&stack).await?.runs);
    stack.third_party.script(TICKETS, [Behaviour::refuse(422)]);
    deliver(&stack, &dispute_about("dp_unfit")?).await?;
    runs.extend(settle(&stack).await?.runs);
    stack.third_party.script(SLACK, [Behaviour::hang().after_applying()]);
    deliver(&stack, &issue()?).await?;
    runs.extend(settle(&stack).await?.runs);

    let printed = Printed::by_consumer(&stack, runs.len()).await?;
    printed.assert(&[
        ("Runs", runs.len() as f64),
        ("FailedRuns", 0.0),
        ("BrokerUnreachable", 0.0),
        ("Received", 6.0),
        ("FromAgenda", 1.0),
        ("Enqueued", 0.0),
        ("Done", 3.0),
        ("Duplicates", 1.0),
        ("Deferred", 1.0),
        ("Deferred{Function=consumer}", 1.0),
        ("Held", 0.0),
        ("InDoubt", 1.0),
        ("Parked", 2.0),
        ("Parked{Step=open_ticket}", 1.0),
        ("Parked{Step=tell_slack}", 1.0),
        ("ParkedInDoubt", 1.0),
        ("EventsDropped", 0.0),
    ]);
    let counts = |name| printed.metrics.count(name);
    assert_eq!((counts("CallLatency{Step=open_ticket}"), counts("CallLatency{Step=tell_slack}")), (4.0, 1.0));
    assert_eq!((counts("CallLatency"), counts("ReceivedToDone")), (6.0, 3.0));
    assert_eq!((counts("OldestDueAge"), counts("DueNow")), (1.0, 1.0), "looked at once a minute");
    assert!(printed.metrics.sum("CallLatency{Step=tell_slack}") >= 1000.0, "it waited for a second");

    let outcomes = printed.outcomes();
    let of = |outcome| outcomes.get(outcome).copied().unwrap_or_default();
    assert_eq!((of("done"), of("duplicate"), of("deferred"), of("parked")), (3, 1, 1, 2), "{outcomes:?}");
    assert_eq!(of("drained"), runs.len());
    for line in
        ["done", "duplicate", "deferred", "parked"].into_iter().flat_map(|outcome| printed.of(outcome))
    {
        for field in ["run_id", "effect_id", "step", "source", "trace_id", "message"] {
            assert!(line[field].is_string(), "{field} of {line}");
        }
        assert!(line["duration_ms"].is_u64(), "{line}");
        assert!(line["attempt"].is_u64() || line["outcome"] == "duplicate", "{line}");
    }
    let in_doubt: Vec<_> = printed.of("parked").filter(|line| line["in_doubt"] == 1).collect();
    assert_eq!(
        (in_doubt.len(), &in_doubt[0]["step"], &in_doubt[0]["level"]),
        (1, &"tell_slack".into(), &"ERROR".into())
    );
    let queries: Vec<_> = DOCUMENT.split("```").skip(1).step_by(2).collect();
    assert_eq!(queries.len(), 8);
    let mut known: BTreeSet<_> =
        printed.logs.iter().filter_map(Value::as_object).flat_map(|line| line.keys()).collect();
    // Fields of ingest's refusals and of failures of the stores, which other tests cover.
    let elsewhere = ["reason", "error"].map(str::to_owned);
    known.extend(&elsewhere);
    for query in queries {
        for field in fields_of(query) {
            assert!(known.contains(&field), "no line has {field}: {query}");
        }
    }
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn each_request_is_counted_by_source_or_by_why_it_was_refused() -> Story {
    let stack = stack().await?;
    deliver(&stack, &dispute()?).await?;
    deliver(&stack, &issue()?).await?;
    stack.deliver(&Webhook::sample("github.push")?).await?;
    stack.post_webhook(&dispute()?).await?;
    stack.post_webhook(&Webhook::sample("forged.github.issues.opened")?).await?;
    stack.post_webhook(&Webhook { source: "nobody".into(), ..dispute()? }).await?;
    stack.deliver(&dispute()?.edited(|event| event["padding"] = "x".repeat(1024 * 1024).into())).await?;
    stack.post_json("/runs", &[], &json!({ "step": "no such" })).await?;
    let run = json!({ "step": "triage_issue", "business_key": "k", "input": { "title": "t", "body": "b" } });
    stack.post_json("/runs", &[], &run).await?;
    // A GET has no metrics.
    stack.get("/healthz").await?;
    stack.broker_proxy.once(produces, Fault::Answer(Answer::partition_full()));
    deliver(&stack, &dispute_about("dp_full")?).await?;
    stack.broker_proxy.close().await;
    stack.table_proxy()?.close().await;
    assert_eq!(stack.deliver(&dispute_about("dp_nowhere")?).await?.status, 503);
    stack.broker_proxy.open().await?;
    stack.table_proxy()?.open().await?;

    let printed = Printed::by_ingest(&stack, 11).await?;
    printed.assert(&[
        ("Accepted", 5.0),
        ("Accepted{Source=api}", 1.0),
        ("Accepted{Source=stripe}", 2.0),
        ("Accepted{Source=github}", 2.0),
        ("Refused", 5.0),
        ("Refused{Reason=stale}", 1.0),
        ("Refused{Reason=forged}", 1.0),
        ("Refused{Reason=unknown-source}", 1.0),
        ("Refused{Reason=too-large}", 1.0),
        ("Refused{Reason=unfit}", 1.0),
        ("Commands", 5.0),
        ("Deferred", 1.0),
        ("Deferred{Function=ingest}", 1.0),
        ("BrokerRefusals", 2.0),
        ("NotDurable", 1.0),
    ]);
    assert_eq!(printed.metrics.count("IngestLatency"), 11.0);
    let expected = [("accepted", 4), ("deferred", 1), ("not_durable", 1), ("refused", 5), ("unwanted", 1)];
    assert_eq!(printed.outcomes(), BTreeMap::from(expected));
    settle(&stack).await?;
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_trace_goes_from_the_webhook_to_the_third_party_and_each_attempt_is_a_span() -> Story {
    let stack = stack().await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(429)]);
    let header = format!("00-{TRACE}-{SPAN}-01");
    deliver(&stack, &dispute()?.with("traceparent", &header)).await?;
    let runs = settle(&stack).await?.runs.len();
    let ledger = stack.third_party.ledger();
    let mut spans: Vec<_> =
        ledger.attempts().iter().map(|call| call.headers["traceparent"].clone()).collect();
    assert_eq!(spans.len(), 2);
    for sent in &spans {
        assert!(
            sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-01") && sent.len() == 55,
            "{sent}"
        );
        assert!(!sent.contains(SPAN), "the provider's span is not ours");
    }
    spans.dedup();
    assert_eq!(spans.len(), 2);
    let (ingest, consumer) =
        (Printed::by_ingest(&stack, 1).await?, Printed::by_consumer(&stack, runs).await?);
    let logged = ingest.of("accepted").chain(consumer.of("deferred")).chain(consumer.of("done"));
    assert_eq!(logged.map(|line| &line["trace_id"]).collect::<Vec<_>>(), [TRACE; 3]);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn without_a_valid_trace_it_is_lambdas_and_a_steps_own_header_goes_first() -> Story {
    let own = toml! { traceparent = "the step's own" };
    let stack = stack_with(|config| {
        table(config.step("tell_slack"), "call").insert("headers".into(), own.into());
    })
    .await?;
    let zeros = format!("00-{}-{SPAN}-01", "0".repeat(32));
    let effects = deliver(&stack, &issue()?.with("traceparent", &zeros)).await?;
    let another = issue()?.with("traceparent", &format!("00-{TRACE}-{SPAN}-01"));
    assert_eq!(deliver(&stack, &another).await?, effects, "a trace makes no other effect");
    let settling = settle(&stack).await?;
    assert_eq!((settling.total(|run| run.done), settling.total(|run| run.duplicates)), (2, 2));
    let ledger = stack.third_party.ledger();
    assert_eq!(ledger.applied_on(SLACK)[0].headers["traceparent"], "the step's own");
    let summary = &ledger.applied_on("/v1/chat/completions")[0].headers["traceparent"];
    assert!(summary.starts_with(&format!("00-{XRAY_TRACE}-")), "{summary}");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_command_of_an_older_version_is_done_and_one_that_is_none_is_parked_unquoted() -> Story {
    let stack = stack().await?;
    deliver(&stack, &dispute()?).await?;
    let produced = stack.broker_proxy.seen_where(produces).remove(0);
    let mut message: Value = serde_json::from_slice(&produced.body)?;
    let mut command = command::of(&message)?;
    assert_eq!(
        (command["source"].as_str(), command["traceparent"].as_str().map(str::len)),
        (Some("stripe"), Some(55))
    );
    let command_fields = command.as_object_mut().context("an object")?;
    command_fields.remove("source");
    command_fields.remove("traceparent");
    command["run_id"] = "stripe.evt_older".into();
    for command in [command, json!({ "payload": { "a private word": 1 } })] {
        message = command::with(&message, &command);
        let url = format!("{}/v1/produce", stack.broker.url());
        let answer = local::http::client_for(&url)?.post(url).body(message.to_string()).send().await?;
        assert!(answer.status().is_success(), "{}", answer.text().await?);
    }
    let settling = settle(&stack).await?;
    assert_eq!((settling.total(|run| run.done), settling.total(|run| run.parked)), (2, 1));
    let printed = Printed::by_consumer(&stack, settling.runs.len()).await?;
    printed.assert(&[("Parked{Step=?}", 1.0), ("Parked", 1.0), ("ParkedInDoubt", 0.0)]);
    assert!(printed.of("done").all(|line| line["trace_id"].as_str().map(str::len) == Some(32)));
    assert!(!stack.consumer.log().tail(usize::MAX).contains("a private word"));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_failed_run_is_one_error_and_an_attempt_that_died_is_in_doubt() -> Story {
    let stack = stack().await?;
    let kill = stack.consumer.killer().hook();
    stack.third_party.script(TICKETS, [Behaviour::apply().with_hook(kill)]);
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    let runs = settling.runs.len();
    assert_eq!(settling.deaths(), 1);
    stack.broker_proxy.close().await;
    stack.run_consumer().await.unwrap_err();
    stack.broker_proxy.open().await?;
    stack.table_proxy()?.close().await;
    stack.run_consumer().await.unwrap_err();
    stack.table_proxy()?.open().await?;

    let printed = Printed::by_consumer(&stack, runs + 2).await?;
    printed.assert(&[
        ("Runs", runs as f64),
        ("FailedRuns", 2.0),
        ("BrokerUnreachable", 1.0),
        ("Done", 1.0),
        ("InDoubt", 1.0),
        ("Parked", 0.0),
    ]);
    assert_eq!(printed.of("failed").count(), 2);
    assert_eq!(printed.logs.iter().filter(|line| line["level"] == "ERROR").count(), 2, "each is said once");
    assert!(printed.of("failed").all(|line| line["level"] == "ERROR" && line["error"].is_string()));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn what_was_in_doubt_is_parked_as_such_whatever_the_last_attempt_came_to() -> Story {
    let twice =
        |config: &mut Config| drop(config.step("open_ticket").insert("retry".into(), retry(2).into()));
    let stack = stack_with(twice).await?;
    stack.third_party.script(TICKETS, [Behaviour::cut().after_applying(), Behaviour::refuse(429)]);
    deliver(&stack, &dispute()?).await?;
    let runs = settle(&stack).await?.runs.len();
    let printed = Printed::by_consumer(&stack, runs).await?;
    printed.assert(&[("InDoubt", 1.0), ("Parked", 1.0), ("ParkedInDoubt", 1.0), ("Deferred", 1.0)]);
    assert!(
        printed
            .of("parked")
            .all(|line| line["in_doubt"] == 1 && line["why"] == "attempts used up; the last: answered 429")
    );
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_contradiction_is_counted_where_it_is_parked() -> Story {
    let stack = stack().await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(422)]);
    deliver(&stack, &dispute()?).await?;
    let mut runs = settle(&stack).await?.runs.len();
    let changed = |amount: u32| {
        dispute().map(|webhook| webhook.edited(|event| event["data"]["object"]["amount"] = amount.into()))
    };
    deliver(&stack, &changed(1)?).await?;
    runs += settle(&stack).await?.runs.len();
    stack.broker_proxy.close().await;
    deliver(&stack, &changed(2)?).await?;
    stack.broker_proxy.open().await?;
    let (ingest, consumer) =
        (Printed::by_ingest(&stack, 3).await?, Printed::by_consumer(&stack, runs).await?);
    ingest.assert(&[("Parked", 1.0), ("Deferred", 0.0), ("Commands", 3.0), ("Accepted", 3.0)]);
    consumer.assert(&[("Parked", 2.0), ("Parked{Step=open_ticket}", 2.0), ("ParkedInDoubt", 0.0)]);
    assert_eq!((ingest.of("parked").count(), consumer.of("parked").count()), (1, 2));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn what_waits_on_the_agenda_shows_its_age() -> Story {
    let stack = stack().await?;
    stack.broker_proxy.close().await;
    deliver(&stack, &dispute()?).await?;
    // Its lane is read in the first run, and then it has been due for two seconds.
    tokio::time::sleep(Duration::from_secs(2)).await;
    stack.run_consumer().await.unwrap_err();
    stack.broker_proxy.open().await?;
    let runs = 1 + settle(&stack).await?.runs.len();
    let printed = Printed::by_consumer(&stack, runs).await?;
    assert!(printed.metrics.sum("OldestDueAge") >= 2.0, "{:#?}", printed.metrics.0);
    printed.assert(&[("FromAgenda", 1.0), ("Done", 1.0)]);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn even_where_only_errors_are_logged_they_say_whose_they_are_and_metrics_pass_lambdas_filter() -> Story
{
    let stack = builder(config()?)?.env("AWS_LAMBDA_LOG_LEVEL", "ERROR").start().await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(400)]);
    deliver(&stack, &dispute()?).await?;
    let runs = settle(&stack).await?.runs.len();
    let printed = Printed::by_consumer(&stack, runs).await?;
    let [parked] = &printed.logs[..] else { panic!("{:?}", printed.logs) };
    assert!(
        ["requestId", "run_id", "effect_id", "step", "trace_id"]
            .iter()
            .all(|field| parked[*field].is_string())
    );
    assert_eq!(parked["attempt"], 1);
    printed.assert(&[("Parked", 1.0)]);
    let lines = stack.consumer.log().lines();
    assert!(lines.iter().all(|line| line.text.contains(r#""level":"ERROR""#)), "{lines:#?}");
    Ok(stack.finish().await?)
}

/// The steps' inputs and the secrets, each of them a unique text.
#[tokio::test]
async fn nothing_that_was_sent_and_no_secret_is_printed() -> Story {
    let stack = stack().await?;
    let marked = |text: &str| format!("PRIVATE-{text}");
    let webhook = issue()?.edited(|event| {
        event["issue"]["title"] = marked("title").into();
        event["issue"]["body"] = marked("body").into();
    });
    for behaviours in
        [[Behaviour::apply(), Behaviour::refuse(400)], [Behaviour::cut(), Behaviour::refuse(503)]]
    {
        stack.third_party.script(SLACK, behaviours.clone());
        stack.third_party.script("/v1/chat/completions", behaviours);
    }
    deliver(&stack, &webhook).await?;
    let tampered = webhook.clone().with("x-hub-signature-256", "sha256=00");
    stack.post_webhook(&tampered).await?;
    let body =
        json!({ "step": marked("step"), "business_key": marked("key"), "input": { "a": marked("input") } });
    stack.post_json("/runs", &[], &body).await?;
    stack
        .request("POST", "/runs", &Vec::new(), br#"{"step":"tell_slack","business_key":{"PRIVATE":1}}"#)
        .await?;
    let runs = settle(&stack).await?.runs.len();
    Printed::by_ingest(&stack, 4).await?;
    Printed::by_consumer(&stack, runs).await?;
    let printed = stack.ingest.log().tail(usize::MAX) + &stack.consumer.log().tail(usize::MAX);
    assert!(!printed.contains("PRIVATE"), "{printed}");
    for (name, secret) in stack.config.secrets() {
        assert!(!printed.contains(&secret), "{name} is printed");
    }
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_stacks_metrics_are_in_a_namespace_of_its_own() -> Story {
    let stack = builder(config()?)?.env("METRICS_NAMESPACE", "webhooks-prod").start().await?;
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    for function in [&stack.ingest, &stack.consumer] {
        let measured = |line: &&local::runtime_api::Line| line.text.contains("\"_aws\"");
        let lines = function
            .log()
            .until(Duration::from_secs(5), |lines| lines.iter().any(|line| measured(&line)))
            .await?;
        for line in lines.iter().filter(measured) {
            let line: Value = serde_json::from_str(&line.text)?;
            let directives = line["_aws"]["CloudWatchMetrics"].as_array().context("no directives")?;
            assert!(directives.iter().all(|it| it["Namespace"] == "webhooks-prod"), "{directives:?}");
        }
    }
    Ok(stack.finish().await?)
}
