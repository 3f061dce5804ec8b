use std::time::Duration;

use serde_json::{Value, json};

use super::{Behaviour, Fate, ThirdParty};
use crate::{
    http::{Answer, client},
    server::ANY_PORT,
};

async fn post(party: &ThirdParty, key: &str, content_type: &str, body: &str) -> Option<Answer> {
    let request = client().unwrap().post(format!("{}/t", party.url())).header("content-type", content_type);
    let request = request.header("idempotency-key", key).timeout(Duration::from_millis(300));
    Answer::read(request.body(body.to_owned()).send().await.ok()?).await.ok()
}

async fn call(party: &ThirdParty, key: &str) -> Option<Answer> {
    post(party, key, "application/json", "{}").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_applied_once_and_its_receipt_given_again() {
    let party = ThirdParty::start(ANY_PORT).await.unwrap();
    for (key, id) in [("a", "tp_1"), ("b", "tp_2"), ("a", "tp_1")] {
        assert_eq!(call(&party, key).await.unwrap().json(), json!({ "id": id, "ok": true }));
    }
    let ledger = party.ledger();
    assert_eq!((ledger.attempts().len(), ledger.applied().len(), ledger.deduped().len()), (3, 2, 1));
    assert_eq!(ledger.applied_by_key().into_iter().collect::<Vec<_>>(), [("a".into(), 1), ("b".into(), 1)]);
    assert_eq!(ledger.attempts()[2].fate, Fate::Deduped { receipt: "tp_1".into() });
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_forgets_keys_applies_twice() {
    let party = ThirdParty::start(ANY_PORT).await.unwrap();
    party.forget_keys("/t");
    for id in ["tp_1", "tp_2"] {
        assert_eq!(call(&party, "a").await.unwrap().json(), json!({ "id": id, "ok": true }));
    }
    assert_eq!(party.ledger().applied_by_key()["a"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_knows_what_was_applied() {
    let party = ThirdParty::start(ANY_PORT).await.unwrap();
    party.always("/by-key", Behaviour::look_up());
    party.script("/t", [Behaviour::refuse(500), Behaviour::refuse(500).after_applying()]);
    let ask = async || {
        let asked = client().unwrap().get(format!("{}/by-key?key=a", party.url())).send().await;
        Answer::read(asked.unwrap()).await.unwrap()
    };
    call(&party, "a").await.unwrap();
    assert_eq!(ask().await.status, 404);
    call(&party, "a").await.unwrap();
    assert_eq!(ask().await.json(), json!({ "id": "tp_1" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_followed_and_then_over() {
    let party = ThirdParty::start(ANY_PORT).await.unwrap();
    party.script(
        "/t",
        [
            Behaviour::too_many("7"),
            Behaviour::cut(),
            Behaviour::hang(),
            Behaviour::redirect("/elsewhere"),
            Behaviour::cut().after_applying(),
        ],
    );
    assert_eq!(call(&party, "a").await.unwrap().header("retry-after"), Some("7"));
    assert!(call(&party, "a").await.is_none());
    assert!(call(&party, "a").await.is_none());
    assert_eq!(call(&party, "a").await.unwrap().status, 307);
    assert!(party.ledger().applied().is_empty());
    assert!(call(&party, "a").await.is_none());
    assert_eq!(party.ledger().applied().len(), 1);
    assert_eq!(call(&party, "a").await.unwrap().json(), json!({ "id": "tp_1", "ok": true }));
    let ledger = party.until(Duration::from_secs(1), |ledger| ledger.attempts().len() == 6).await.unwrap();
    assert_eq!(ledger.deduped().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_read_as_its_fields() {
    let party = ThirdParty::start(ANY_PORT).await.unwrap();
    post(&party, "a", "application/x-www-form-urlencoded", "amount=5&metadata%5Binvoice%5D=i+1")
        .await
        .unwrap();
    assert_eq!(party.ledger().applied()[0].body, json!({ "amount": "5", "metadata[invoice]": "i 1" }));
    post(&party, "b", "text/plain", "hi").await.unwrap();
    assert_eq!(party.ledger().applied()[1].body, Value::from("hi"));
}
