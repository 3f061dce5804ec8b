//! IAM: each function may do to the table exactly what it is observed to do.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use local::{
    proxy::{FaultProxy, Seen},
    stack::Stack,
};
use serde_json::{Value, json};

use super::file::Template;
use crate::{
    broker_trouble::produce,
    setup::{PATIENCE, Story, builder, config, deliver, dispute_about, issue},
};

/// An action, and the index that it is allowed on.
type Action = (String, Option<String>);

fn list(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |values| values.iter().collect())
}

/// What the template's statements allow a function to do to DynamoDB.
fn granted(binary: &str) -> Result<BTreeSet<Action>> {
    let template = Template::shipped()?;
    let policies = list(&template.function(binary)?["Policies"]);
    let statements = policies.into_iter().flat_map(|policy| list(&policy["Statement"]));
    let mut all = BTreeSet::new();
    for statement in statements {
        assert!(!statement.to_string().contains('*'), "{statement}");
        if let Some(with_a_key) = statement["Fn::If"].get(1) {
            match statement["Fn::If"][0].as_str() {
                Some("HasKmsKey") => only_the_tables_key(with_a_key),
                Some("WritesTables") if binary == "consumer" => only_items_of_steps(with_a_key),
                other => panic!("{other:?} in {statement}"),
            }
            continue;
        }
        assert_eq!(statement["Effect"], "Allow");
        let resource = &statement["Resource"];
        let index =
            resource["Fn::Sub"].as_str().and_then(|arn| Some(arn.split_once("/index/")?.1.to_owned()));
        let table = resource["Fn::GetAtt"] == "EffectsTable.Arn" || index.is_some();
        for action in list(&statement["Action"]) {
            let (service, action) = action.as_str().and_then(|it| it.split_once(':')).context("an action")?;
            match service {
                "dynamodb" => assert!(table, "{statement}"),
                "secretsmanager" => {
                    let its_own = if binary == "ingest" { "IngestSecretsArn" } else { "ConsumerSecretsArn" };
                    assert_eq!(*resource, json!({ "Ref": its_own }));
                }
                "lambda" => {
                    assert_eq!((binary, action), ("ingest", "InvokeFunction"));
                    assert_eq!(*resource, json!({ "Fn::GetAtt": "ConsumerFunction.Arn" }));
                }
                other => panic!("{other} in {statement}"),
            }
            if service == "dynamodb" {
                all.insert((action.to_owned(), index.clone()));
            }
        }
    }
    Ok(all)
}

/// The permissions of `put`, `update` and `delete`, in the tables that the operator names.
fn only_items_of_steps(statement: &Value) {
    assert_eq!(statement["Resource"], json!({ "Ref": "WriteTableArns" }));
    assert_eq!(
        statement["Action"],
        json!(["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"])
    );
}

/// A key of the operator's, for nothing but the table.
fn only_the_tables_key(statement: &Value) {
    assert_eq!(statement["Resource"], json!({ "Ref": "KmsKeyArn" }));
    let through = &statement["Condition"]["StringEquals"]["kms:ViaService"]["Fn::Sub"];
    assert_eq!(*through, "dynamodb.${AWS::Region}.amazonaws.com");
    let actions = list(&statement["Action"]);
    assert!(
        actions.iter().all(|action| action.as_str().is_some_and(|it| it.starts_with("kms:"))),
        "{statement}"
    );
}

/// The requests through the table's fault proxy since the last call.
fn seen(proxy: &FaultProxy) -> BTreeSet<Action> {
    let index = |request: &Value| request["IndexName"].as_str().map(str::to_owned);
    let actions = |seen: &Seen| match seen.is("TransactWriteItems") {
        true => transacted(&seen.json()).map(|action| (action, None)).collect(),
        false => vec![(seen.operation.clone(), index(&seen.json()))],
    };
    let seen = proxy.seen().iter().flat_map(actions).collect();
    proxy.forget();
    seen
}

/// The permissions of a transaction are those of each of its writes.
fn transacted(request: &Value) -> impl Iterator<Item = String> {
    let writes = request["TransactItems"].as_array().cloned().unwrap_or_default().into_iter();
    writes.flat_map(|write| {
        let kinds = write.as_object().into_iter().flatten().map(|(kind, _)| kind.clone());
        kinds
            .map(
                |kind| {
                    if kind == "ConditionCheck" { "ConditionCheckItem".into() } else { format!("{kind}Item") }
                },
            )
            .collect::<Vec<_>>()
    })
}

/// All of ingest's requests to the table: journal, large input, a broker that is down, a client's key, showing a run.
async fn busy_ingest(stack: &Stack) -> Result<BTreeSet<Action>> {
    let large = issue()?.edited(|event| event["issue"]["body"] = "A long story. ".repeat(30_000).into());
    deliver(stack, &large).await?;
    stack.broker_proxy.close().await;
    deliver(stack, &dispute_about("dp_deferred")?).await?;
    stack.broker_proxy.open().await?;
    let request = json!({
        "step": "open_ticket", "business_key": "dp_api",
        "input": { "dispute": "dp_api", "charge": "ch_1", "amount": 5, "reason": "fraudulent" },
    });
    let started = stack.post_json("/runs", &[("idempotency-key", "iam")], &request).await?;
    let run = started.json()["run_id"].as_str().context("no run")?.to_owned();
    assert_eq!(stack.get(&format!("/runs/{run}")).await?.status, 200);
    assert_eq!(stack.get("/healthz").await?.status, 200);
    assert_eq!(stack.get("/parked").await?.status, 200);
    Ok(seen(stack.table_proxy()?))
}

#[tokio::test]
async fn every_action_that_is_granted_is_used_and_every_one_that_is_used_is_granted() -> Story {
    let mut config = config()?;
    config.table().insert("journal".into(), true.into());
    let stack = builder(config)?.env("EVENTS_TOPIC", "sidefx.events").start().await?;
    if stack.table_proxy().is_err() {
        println!("not watched: EFFECTS_TABLE names another table");
        return Ok(stack.finish().await?);
    }
    stack.table_proxy()?.forget();
    let ingest = busy_ingest(&stack).await?;
    // An unreadable message is put beside the records.
    produce(&stack, &json!({ "topic": stack.topic, "value": "no command" })).await?;
    let settling = stack.run_until_settled(PATIENCE).await?;
    assert_eq!((settling.total(|run| run.done), settling.total(|run| run.parked)), (4, 1));
    assert_eq!(seen(stack.table_proxy()?), granted("consumer")?, "the consumer");

    assert_eq!(ingest, granted("ingest")?, "ingest");
    Ok(stack.finish().await?)
}
