//! A step that comes after several: it begins once, when the last of them is recorded, whichever that is.

use driftq_webhooks::{
    command::flow::{Flow, Planned},
    effect_id::StepId,
    effects::record::{Receipt, Status},
};
use futures_util::future::try_join_all;
use local::{
    proxy::{Fault, Seen},
    third_party::Behaviour,
};
use serde_json::json;

use super::{FILES, JOIN, LETTERS, applied, only, status_of, with};
use crate::{
    guard::{Case, Table, later, now, win},
    setup::{Story, TICKETS, deliver, dispute, settle},
};

#[tokio::test]
async fn a_step_after_two_begins_once_with_what_both_left() -> Story {
    let stack = with(JOIN).await?;
    assert_eq!(deliver(&stack, &dispute()?).await?.len(), 2);
    settle(&stack).await?;
    let mut calls = applied(&stack);
    assert_eq!(calls.pop().as_deref(), Some(FILES), "the last");
    assert_eq!(calls.len(), 2);
    let ledger = stack.third_party.ledger();
    let id = |path: &str| format!("tp_{}", only(&ledger.attempts_on(path)).number);
    assert_eq!(only(&ledger.attempts_on(FILES)).body, json!({ "papers": [id(TICKETS), id(LETTERS)] }));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_step_whose_other_predecessor_is_late_waits_for_it() -> Story {
    let stack = with(JOIN).await?;
    stack.third_party.script(LETTERS, [Behaviour::refuse(429), Behaviour::refuse(429)]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert_eq!(applied(&stack), [TICKETS, LETTERS, FILES]);
    Ok(stack.finish().await?)
}

fn advances(seen: &Seen) -> bool {
    seen.is("TransactWriteItems")
}

/// One predecessor is done by a process that dies, the other by its successor.
#[tokio::test]
async fn killed_between_the_two_predecessors_the_join_is_exact() -> Story {
    for fault in [Fault::HookInstead, Fault::HookAfter, Fault::HookOnceAnswered] {
        for nth in 1..=2 {
            let stack = with(JOIN).await?;
            let proxy = stack.table_proxy()?;
            // The two follow each other, so that each has its own moment.
            stack.third_party.script(LETTERS, [Behaviour::refuse(429)]);
            proxy.times(nth - 1, advances, Fault::Pass);
            let hits = proxy.once(advances, fault(stack.consumer.killer().hook()));
            deliver(&stack, &dispute()?).await?;
            assert_eq!(settle(&stack).await?.deaths(), 1);
            assert_eq!(hits.count(), 1);
            assert_eq!(applied(&stack), [TICKETS, LETTERS, FILES], "{nth}");
            assert_eq!(status_of(&stack, "open_file").await?, "done");
            stack.finish().await?;
        }
    }
    Ok(())
}

fn step(id: &str) -> StepId {
    StepId::try_from(id.to_owned()).unwrap()
}

/// A join of this many predecessors, all called and none recorded.
fn predecessors(count: usize) -> Vec<Case> {
    let names: Vec<_> = (0..count).map(|number| step(&format!("before_{number}"))).collect();
    let after = names.iter().cloned().collect();
    let join = Planned {
        business_key: "k".into(),
        after,
        input: Default::default(),
        delay: None,
        uses: Default::default(),
    };
    let flow = Flow([(step("join"), join)].into());
    let case = |name: StepId| {
        let mut case = Case::new(json!(1));
        case.command.step = name;
        case.command.flow = flow.clone();
        case.effect = case.command.effect_id().unwrap();
        case
    };
    names.into_iter().map(case).collect()
}

/// The last predecessor begins it, however close together they end.
#[tokio::test]
async fn of_many_predecessors_that_end_at_once_one_begins_the_join() -> Story {
    for count in [2, 3, 5] {
        for _ in 0..8 {
            let (table, cases) = (Table::start().await?, predecessors(count));
            let mut leases = Vec::new();
            for case in &cases {
                leases.push(win(&table, case, now()).await?);
            }
            let commits = cases.iter().zip(leases).map(|(case, lease)| {
                let receipt = Receipt::new(200, "d".into(), Default::default());
                let next = case.command.flow.next(&case.command, &receipt.fields, later(1)).unwrap();
                let guard = &table.guard;
                async move { guard.commit_and_begin(lease, &receipt, None, &next, later(1)).await }
            });
            let begun: Vec<_> =
                try_join_all(commits).await?.into_iter().flat_map(|(_, begun)| begun).collect();
            assert_eq!(begun.len(), 1, "of {count}");
            let records = table.listing.run("stripe.evt_1").await?;
            let join = records.iter().find(|record| record.step == "join").unwrap();
            assert_eq!(join.status, Status::Pending);
            assert_eq!(begun[0].receipts.len(), count);
            assert_eq!(serde_json::to_value(join).unwrap()["command"], serde_json::to_value(&begun[0])?);
        }
    }
    Ok(())
}

/// The end of one is not recorded while the other's is: nothing has begun, and the step still waits for it.
#[tokio::test]
async fn a_predecessor_that_was_fenced_off_begins_nothing() -> Story {
    let (table, cases) = (Table::start().await?, predecessors(1));
    let stale = win(&table, &cases[0], now()).await?;
    let taken_over = table.guard.claim(&cases[0].ask(), later(11)).await?;
    let next = cases[0].command.flow.next(&cases[0].command, &Default::default(), later(12))?;
    let receipt = Receipt::new(200, "d".into(), Default::default());
    let fenced = table.guard.commit_and_begin(stale, &receipt, None, &next, later(12)).await;
    assert!(fenced.is_err(), "{fenced:?}");
    assert_eq!(table.listing.run("stripe.evt_1").await?.len(), 1);
    drop(taken_over);
    Ok(())
}
