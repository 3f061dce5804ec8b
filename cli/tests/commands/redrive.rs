//! `redrive`: done effects are done again, as the third party's ledger shows.

use std::time::Duration;

use local::{
    config::Config,
    stack::{Effect, Stack},
    webhook::Webhook,
};
use serde_json::Value;

use super::{
    builder,
    operate::{kill_at, park_more, typed},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A stack whose records of done effects keep their commands, or not.
async fn stack(keep: bool) -> Stack {
    let mut config = Config::shipped().unwrap();
    let consumer = toml::Table::from_iter([("keep_commands".to_owned(), keep.into())]);
    config.table().insert("consumer".into(), consumer.into());
    builder().await.config(config).start().await.unwrap()
}

/// Delivers that many disputes, each of which opens a ticket.
async fn done(stack: &Stack, disputes: usize) {
    for number in 0..disputes {
        let dispute = Webhook::sample("stripe.charge.dispute.created").unwrap().edited(|event| {
            event["id"] = format!("evt_{number}").into();
            event["data"]["object"]["id"] = format!("du_{number}").into();
        });
        assert_eq!(stack.deliver(&dispute).await.unwrap().status, 202);
    }
    stack.run_until_settled(PATIENCE).await.unwrap();
    assert_eq!(stack.third_party.ledger().applied().len(), disputes);
}

/// The JSON result of `redrive`.
async fn redriven(stack: &Stack, args: &[&str]) -> Value {
    let args = [&["redrive", "--note", "lost there", "--yes", "--json"], args].concat();
    let ended = typed(stack, &args).await;
    assert!(ended.code.is_some_and(|code| code < 2), "{}", ended.err);
    ended.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_does_effects_again_once() {
    let stack = stack(true).await;
    done(&stack, 3).await;
    let all = typed(&stack, &["redrive", "--note", "lost there", "--yes"]).await;
    assert!(all.code == Some(2) && all.err.contains("which?"), "{}", all.err);
    let waiting = ["redrive", "--step", "open_ticket", "--state", "waiting", "--note", "x", "--yes"];
    assert_eq!(typed(&stack, &waiting).await.code, Some(2));
    let unasked = typed(&stack, &["redrive", "--step", "open_ticket", "--note", "lost there"]).await;
    assert!(unasked.code == Some(2) && unasked.err.contains("--yes"), "{}", unasked.err);
    assert!(unasked.err.contains("3 of 3 matching effects would be done AGAIN"), "{}", unasked.err);
    assert!(unasked.err.contains("charges again") && unasked.err.contains(":du_2"), "{}", unasked.err);
    let plan = ["redrive", "--key", "du_1", "--note", "x", "--plan", "--json"];
    assert_eq!(typed(&stack, &plan).await.json()["plan"]["would_redrive"], 1);
    stack.run_consumer().await.unwrap();
    assert_eq!(stack.third_party.ledger().attempts().len(), 3, "nothing has changed");

    let first = redriven(&stack, &["--step", "open_ticket"]).await;
    assert_eq!(first["tally"]["redriven"], 3);
    stack.run_until_settled(PATIENCE).await.unwrap();
    let ledger = stack.third_party.ledger();
    assert_eq!((ledger.applied().len(), ledger.deduped().len()), (6, 0), "each once more");

    // The same command does nothing the second time. Nor does a command with the same redrive's id, whatever its
    // filter is.
    let bulk = first["bulk"].as_str().unwrap();
    for again in [&["--step", "open_ticket"][..], &["--key", "du_1", "--bulk", bulk]] {
        assert_eq!(redriven(&stack, again).await["tally"]["redriven"], 0, "{again:?}");
    }
    let second = redriven(&stack, &["--key", "du_1", "--again"]).await;
    assert_eq!(second["tally"]["redriven"], 2, "the effect and its redrive");
    stack.run_until_settled(PATIENCE).await.unwrap();
    assert_eq!(stack.third_party.ledger().applied().len(), 8);

    let effects = stack.effects().await.unwrap();
    let old = effects.iter().find(|effect| effect.effect_id == "stripe.evt_0:open_ticket:du_0").unwrap();
    let new = effects.iter().find(|effect| effect.record["redrive_of"] == *old.effect_id).unwrap();
    assert_eq!(old.record["redriven_as"], *new.run_id);
    assert!(new.run_id.starts_with("stripe.evt_0~redrive~"), "{}", new.run_id);
    for (effect, entry) in [(old, 1), (new, 0)] {
        let entry = &effect.record["history"][entry];
        let what = entry["what"].as_str().unwrap();
        assert!(what.contains("lost there (bulk ") && what.contains(bulk), "{entry}");
        assert!(entry["by"].as_str().unwrap().ends_with("on the command line"), "{entry}");
    }
    typed(&stack, &["show", "stripe.evt_0"])
        .await
        .says(&["redriven: lost there", "redriven as stripe.evt_0~redrive~"]);
    stack.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_that_is_killed_in_the_middle_goes_on_where_it_was() {
    let stack = stack(true).await;
    done(&stack, 1).await;
    let first = stack.effects().await.unwrap().remove(0);
    park_more(&stack, &first, 400).await;
    let args = ["redrive", "--step", "open_ticket", "--note", "lost there", "--yes"];
    kill_at(&stack, &args, |seen| seen.is("TransactWriteItems") && seen.mentions("du_233_")).await;
    let redriven =
        |effects: &[Effect]| effects.iter().filter(|effect| effect.record["redrive_of"].is_string()).count();
    let before = redriven(&stack.effects().await.unwrap());
    assert!((1..401).contains(&before), "{before}");

    let ended = typed(&stack, &args).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    // The killed command may have had requests on their way, so the number is not known.
    ended.says(&["effects redriven"]);
    assert_eq!(redriven(&stack.effects().await.unwrap()), 401);
    stack.run_until_settled(PATIENCE).await.unwrap();
    let ledger = stack.third_party.ledger();
    assert_eq!((ledger.applied().len(), ledger.deduped().len()), (1 + 401, 0), "each once more");
    stack.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn effects_that_cannot_be_redriven_are_reported() {
    let unkept = stack(false).await;
    done(&unkept, 1).await;
    let ended = typed(&unkept, &["redrive", "--step", "open_ticket", "--note", "x", "--yes"]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    ended.says(&["0 effects redriven", "1 more match but are left out", "keep_commands = true"]);
    unkept.finish().await.unwrap();

    let stack = stack(true).await;
    let large = Webhook::sample("github.issues.opened").unwrap();
    let large = large.edited(|event| event["issue"]["body"] = "A long story. ".repeat(30_000).into());
    assert_eq!(stack.deliver(&large).await.unwrap().status, 202);
    stack.run_until_settled(PATIENCE).await.unwrap();
    let tally = redriven(&stack, &["--source", "github"]).await["tally"].clone();
    let large = tally["left_out"]["large_input"].as_u64().unwrap();
    assert!(large >= 1 && large + tally["redriven"].as_u64().unwrap() == 2, "{tally}");
    stack.run_until_settled(PATIENCE).await.unwrap();
    stack.finish().await.unwrap();
}
