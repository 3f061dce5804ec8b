//! First tries without the SDK, at a listener that records what arrives and answers from a script.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    clients::{self, Patience},
    effects::{
        attributes::count,
        record::{AttemptEnd, History},
    },
};

/// A request, as it arrived.
#[derive(Debug, Clone)]
struct Arrived {
    headers: BTreeMap<String, String>,
    body: String,
}

impl Arrived {
    fn is_of_sdk(&self) -> bool {
        self.headers.contains_key("amz-sdk-request")
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What is answered.
#[derive(Debug, Clone)]
enum Reply {
    Json(u16, Value),
    /// The connection is closed.
    None,
}

#[derive(Debug, Clone, Default)]
struct Script {
    arrived: Arc<Mutex<Vec<Arrived>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
}

impl Script {
    /// A listener that gives these replies, and after them `{}` with 200. One write has gone through the SDK
    /// already.
    async fn start(replies: Vec<Reply>) -> (Store, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (script, url) = (Self::default(), format!("http://{}", listener.local_addr().unwrap()));
        let served = script.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(served.clone().serve(connection));
            }
        });
        let store = store(&url, None).await;
        put(&store).await.unwrap();
        assert!(script.take()[0].is_of_sdk(), "until then it is not known where DynamoDB is");
        script.replies.lock().unwrap().extend(replies);
        (store, script)
    }

    async fn serve(self, mut connection: TcpStream) -> Option<()> {
        let mut bytes = Vec::new();
        loop {
            let head = loop {
                if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                    break String::from_utf8(bytes.drain(..end + 4).collect()).ok()?;
                }
                (connection.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
            };
            let header = |line: &str| {
                line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            };
            let headers: BTreeMap<_, _> = head.lines().filter_map(header).collect();
            let length: usize = headers["content-length"].parse().ok()?;
            while bytes.len() < length {
                (connection.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
            }
            let body = String::from_utf8(bytes.drain(..length).collect()).ok()?;
            self.arrived.lock().unwrap().push(Arrived { headers, body });
            let reply = self.replies.lock().unwrap().pop_front();
            let Reply::Json(status, body) = reply.unwrap_or(Reply::Json(200, json!({}))) else { return None };
            let body = body.to_string();
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            connection.write_all(answer.as_bytes()).await.ok()?;
        }
    }

    /// What has arrived since the last call.
    fn take(&self) -> Vec<Arrived> {
        std::mem::take(&mut *self.arrived.lock().unwrap())
    }
}

async fn store(url: &str, expiry: Option<SystemTime>) -> Store {
    let http = clients::http(&|_| None).unwrap();
    let credentials = Credentials::new("AKID", "secret", Some("token".to_owned()), expiry, "tests");
    let aws = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(url)
        .retry_config(RetryConfig::standard().with_max_attempts(4))
        .build();
    let (client, direct) = Direct::beside(&aws, http, Patience::CONSUMER, Timestamp::now).await;
    let store = Store::new(|| client, "effects".to_owned(), Duration::ZERO);
    Store { direct: direct.map(Arc::new), ..store }
}

fn unless_there() -> Condition<'static> {
    Condition {
        expression: "attribute_not_exists(#effect_id)",
        names: &[attr::EFFECT_ID],
        values: Vec::new(),
    }
}

async fn put(store: &Store) -> Result<Write, StoreError> {
    let text = "\"quoted\" \\ \u{7}\u{8}\u{c}\n\r\t\u{1f} / <é> \u{2028} 𝄞";
    let item = [(attr::RUN_ID, string("r")), (attr::EFFECT_ID, string(text)), (attr::ATTEMPT, count(7))];
    let item = item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    store.put(item, unless_there()).await
}

/// A change and a condition that both name one attribute.
fn change() -> (Change, Condition<'static>) {
    let ended = AttemptEnd::new(1, Timestamp::UNIX_EPOCH, "done");
    let change = Change::default()
        .set(attr::STATUS, string("done"))
        .set_once(attr::DOUBT, string("why"))
        .set("is_so", AttributeValue::Bool(true))
        .remove(&[attr::LANE, attr::DUE_AT]);
    let condition = Condition {
        expression: "#attempt_id = :mine AND #status = :in_progress",
        names: &[attr::ATTEMPT_ID, attr::STATUS],
        values: vec![("mine", string("id")), ("in_progress", string("in_progress"))],
    };
    (History::default().with(ended).write(change), condition)
}

async fn update(store: &Store) -> Result<Write, StoreError> {
    let (change, condition) = change();
    store.update(("r", "e"), change, condition).await
}

async fn update_only(store: &Store) -> Result<Write, StoreError> {
    let (change, condition) = change();
    store.update_only(("r", "e"), change, condition).await
}

fn without_direct(store: &Store) -> Store {
    Store { direct: None, ..store.clone() }
}

/// The headers that only the SDK sends.
const OF_SDK: [&str; 3] = ["amz-sdk-invocation-id", "amz-sdk-request", "x-amz-user-agent"];
/// The headers whose values differ between the SDK's request and ours.
const OWN: [&str; 3] = ["authorization", "user-agent", "x-amz-date"];

#[tokio::test]
async fn a_first_try_is_what_the_sdk_would_send() {
    let (store, script) = Script::start(Vec::new()).await;
    let sdk = without_direct(&store);
    for of in [&store, &sdk] {
        put(of).await.unwrap();
        update(of).await.unwrap();
        update_only(of).await.unwrap();
    }
    let arrived = script.take();
    assert_eq!(arrived.len(), 6);
    for (ours, theirs) in arrived.iter().zip(&arrived[3..]) {
        assert!(!ours.is_of_sdk() && theirs.is_of_sdk());
        // The SDK writes maps in any order.
        assert_eq!((ours.json(), ours.body.len()), (theirs.json(), theirs.body.len()));
        let mut same = theirs.headers.clone();
        OF_SDK.iter().for_each(|name| drop(same.remove(*name)));
        assert!(ours.headers.keys().eq(same.keys()), "{:?} {same:?}", ours.headers);
        for (name, value) in &ours.headers {
            assert!(OWN.contains(&name.as_str()) || same[name] == *value, "{name}");
        }
        let scope =
            |arrived: &Arrived| arrived.headers["authorization"].split(", ").next().unwrap().to_owned();
        assert_eq!(scope(ours), scope(theirs));
    }
}

fn refusal(item: &Value) -> Reply {
    let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
    Reply::Json(400, json!({ "__type": kind, "message": "The conditional request failed", "Item": item }))
}

#[tokio::test]
async fn answers_are_read_as_the_sdk_reads_them() {
    let nested = json!({ "L": [{ "M": { "at": { "N": "7" }, "is": { "BOOL": true } } }] });
    let item = json!({ "a": { "S": "\u{7}é\"" }, "b": { "N": "1" }, "c": nested });
    let updated = Reply::Json(200, json!({ "Attributes": item }));
    let replies = [refusal(&item), refusal(&json!({})), updated];
    let (store, script) = Script::start([replies.clone(), replies].concat()).await;
    for of in [&store, &without_direct(&store)] {
        let Write::Refused(refused) = put(of).await.unwrap() else { panic!("it was refused") };
        assert_eq!(refused["a"], string("\u{7}é\""));
        assert_eq!(refused["b"], count(1));
        let inner = refused["c"].as_l().unwrap()[0].as_m().unwrap();
        assert_eq!((&inner["at"], &inner["is"]), (&count(7), &AttributeValue::Bool(true)));
        assert!(matches!(update(of).await.unwrap(), Write::Refused(item) if item.is_empty()));
        assert!(matches!(update(of).await.unwrap(), Write::Applied(item) if item == refused));
    }
    assert_eq!(script.take().iter().filter(|arrived| arrived.is_of_sdk()).count(), 3);
}

#[tokio::test]
async fn an_item_that_only_the_sdk_can_read_is_read_by_it() {
    let refusal = refusal(&json!({ "a": { "B": "AAEC" } }));
    let (store, script) = Script::start(vec![refusal.clone(), refusal]).await;
    let Write::Refused(item) = put(&store).await.unwrap() else { panic!("it was refused") };
    assert_eq!(item["a"].as_b().unwrap().as_ref(), [0, 1, 2]);
    assert!(script.take()[1].is_of_sdk());
}

fn problem(status: u16, kind: &str) -> Reply {
    Reply::Json(
        status,
        json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{kind}"), "message": "m" }),
    )
}

#[tokio::test]
async fn after_a_passing_trouble_the_sdk_makes_the_other_tries() {
    let troubles = [
        problem(500, "InternalServerError"),
        problem(400, "ThrottlingException"),
        Reply::Json(503, json!("x")),
        Reply::None,
    ];
    for trouble in troubles {
        let (store, script) = Script::start(vec![trouble.clone()]).await;
        put(&store).await.unwrap();
        let arrived = script.take();
        assert_eq!(arrived.len(), 2, "{trouble:?}");
        assert_eq!(arrived[1].headers["amz-sdk-request"], "attempt=1; max=3");
        assert_eq!(arrived[0].json(), arrived[1].json());
        put(&store).await.unwrap();
        assert!(!script.take()[0].is_of_sdk(), "it has passed");
    }
}

#[tokio::test]
async fn four_tries_are_made_in_all() {
    let (store, script) = Script::start(vec![problem(500, "InternalServerError"); 5]).await;
    assert!(matches!(
        update_only(&store).await,
        Err(StoreError::Unavailable { operation: "UpdateItem", .. })
    ));
    assert_eq!(script.take().len(), 4);
}

#[tokio::test]
async fn an_answer_that_only_the_sdk_can_deal_with_ends_first_tries() {
    let wrong_clock = problem(400, "InvalidSignatureException");
    let (store, script) = Script::start(vec![wrong_clock]).await;
    put(&store).await.unwrap();
    update(&store).await.unwrap();
    let by_sdk: Vec<_> = script.take().iter().map(Arrived::is_of_sdk).collect();
    assert_eq!(by_sdk, [false, true, true]);
}

#[tokio::test]
async fn credentials_that_expire_are_left_to_the_sdk() {
    let store = store("http://127.0.0.1:1", Some(SystemTime::now())).await;
    assert!(store.direct.is_none());
}
