//! Both functions check the age of their secrets: a secret or a token that has been revoked must not be
//! accepted for ever.

use serde_json::json;

use super::*;
use crate::{
    clients::Patience,
    config::environment::Operators,
    consumer::{Consumer, call::Caller},
    effects::Table,
    ingest::{Ingest, event::Event, fetch::Fetch, keys::KeyMaker, outbox::Outbox, wake::WakeUps},
    third_parties::ThirdParties,
    topics::Topics,
};

/// `{}`, signed as GitHub signs with the secret `old`.
const SIGNATURE: &str = "sha256=419f84c3dfb1dabfe377f5a34859584b8faa83144c2a3b2b72a8c4ded4e293a6";

fn stores(manager: &SecretsManager) -> (Topics, Table) {
    let topics = Topics::of_commands(&http(), &environment(), &Secrets::default()).unwrap();
    let client = clients::dynamodb(&aws(manager), Patience::INGEST);
    (topics, Table::open(client, "effects".to_owned(), std::time::Duration::from_secs(1)))
}

fn webhook() -> Event {
    let event = json!({
        "version": "2.0", "requestContext": { "http": { "method": "POST" } }, "rawPath": "/webhooks/hub",
        "rawQueryString": "", "headers": { "x-hub-signature-256": SIGNATURE }, "body": "{}", "isBase64Encoded": false,
    });
    serde_json::from_value(event).unwrap()
}

#[tokio::test]
async fn ingest_refuses_a_revoked_secret_in_time() {
    let manager = SecretsManager::start(&values("old")).await.unwrap();
    let (topics, table) = stores(&manager);
    let config = Config::parse("toml", "[sources.hub]\nscheme = \"github\"\nsecrets = [\"A\"]").unwrap();
    let maker = KeyMaker::new(config.sources.clone());
    let make = move |secrets: &Secrets| maker.make(secrets);
    let keys = Current::start(store(&manager, &["A"]), START, make).await.unwrap();
    let ingest = Ingest::new(
        config,
        keys,
        Fetch::new(http(), None),
        Outbox { topics, agenda: table.agenda(), large_inputs: table.large_inputs(), journal: None },
        &table,
        WakeUps::new(None, Timestamp::now),
        Operators::Authenticated,
    );
    manager.put_all(&values("new"));
    for (second, status) in [(0, 200), (300, 200), (301, 401), (302, 401)] {
        let reply = serde_json::to_value(ingest.answer(webhook(), None, after(second)).await).unwrap();
        assert_eq!(reply["statusCode"], status, "at {second} s");
    }
    assert_eq!(manager.fetches(), 2);
}

#[tokio::test]
async fn a_secret_that_is_no_key_of_its_scheme_disables_one_source_and_only_if_it_never_had_one() {
    let manager = SecretsManager::start(&values("whsec_!")).await.unwrap();
    let text = "[sources.one]\nscheme = \"standard-webhooks\"\nsecrets = [\"A\"]\n\
                [sources.other]\nscheme = \"github\"\nsecrets = [\"A\"]";
    let sources = Config::parse("toml", text).unwrap().sources;
    let [one, other] = ["one", "other"].map(|name| sources[name].clone());
    let maker = KeyMaker::new(sources);
    let make = move |secrets: &Secrets| maker.make(secrets);
    let keys = Current::start(store(&manager, &["A"]), START, make).await.unwrap();
    assert_eq!(
        keys.get().of(&one).unwrap_err().to_string(),
        "secret A is not base64 after its whsec_; copy it whole from the provider"
    );
    assert_eq!(keys.get().of(&other).unwrap().len(), 1);
    for (value, second) in [("whsec_b2xk", 61), ("whsec_?", 122)] {
        manager.put_all(&values(value));
        assert!(keys.other_than(&keys.get(), after(second)).await.is_some());
        assert_eq!(keys.get().of(&one).unwrap().len(), 1, "{value}");
    }
}

#[tokio::test]
async fn the_consumer_reads_its_tokens_again_when_an_invocation_begins() {
    let manager = SecretsManager::start(&values("old")).await.unwrap();
    for (clock, fetches) in [((|| after(300)) as fn() -> Timestamp, 0), (|| after(301), 1)] {
        let (topics, table) = stores(&manager);
        let make = |secrets: &Secrets| Ok(secrets.clone());
        let tokens = Current::start(store(&manager, &["A"]), START, make).await.unwrap();
        manager.proxy.forget();
        let config = Config::parse("toml", "").unwrap();
        let caller = Caller::new(ThirdParties::new(http(), &config, &|_| None).unwrap(), tokens);
        let consumer = Consumer::new(config, &environment(), &topics, table, caller, clock);
        // The run fails, since there is no table.
        consumer.run(600_000).await.unwrap_err();
        assert_eq!(manager.fetches(), fetches);
    }
}
