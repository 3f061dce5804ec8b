//! Calls to AWS, signed with the function's own role: an event bus, and a queue that deduplicates.

use anyhow::Result;
use local::{http::Answer, stack::Stack, third_party::Behaviour};
use serde_json::{Value, json};

use crate::setup::{Story, add_steps, deliver, dispute, only_effect, settle, stack_with};

/// An event for EventBridge. It does not deduplicate; the event's consumer must, by its id.
const EVENT: &str = r#"
[[steps]]
id = "publish"
on = { source = "stripe", type = "charge.dispute.*" }
business_key = "{{ event.data.object.id }}"
input = { dispute = "{{ event.data.object.id }}", reason = "{{ event.data.object.reason }}" }
in_doubt = { policy = "park" }

[steps.call]
url = "https://events.us-east-1.amazonaws.com/"
auth = { aws = "events" }
headers = { x-amz-target = "AWSEvents.PutEvents", content-type = "application/x-amz-json-1.1" }
json = { Entries = [{ Source = "billing", DetailType = "dispute", EventBusName = "default", Detail = "{{ {'id': idempotency_key, 'dispute': input} | tojson }}" }] }
applied_if = "response.json.FailedEntryCount == 0"
receipt = { event = "{{ response.json.Entries[0].EventId }}" }
timeout = "1s"
"#;

/// A message for an SQS FIFO queue, which deduplicates for five minutes.
const MESSAGE: &str = r#"
[[steps]]
id = "enqueue"
on = { source = "stripe", type = "charge.dispute.*" }
business_key = "{{ event.data.object.id }}"
input = { dispute = "{{ event.data.object.id }}" }
in_doubt = { policy = "same-key", window = "5m" }

[steps.call]
url = "https://sqs.us-east-1.amazonaws.com/"
auth = { aws = "sqs", region = "us-east-1" }
headers = { x-amz-target = "AmazonSQS.SendMessage", content-type = "application/x-amz-json-1.0" }
timeout = "1s"
receipt = { message = "{{ response.json.MessageId }}" }

[steps.call.json]
QueueUrl = "https://sqs.us-east-1.amazonaws.com/123456789012/disputes.fifo"
MessageGroupId = "{{ business_key }}"
MessageDeduplicationId = "{{ idempotency_key }}"
MessageBody = "{{ input | tojson }}"
"#;

async fn stack(steps: &'static str) -> Result<Stack> {
    stack_with(|config| {
        config.table().insert("steps".into(), toml::Value::Array(Vec::new()));
        add_steps(config, steps);
    })
    .await
}

#[tokio::test]
async fn an_event_is_put_on_a_bus_by_a_signed_call() -> Story {
    let stack = stack(EVENT).await?;
    let put = json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "11710aed" }] });
    stack.third_party.always("/", Behaviour::answer(Answer::of_json(200, &put)).after_applying());
    let webhook = dispute()?.edited(|event| event["data"]["object"]["reason"] = "\"a\", \"b\": \\".into());
    deliver(&stack, &webhook).await?;
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    let [call] = ledger.attempts() else { panic!("{:?}", ledger.attempts()) };
    assert_eq!(call.check_aws_signature("events", "local"), Ok(()));
    assert!(call.check_aws_signature("events", "another").is_err());
    assert_eq!(call.headers["content-type"], "application/x-amz-json-1.1");
    let entry = serde_json::from_slice::<Value>(&call.bytes)?["Entries"][0].clone();
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap_or_default())?;
    assert_eq!(detail["dispute"]["reason"], "\"a\", \"b\": \\", "a value can't break out of the JSON");
    let effect = only_effect(&stack).await?;
    assert_eq!((effect.is_done(), call.key.as_deref()), (true, detail["id"].as_str()));
    Ok(stack.finish().await?)
}

/// EventBridge responds 200 even to a failure.
#[tokio::test]
async fn an_event_that_the_bus_does_not_take_is_parked() -> Story {
    let stack = stack(EVENT).await?;
    let failed = json!({ "FailedEntryCount": 1, "Entries": [{ "ErrorCode": "MalformedDetail" }] });
    stack.third_party.always("/", Behaviour::answer(Answer::of_json(200, &failed)));
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert!(only_effect(&stack).await?.is_parked());
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_message_that_is_sent_twice_has_one_deduplication_id() -> Story {
    let stack = stack(MESSAGE).await?;
    stack.third_party.script("/", [Behaviour::hang().after_applying()]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    let [first, second] = ledger.attempts() else { panic!("{:?}", ledger.attempts()) };
    let id = |call: &local::third_party::Call| {
        let body: Value = serde_json::from_slice(&call.bytes).unwrap_or_default();
        body["MessageDeduplicationId"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!((id(first), id(first)), (id(second), first.key.clone().unwrap_or_default()));
    for call in [first, second] {
        assert_eq!(call.check_aws_signature("sqs", "local"), Ok(()));
    }
    assert!(only_effect(&stack).await?.is_done());
    Ok(stack.finish().await?)
}
