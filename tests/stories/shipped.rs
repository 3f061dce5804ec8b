//! The whole shipped `webhooks.toml`, unchanged: its chain and its row.

use local::webhook::Webhook;
use serde_json::json;

use crate::setup::{Story, TICKETS, builder, deliver, settle, shipped};

const CHARGES: &str = "/v1/payment_intents";
const EMAILS: &str = "/v1/emails";

#[tokio::test]
async fn an_invoice_is_charged_then_filed_then_told_and_each_names_what_came_before() -> Story {
    let stack = builder(shipped()?)?.start().await?;
    deliver(&stack, &Webhook::sample("billing.invoice.issued")?).await?;
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    let calls: Vec<_> = ledger.applied().iter().map(|call| call.path.as_str()).collect();
    assert_eq!(calls, [CHARGES, TICKETS, EMAILS]);
    assert_eq!(ledger.applied()[1].body["charge"], "tp_1");
    let text = ledger.applied()[2].body["text"].as_str().unwrap_or_default().to_owned();
    assert_eq!(text, "Charged: tp_1. Questions? Name tp_2.");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_paid_checkout_is_an_email_and_a_row_and_an_unpaid_one_neither() -> Story {
    let stack = builder(shipped()?)?.start().await?;
    let paid = Webhook::sample("stripe.checkout.session.completed")?;
    let unpaid = paid.clone().edited(|event| {
        event["id"] = "evt_unpaid".into();
        event["data"]["object"]["payment_status"] = "unpaid".into();
    });
    assert_eq!(deliver(&stack, &paid).await?.len(), 2);
    assert_eq!(stack.deliver(&unpaid).await?.json()["effects"], json!([]));
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied_on(EMAILS).len(), 1);
    let rows = stack.table()?.call("Scan", &json!({ "TableName": "orders" })).await?;
    let session = &paid.json()["data"]["object"];
    let expected =
        json!([{ "id": { "S": session["id"] }, "total": { "N": session["amount_total"].to_string() } }]);
    assert_eq!(rows["Items"], expected);
    Ok(stack.finish().await?)
}
