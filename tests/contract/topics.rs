//! Topics: listing and creating them.

use serde_json::{Value, json};

use super::broker::Broker;

fn created(name: &str, partitions: u32) -> String {
    format!(r#"{{"status":"created","name":"{name}","partitions":{partitions}}}"#)
}

/// Transcript 01.
#[tokio::test]
async fn names_are_listed_as_strings_and_sorted() {
    let broker = Broker::any().await;
    let mut ours: Vec<String> = Vec::new();
    for _ in 0..4 {
        ours.push(broker.topic(1).await.name);
    }
    let list = broker.wire.get("/v1/topics").await;
    assert_eq!((list.status, list.header("content-type")), (200, Some("application/json; charset=utf-8")));
    let list: Value = serde_json::from_str(&list.body).unwrap();
    let list: Vec<&str> =
        list["topics"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(list.is_sorted());
    assert!(ours.iter().all(|name| list.contains(&name.as_str())));
}

/// Transcript 01.
#[tokio::test]
async fn an_empty_broker_lists_none() {
    let Some(broker) = Broker::own("needs an empty broker").await else { return };
    broker.wire.get("/v1/topics").await.is(200, r#"{"topics":[]}"#);
}

/// Transcript 01: in JSON or by query, and a body wins over a query; one partition where none is asked for.
#[tokio::test]
async fn a_topic_is_created_in_json_or_by_query() {
    let broker = Broker::any().await;
    let name = Broker::name();
    let post = async |path: String, body: Value| broker.wire.post(&path, &body.to_string()).await;
    post("/v1/topics".into(), json!({ "name": name, "partitions": 3 })).await.is(201, &created(&name, 3));
    for partitions in [json!({}), json!({ "partitions": 0 }), json!({ "partitions": null })] {
        let (name, mut body) = (Broker::name(), partitions);
        body["name"] = name.as_str().into();
        post("/v1/topics".into(), body).await.is(201, &created(&name, 1));
    }
    let name = Broker::name();
    let query = format!("/v1/topics?name={name}&partitions=2");
    broker.wire.post(&query, "").await.is(201, &created(&name, 2));
    let other = Broker::name();
    post(query, json!({ "name": other })).await.is(201, &created(&other, 1));
}

/// Transcript 01: always 201, with the count that was asked for, though the topic keeps the one it has.
#[tokio::test]
async fn creating_is_idempotent_and_echoes_what_was_asked_for() {
    let broker = Broker::any().await;
    let topic = broker.topic(3).await;
    for partitions in [3, 7] {
        let body = json!({ "name": topic.name, "partitions": partitions }).to_string();
        broker.wire.post("/v1/topics", &body).await.is(201, &created(&topic.name, partitions));
    }
    let fifth = json!({ "value": "x", "envelope": { "partition_override": 5 } });
    topic.produce(fifth).await.refuses("partition_override out of range");
}

/// Transcript 01: blanks around a name are trimmed, what is in it is not looked at, nor what follows the JSON.
#[tokio::test]
async fn odd_names_are_accepted() {
    let broker = Broker::any().await;
    let name = format!("{} sp ace/../x", Broker::name());
    let body = json!({ "name": format!("  {name}  ") });
    broker.wire.post("/v1/topics", &body.to_string()).await.is(201, &created(&name, 1));
    let name = Broker::name();
    let body = format!(r#"{{"name":"{name}"}} trailing"#);
    broker.wire.post("/v1/topics", &body).await.is(201, &created(&name, 1));
}

/// Transcript 01.
#[tokio::test]
async fn what_is_no_topic_is_refused() {
    let broker = Broker::any().await;
    let cases = [
        ("", "", "name is required"),
        ("", r#"{"name":""}"#, "name is required"),
        ("", r#"{"name":"z","partitions":-1}"#, "invalid partitions"),
        ("?name=q&partitions=x", "", "invalid partitions"),
        ("?name=q&partitions=-2", "", "invalid partitions"),
        ("", r#"{"name":"y","foo":1}"#, r#"invalid json body: json: unknown field \"foo\""#),
        ("", "{bad", "invalid json body: invalid character 'b' looking for beginning of object key string"),
        (
            "",
            r#"{"name":"y","partitions":"3"}"#,
            "invalid json body: json: cannot unmarshal string into Go struct field TopicsCreateRequest.partitions of type int",
        ),
    ];
    for (query, body, message) in cases {
        broker.wire.post(&format!("/v1/topics{query}"), body).await.refuses(message);
    }
}
