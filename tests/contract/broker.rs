//! The broker under test, and a topic of one's own on it.

use std::{
    env, fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    stream::Stream,
    wire::{Reply, Wire},
};

/// How often the broker looks for what is to be redelivered (transcript 07).
pub(super) const TICK: Duration = Duration::from_millis(250);

/// The broker of `DRIFTQ_HTTP_URL`, or an embedded one of one's own.
pub(super) struct Broker {
    pub(super) wire: Wire,
    own: Option<Own>,
}

struct Own {
    broker: local::broker::Broker,
    wal: Wal,
}

/// A log that goes with its test.
struct Wal(PathBuf);

impl Drop for Wal {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Broker {
    pub(super) async fn any() -> Self {
        match elsewhere() {
            Some(url) => Self { wire: Wire::to(&url), own: None },
            None => Self::embedded().await,
        }
    }

    /// A broker for a test that nobody else's broker is fit for, because that test does what `why` says.
    pub(super) async fn own(why: &str) -> Option<Self> {
        if elsewhere().is_some() {
            println!("skipped: this {why}, and the broker of DRIFTQ_HTTP_URL is not ours");
            return None;
        }
        Some(Self::embedded().await)
    }

    async fn embedded() -> Self {
        let wal = Wal(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.wal", Uuid::new_v4())));
        let broker =
            local::broker::Broker::start((Ipv4Addr::LOCALHOST, 0).into(), &wal.0, local::broker::Profile::G0)
                .await
                .unwrap();
        Self { wire: Wire::to(&broker.url()), own: Some(Own { broker, wal }) }
    }

    fn into_own(self) -> Own {
        self.own.expect("only an own broker is ended")
    }

    /// Kill -9, and start again on the same address and log. Topics keep their handles.
    pub(super) async fn restart(self) -> Self {
        let Self { wire, .. } = self;
        let Own { broker, wal } = self.own.expect("only an own broker is killed");
        let addr = broker.addr();
        broker.kill().await;
        let broker = local::broker::Broker::start(addr, &wal.0, local::broker::Profile::G0).await.unwrap();
        Self { wire, own: Some(Own { broker, wal }) }
    }

    /// SIGTERM.
    pub(super) async fn stop(self) {
        self.into_own().broker.stop().await;
    }

    /// The lines of the log, if it can be seen.
    pub(super) fn log(&self) -> Option<Vec<String>> {
        let own = self.own.as_ref()?;
        Some(fs::read_to_string(&own.wal.0).unwrap().lines().map(str::to_owned).collect())
    }

    /// A name that nobody else has.
    pub(super) fn name() -> String {
        format!("contract-{}", &Uuid::new_v4().simple().to_string()[..12])
    }

    /// A new topic with so many partitions.
    pub(super) async fn topic(&self, partitions: usize) -> Topic {
        let topic = Topic { wire: self.wire.clone(), name: Self::name() };
        let body = json!({ "name": topic.name, "partitions": partitions }).to_string();
        assert_eq!(self.wire.post("/v1/topics", &body).await.status, 201);
        topic
    }
}

fn elsewhere() -> Option<String> {
    env::var("DRIFTQ_HTTP_URL").ok().filter(|url| !url.is_empty())
}

/// A topic that only this test knows. Its group is `g` where none is named.
pub(super) struct Topic {
    pub(super) wire: Wire,
    pub(super) name: String,
}

impl Topic {
    /// The topic of its dead letters.
    pub(super) fn dead_letters(&self) -> Self {
        Self { wire: self.wire.clone(), name: format!("dlq.{}", self.name) }
    }

    /// Produces a message: the fields of the request, but for the topic.
    pub(super) async fn produce(&self, mut message: Value) -> Reply {
        message["topic"] = self.name.as_str().into();
        self.wire.post("/v1/produce", &message.to_string()).await
    }

    /// Produces one that must be taken.
    pub(super) async fn take(&self, message: Value) {
        self.produce(message).await.is(200, &format!(r#"{{"status":"produced","topic":"{}"}}"#, self.name));
    }

    /// Produces so many plain ones: `m0`, `m1` and so on, without a key and thus to partition 0.
    pub(super) async fn fill(&self, count: usize) {
        for number in 0..count {
            self.take(json!({ "value": format!("m{number}") })).await;
        }
    }

    pub(super) async fn consume(&self, owner: &str, lease_ms: u64) -> Stream {
        self.consume_in("g", owner, lease_ms).await
    }

    pub(super) async fn consume_in(&self, group: &str, owner: &str, lease_ms: u64) -> Stream {
        let name = &self.name;
        let query = format!("?topic={name}&group={group}&owner={owner}&lease_ms={lease_ms}");
        self.wire.consume(&query, "").await
    }

    /// Acks what must be ackable, in partition 0.
    pub(super) async fn ack(&self, owner: &str, offset: u64) {
        self.ack_in("g", owner, offset).await;
    }

    pub(super) async fn ack_in(&self, group: &str, owner: &str, offset: u64) {
        let fields = json!({ "group": group, "owner": owner, "partition": 0, "offset": offset });
        self.settle("ack", fields).await.is(204, "");
    }

    /// Nacks what must be nackable, in partition 0.
    pub(super) async fn nack(&self, owner: &str, offset: u64, reason: &str) {
        let fields = json!({ "owner": owner, "partition": 0, "offset": offset, "reason": reason });
        self.settle("nack", fields).await.is(204, "");
    }

    /// Acks or nacks: the fields of the request, but for the topic and the group.
    pub(super) async fn settle(&self, verb: &str, fields: Value) -> Reply {
        let mut request = json!({ "topic": self.name, "group": "g" });
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.wire.post(&format!("/v1/{verb}"), &request.to_string()).await
    }

    /// What `/metrics` says of this topic: the series, its labels but for the topic, and the value.
    pub(super) async fn metric(&self, series: &str, labels: &str) -> Option<u64> {
        metric(&self.wire, &format!("{series}{{{labels},topic=\"{}\"}}", self.name)).await
    }

    /// How many messages group `g` has in flight in partition 0.
    pub(super) async fn in_flight(&self) -> Option<u64> {
        self.metric("inflight_messages", r#"group="g",partition="0""#).await
    }
}

/// What `/metrics` says of a series with all its labels.
pub(super) async fn metric(wire: &Wire, sample: &str) -> Option<u64> {
    let text = wire.get("/metrics").await.body;
    text.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
}

/// What was due `due_ms` after `since` has just come: not before, and within a few ticks. How soon after depends
/// on where the broker is between two ticks, and on how busy this machine is.
#[track_caller]
pub(super) fn came_on_time(since: Instant, due_ms: u64) {
    let (due, took) = (Duration::from_millis(due_ms), since.elapsed());
    assert!(took + TICK > due, "{took:?}, long before {due:?}");
    assert!(took < due + 6 * TICK, "{took:?}, long after {due:?}");
}
