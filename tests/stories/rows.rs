//! Steps that write an item of a table: the item and the effect's end are written in one transaction, so the item itself is the ledger. Each write
//! adds one to a count in it.

use anyhow::{Context, Result};
use driftq_webhooks::effects::{
    StoreError,
    guard::{Claim, Written},
    record::Receipt,
    row::{Row, RowChange},
};
use local::{
    http::Answer,
    proxy::{Fault, Seen},
    stack::Stack,
};
use serde_json::{Map, Value, json};

use crate::{
    chains::{EMAILS, applied},
    guard::{Case, Table, later, now, win},
    setup::{Story, TICKETS, add_steps, counted, deliver, dispute, only_effect, retry, settle, stack_with},
};

pub(crate) const COUNT: &str = r#"
[[steps]]
id = "count_dispute"
on = { source = "stripe", type = "charge.dispute.*" }
business_key = "{{ event.data.object.id }}"
input = { charge = "{{ event.data.object.charge }}", amount = "{{ event.data.object.amount }}" }
update = { table = "charges", key = { id = "{{ input.charge }}" }, set = { amount = "{{ input.amount }}", name = "x" }, add = { count = 1 } }
"#;

/// A stack in which these are the only steps.
pub(crate) async fn stack(steps: &'static str) -> Result<Stack> {
    stack_with(|config| {
        config.table().insert("steps".into(), toml::Value::Array(Vec::new()));
        add_steps(config, steps);
        config.steps().for_each(|step| drop(step.insert("retry".into(), retry(100).into())));
    })
    .await
}

fn charge() -> Result<String> {
    Ok(dispute()?.json()["data"]["object"]["charge"].as_str().context("a charge")?.to_owned())
}

/// The item, as DynamoDB has it.
async fn item(stack: &Stack) -> Result<Value> {
    let get = json!({ "TableName": "charges", "Key": { "id": { "S": charge()? } }, "ConsistentRead": true });
    Ok(stack.table()?.call("GetItem", &get).await?["Item"].clone())
}

fn writes(seen: &Seen) -> bool {
    seen.is("TransactWriteItems")
}

#[tokio::test]
async fn an_item_is_written_once_however_often_its_event_comes() -> Story {
    let stack = stack(COUNT).await?;
    for _ in 0..2 {
        deliver(&stack, &dispute()?).await?;
        settle(&stack).await?;
    }
    let amount = dispute()?.json()["data"]["object"]["amount"].to_string();
    let expected = json!({
        "id": { "S": charge()? }, "amount": { "N": amount }, "name": { "S": "x" }, "count": { "N": "1" },
    });
    assert_eq!(item(&stack).await?, expected);
    let effect = only_effect(&stack).await?;
    assert_eq!((effect.is_done(), effect.attempt), (true, 1));
    let transactions = stack.table_proxy()?.seen_where(writes);
    assert_eq!(transactions.len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn killed_at_any_moment_of_its_transaction_it_is_written_once_and_never_in_doubt() -> Story {
    for fault in [Fault::HookInstead, Fault::HookAfter, Fault::HookOnceAnswered] {
        let stack = stack(COUNT).await?;
        let hits = stack.table_proxy()?.once(writes, fault(stack.consumer.killer().hook()));
        deliver(&stack, &dispute()?).await?;
        assert_eq!((settle(&stack).await?.deaths(), hits.count()), (1, 1));
        assert_eq!(counted(&stack, "charges").await?, [(charge()?, "1".to_owned())].into());
        assert!(only_effect(&stack).await?.is_done());
        stack.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn killed_after_its_claim_it_is_written_by_the_next_consumer() -> Story {
    let stack = stack(COUNT).await?;
    let kill = stack.consumer.killer().hook();
    stack.table_proxy()?.once(|seen| seen.is("PutItem"), Fault::HookAfter(kill));
    deliver(&stack, &dispute()?).await?;
    assert_eq!(settle(&stack).await?.deaths(), 1);
    assert_eq!(item(&stack).await?["count"]["N"], "1");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_transaction_that_gets_no_answer_is_written_once() -> Story {
    // A lost request is sent again by the SDK; one that never gets a response is given up.
    for fault in [Fault::CutAfter, Fault::HangAfter, Fault::CutBefore] {
        for times in [1, 8] {
            let stack = stack(COUNT).await?;
            stack.table_proxy()?.times(times, writes, fault.clone());
            deliver(&stack, &dispute()?).await?;
            settle(&stack).await?;
            assert_eq!(item(&stack).await?["count"]["N"], "1", "{fault:?}, {times}");
            assert!(only_effect(&stack).await?.is_done());
            stack.finish().await?;
        }
    }
    Ok(())
}

/// DynamoDB's response when it cancels a transaction of two writes.
fn cancelled(first: &str, second: &str) -> Answer {
    Answer::of_json(
        400,
        &json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{first}, {second}]"),
            "CancellationReasons": [{ "Code": first }, { "Code": second }],
        }),
    )
}

#[tokio::test]
async fn a_conflict_and_throttling_are_tried_again() -> Story {
    for (first, second) in
        [("None", "TransactionConflict"), ("None", "ThrottlingError"), ("TransactionConflict", "None")]
    {
        let stack = stack(COUNT).await?;
        let hits = stack.table_proxy()?.times(3, writes, Fault::Answer(cancelled(first, second)));
        deliver(&stack, &dispute()?).await?;
        settle(&stack).await?;
        assert_eq!(hits.count(), 3);
        assert_eq!(
            (item(&stack).await?["count"]["N"].clone(), only_effect(&stack).await?.attempt),
            (json!("1"), 1)
        );
        stack.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_table_that_is_not_there_yet_is_waited_for() -> Story {
    let stack = stack(COUNT).await?;
    stack.table()?.call("DeleteTable", &json!({ "TableName": "charges" })).await?;
    deliver(&stack, &dispute()?).await?;
    assert_eq!(stack.run_consumer().await?.done, 0);
    let effect = only_effect(&stack).await?;
    assert!(effect.last_error().contains("ResourceNotFoundException"), "{effect:?}");
    stack.table()?.make_table("charges", &["id".to_owned()]).await?;
    settle(&stack).await?;
    assert!(only_effect(&stack).await?.is_done());
    assert_eq!(item(&stack).await?["count"]["N"], "1");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_condition_that_does_not_hold_parks_it_and_nothing_is_written() -> Story {
    let stack = stack(
        r##"
        [[steps]]
        id = "close"
        on = { source = "stripe", type = "charge.dispute.*" }
        business_key = "{{ event.data.object.id }}"
        input = { charge = "{{ event.data.object.charge }}" }
        put = { table = "charges", item = { id = "{{ input.charge }}", status = "closed" }, condition = "#status = :open", values = { open = "open" } }
        "##,
    )
    .await?;
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    assert_eq!(
        (effect.status.as_str(), effect.last_error()),
        ("parked", "charges: its condition does not hold")
    );
    assert_eq!(effect.record["doubt"], Value::Null);
    assert_eq!(item(&stack).await?, Value::Null);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn an_item_that_dynamodb_rejects_is_parked_with_its_error() -> Story {
    let stack = stack(
        r##"
        [[steps]]
        id = "close"
        on = { source = "stripe", type = "charge.dispute.*" }
        business_key = "{{ event.data.object.id }}"
        delete = { table = "charges", key = { id = 7 } }
        "##,
    )
    .await?;
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    assert!(effect.is_parked() && effect.last_error().starts_with("charges: "), "{effect:?}");
    assert!(effect.last_error().contains("key"), "{effect:?}");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_step_does_not_write_to_the_table_of_effects() -> Story {
    let stack = stack(
        r##"
        [[steps]]
        id = "forge"
        on = { source = "stripe", type = "charge.dispute.*" }
        business_key = "{{ event.data.object.id }}"
        put = { table = "effects", item = { run_id = "a", effect_id = "b" } }
        "##,
    )
    .await?;
    if stack.table()?.table() != "effects" {
        println!("skipped: the table has another name");
        return Ok(stack.finish().await?);
    }
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert!(only_effect(&stack).await?.is_parked());
    Ok(stack.finish().await?)
}

/// A row is written, a call uses its content, then the row is removed: each once, with a death after each transaction.
#[tokio::test]
async fn rows_and_calls_follow_each_other() -> Story {
    let stack = stack(
        r##"
        [[steps]]
        id = "save"
        on = { source = "stripe", type = "charge.dispute.*" }
        business_key = "{{ event.data.object.id }}"
        input = { charge = "{{ event.data.object.charge }}" }
        put = { table = "charges", item = { id = "{{ input.charge }}" }, condition = "attribute_not_exists(id)", receipt = { saved = "{{ input.charge }}" } }

        [[steps]]
        id = "open_ticket"
        after = "save"
        business_key = "{{ event.data.object.id }}"
        input = { charge = "{{ receipts.save.saved }}" }
        call = { url = "https://tickets.example.com/api/tickets", json = { charge = "{{ input.charge }}" }, receipt = { ticket = "{{ response.json.id }}" }, timeout = "1s" }
        in_doubt = { policy = "same-key", window = "24h" }

        [[steps]]
        id = "note_ticket"
        after = "open_ticket"
        business_key = "{{ event.data.object.id }}"
        input = { charge = "{{ event.data.object.charge }}", ticket = "{{ receipts.open_ticket.ticket }}" }
        update = { table = "charges", key = { id = "{{ input.charge }}" }, set = { ticket = "{{ input.ticket }}" }, add = { noted = 1 } }

        [[steps]]
        id = "email_customer"
        after = "note_ticket"
        business_key = "{{ event.data.object.id }}"
        call = { url = "https://email.example.com/v1/emails", timeout = "1s" }
        in_doubt = { policy = "same-key", window = "24h" }
        "##,
    )
    .await?;
    let proxy = stack.table_proxy()?;
    for step in ["save", "note_ticket"] {
        let kill = stack.consumer.killer().hook();
        proxy.once(move |seen| writes(seen) && seen.mentions(&format!(":{step}:")), Fault::HookAfter(kill));
    }
    deliver(&stack, &dispute()?).await?;
    assert_eq!(settle(&stack).await?.deaths(), 2);
    assert_eq!(applied(&stack), [TICKETS, EMAILS]);
    let item = item(&stack).await?;
    assert_eq!((&item["ticket"]["S"], &item["noted"]["N"]), (&json!("tp_1"), &json!("1")));
    assert_eq!(stack.third_party.ledger().attempts()[0].body["charge"], charge()?);
    Ok(stack.finish().await?)
}

/// An attempt's lease is over, and another attempt has written the item: the late request of the first is refused.
#[tokio::test]
async fn a_stale_attempt_writes_nothing() -> Story {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    table.database.make_table("charges", &["id".to_owned()]).await?;
    let fields = |value: Value| value.as_object().cloned().unwrap_or_default();
    let change = RowChange::Update {
        key: fields(json!({ "id": "ch_1" })),
        set: Map::new(),
        add: fields(json!({ "count": 1 })),
        remove: Vec::new(),
    };
    let row = Row { table: "charges".into(), change, condition: None };
    let receipt = Receipt::new(200, "d".into(), Map::new());
    let stale = win(&table, &case, now()).await?;
    let Claim::InDoubt(doubt) = table.guard.claim(&case.ask(), later(11)).await? else {
        panic!("not in doubt")
    };
    let write = async |lease| table.guard.commit_with_row(lease, &row, &receipt, None, &[], later(12)).await;
    let before = write(stale).await;
    assert!(matches!(before, Err(StoreError::Fenced)), "{before:?}");
    let written = write(doubt.looked_up()).await?;
    assert!(matches!(written, Written::Done { .. }), "{written:?}");
    let get = json!({ "TableName": "charges", "Key": { "id": { "S": "ch_1" } } });
    assert_eq!(table.database.call("GetItem", &get).await?["Item"]["count"]["N"], "1");
    Ok(())
}
