//! Topics: listing and creating them.

use serde_json::{Value, json};

use super::broker::Broker;

cases! {
    both: [
        names_are_listed_as_strings_and_sorted,
        an_empty_broker_lists_none,
        a_topic_is_created_in_json_or_by_query,
        odd_names_are_accepted,
        what_is_no_topic_is_refused,
    ],
    g0: [creating_is_idempotent_and_echoes_what_was_asked_for],
    g3: [creating_what_exists_is_refused],
}

fn created(name: &str, partitions: u32) -> String {
    format!(r#"{{"status":"created","name":"{name}","partitions":{partitions}}}"#)
}

async fn names_are_listed_as_strings_and_sorted(broker: Broker) {
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

async fn an_empty_broker_lists_none(broker: Broker) {
    let Some(broker) = broker.ours("needs an empty broker") else { return };
    broker.wire.get("/v1/topics").await.is(200, r#"{"topics":[]}"#);
}

/// In JSON or by query; a body takes precedence over a query. Without a count, a topic has one partition.
async fn a_topic_is_created_in_json_or_by_query(broker: Broker) {
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

/// The answer is always 201 with the requested count, although an existing topic keeps its own.
async fn creating_is_idempotent_and_echoes_what_was_asked_for(broker: Broker) {
    let topic = broker.topic(3).await;
    for partitions in [3, 7] {
        let body = json!({ "name": topic.name, "partitions": partitions }).to_string();
        broker.wire.post("/v1/topics", &body).await.is(201, &created(&topic.name, partitions));
    }
    let fifth = json!({ "value": "x", "envelope": { "partition_override": 5 } });
    topic.produce(fifth).await.refuses("partition_override out of range");
}

/// An existing topic is refused whatever count is requested. Of four requests that create one topic at once,
/// three are refused.
async fn creating_what_exists_is_refused(broker: Broker) {
    let topic = broker.topic(3).await;
    for partitions in [3, 7] {
        let body = json!({ "name": topic.name, "partitions": partitions }).to_string();
        let exists = format!("topic already exists: {}", topic.name);
        broker.wire.post("/v1/topics", &body).await.refuses(&exists);
    }
    let name = Broker::name();
    let body = json!({ "name": name }).to_string();
    let create = || broker.wire.post("/v1/topics", &body);
    let (a, b, c, d) = tokio::join!(create(), create(), create(), create());
    let mut statuses = [a, b, c, d].map(|reply| reply.status);
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 400, 400, 400]);
}

/// Blanks around a name are trimmed. The characters of the name are not checked, and neither is text after
/// the JSON.
async fn odd_names_are_accepted(broker: Broker) {
    let name = format!("{} sp ace/../x", Broker::name());
    let body = json!({ "name": format!("  {name}  ") });
    broker.wire.post("/v1/topics", &body.to_string()).await.is(201, &created(&name, 1));
    let name = Broker::name();
    let body = format!(r#"{{"name":"{name}"}} trailing"#);
    broker.wire.post("/v1/topics", &body).await.is(201, &created(&name, 1));
}

async fn what_is_no_topic_is_refused(broker: Broker) {
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
