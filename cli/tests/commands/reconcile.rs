//! `reconcile` and `fetch`: an operator asks a provider's API.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;
use local::{
    config::API_KEY,
    config::Config,
    provider_api::{github, gitlab, stripe},
    stack::Stack,
    webhook::Webhook,
};
use tempfile::TempDir;
use toml::{Table, Value};

use super::{Ended, builder, operate::command, run};

const PATIENCE: Duration = Duration::from_secs(40);

/// A stack that does not reconcile by itself, and a file with `reconcile`.
struct Place {
    stack: Stack,
    folder: TempDir,
}

impl Place {
    async fn new() -> Self {
        Self { stack: builder().await.start().await.unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    fn config(&self, source: &str, url: &str, rest: &str) -> PathBuf {
        let mut config = Config::shipped().unwrap();
        let text = format!("every = '15m'\nkey = 'PROVIDER_API_KEY'\nurl = '{url}'\n{rest}");
        let reconcile: Table = text.parse().unwrap();
        config.table()["sources"][source]
            .as_table_mut()
            .unwrap()
            .insert("reconcile".into(), Value::Table(reconcile));
        let path = self.folder.path().join("webhooks.toml");
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// Ends it when everything is settled.
    async fn finish(self) {
        self.stack.run_until_settled(PATIENCE).await.unwrap();
        self.stack.finish().await.unwrap();
    }

    async fn typed(&self, args: &[&str], config: &PathBuf) -> Ended {
        let mut command = command(&self.stack, args);
        command.env("PROVIDER_API_KEY", API_KEY).env("WEBHOOKS_CONFIG", config);
        tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap()
    }
}

fn dispute(number: usize) -> Webhook {
    Webhook::sample("stripe.charge.dispute.created").unwrap().edited(|event| {
        event["id"] = format!("evt_{number}").into();
        event["data"]["object"]["id"] = format!("du_{number}").into();
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_events_are_planned_and_done_once() {
    let (place, stripe) = (Place::new().await, stripe::start().await.unwrap());
    let stack = &place.stack;
    stripe.send_to(&stack.url(), stack.config.source("stripe").unwrap());
    assert!(stripe.send(dispute(0)).await);
    stack.run_until_settled(PATIENCE).await.unwrap();
    stripe.send_to("http://127.0.0.1:9", stack.config.source("stripe").unwrap());
    for number in 1..3 {
        assert!(!stripe.send(dispute(number)).await);
    }
    let config = place.config("stripe", &stripe.url(), "events = 'all'");
    let config_arg = config.to_str().unwrap();
    let args = ["reconcile", "stripe", "--since", "1h", "--config", config_arg];

    let plan = place.typed(&[&args[..], &["--plan"]].concat(), &config).await;
    assert_eq!(plan.code, Some(0), "{}", plan.err);
    assert!(plan.out.starts_with("2 missing of 3 "), "{}", plan.out);
    assert_eq!(plan.err, "", "all of an hour is within reach");
    let months = ["reconcile", "stripe", "--since", "960h", "--config", config_arg, "--plan"];
    let far = place.typed(&months, &config).await;
    assert!(far.code == Some(0) && far.err.contains("for 30 days, and lists nothing older"), "{}", far.err);
    assert!(plan.out.contains("evt_1  charge.dispute.created: would be done: open_ticket"), "{}", plan.out);
    let unasked = place.typed(&args, &config).await;
    assert!(unasked.code == Some(2) && unasked.err.contains("--yes"), "{}", unasked.err);
    let mut unset = command(stack, &args);
    let unset = tokio::task::spawn_blocking(move || run(&mut unset)).await.unwrap();
    assert!(unset.code == Some(2) && unset.err.contains("PROVIDER_API_KEY is not set"), "{}", unset.err);

    for recovered in [2, 0] {
        let done = place.typed(&[&args[..], &["--yes", "--json"]].concat(), &config).await;
        assert_eq!((done.code, &done.json()["recovered"]), (Some(0), &recovered.into()), "{}", done.err);
        stack.run_until_settled(PATIENCE).await.unwrap();
    }
    while stack.third_party.ledger().applied().len() < 3 {
        stack.run_consumer().await.unwrap();
    }
    assert_eq!(stack.third_party.ledger().attempts().len(), 3);
    let shown = place.typed(&["show", "evt_1", "--config", config_arg], &config).await;
    assert!(shown.out.contains("recovered: the event had not arrived"), "{}", shown.out);
    place.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn github_is_asked_to_deliver_again() {
    let (place, github) = (Place::new().await, github::start().await.unwrap());
    let stack = &place.stack;
    let issue = Webhook::sample("github.issues.opened").unwrap();
    github.send_to("http://127.0.0.1:9", stack.config.source("github").unwrap());
    assert!(!github.send(issue).await);
    github.send_to(&stack.url(), stack.config.source("github").unwrap());
    let config = place.config("github", &github.url(), "repository = 'octo/hello'\nhook = 1");
    let args = ["reconcile", "github", "--since", "1h", "--config", config.to_str().unwrap()];
    let done = place.typed(&[&args[..], &["--yes"]].concat(), &config).await;
    assert_eq!((done.code, done.out.trim()), (Some(0), "1 recovered, 0 failed"), "{}", done.err);
    while stack.third_party.ledger().applied().len() < 2 {
        stack.run_consumer().await.unwrap();
    }
    let again = place.typed(&[&args[..], &["--yes"]].concat(), &config).await;
    assert_eq!(again.out.trim(), "0 recovered, 0 failed");
    assert_eq!(github.redelivered(), 1);
    place.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_events_are_signed_here_and_sent_to_what_is_up() {
    let (place, stripe, github) =
        (Place::new().await, stripe::start().await.unwrap(), github::start().await.unwrap());
    let stack = &place.stack;
    stripe.send(dispute(1)).await;
    github.send(Webhook::sample("github.issues.opened").unwrap()).await;
    // GitLab's signing token signs as the source billing does.
    let gitlab = gitlab::start().await.unwrap();
    gitlab.send(Webhook::sample("billing.invoice.issued").unwrap()).await;
    let url = stack.url();
    for (source, api, rest) in [
        ("stripe", stripe.url(), ""),
        ("github", github.url(), "repository = 'octo/hello'\nhook = 1"),
        ("billing", gitlab.url(), "project = 'octo/hello'\nhook = 1"),
    ] {
        let config = place.config(source, &api, rest);
        let fetched = place.typed(&["fetch", source, "--since", "10m", "--url", &url], &config).await;
        assert!(
            fetched.code == Some(0) && fetched.out.trim().ends_with(": 202"),
            "{} {}",
            fetched.out,
            fetched.err
        );
    }
    let since = Timestamp::now();
    while stack.third_party.ledger().applied().len() < 4 {
        assert!(Timestamp::now().duration_since(since).as_secs() < 40);
        stack.run_consumer().await.unwrap();
    }
    place.finish().await;
}
