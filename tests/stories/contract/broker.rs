//! The broker under test, and unique topics on it.

use std::{
    env, fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use local::broker::Profile;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    stream::Stream,
    wire::{PATIENCE, Reply, Wire},
};

/// How early an event may seem to come: its due time is counted from when the message arrived, not from when it was sent.
const EARLY: Duration = Duration::from_millis(250);
/// How late it may be on a busy machine.
const BUSY: Duration = Duration::from_millis(1250);

/// The broker of `DRIFTQ_HTTP_URL`, or an embedded one.
pub(super) struct Broker {
    pub(super) wire: Wire,
    pub(super) profile: Profile,
    own: Option<Own>,
}

struct Own {
    broker: local::broker::Broker,
    wal: Wal,
}

/// A log that is deleted with its test.
struct Wal(PathBuf);

impl Drop for Wal {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Broker {
    /// A broker of this generation; none if the one of `DRIFTQ_HTTP_URL` is of another.
    pub(super) async fn of(generation: Profile) -> Option<Self> {
        let Some(url) = elsewhere() else { return Some(Self::embedded(generation).await) };
        let wire = Wire::to(&url);
        let config = wire.get("/v1/config").await;
        let profile = match config.status {
            200 => {
                let config: Value = serde_json::from_str(&config.body).expect("limits");
                let limit = config["max_inflight"].as_u64().expect("a limit in flight");
                Profile::G3.with_max_in_flight(limit.try_into().unwrap())
            }
            _ => Profile::G0,
        };
        if profile.name() != generation.name() {
            let (ours, theirs) = (generation.name(), profile.name());
            println!("skipped: this holds for {ours}, and the broker of DRIFTQ_HTTP_URL is {theirs}");
            return None;
        }
        Some(Self { wire, profile, own: None })
    }

    /// This broker, if it is ours: for a case that can't run on a shared broker, because it does what `why` says.
    pub(super) fn ours(self, why: &str) -> Option<Self> {
        if self.own.is_none() {
            println!("skipped: this {why}, and the broker of DRIFTQ_HTTP_URL is not ours");
            return None;
        }
        Some(self)
    }

    /// Another embedded one of the same generation.
    pub(super) async fn another(&self) -> Self {
        Self::embedded(self.profile).await
    }

    async fn embedded(profile: Profile) -> Self {
        let wal = Wal(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.wal", Uuid::new_v4())));
        let addr = (Ipv4Addr::LOCALHOST, 0).into();
        let broker = local::broker::Broker::start(addr, &wal.0, profile).await.unwrap();
        Self { wire: Wire::to(&broker.url()), profile, own: Some(Own { broker, wal }) }
    }

    fn into_own(self) -> Own {
        self.own.expect("only an own broker is ended")
    }

    /// Kills it with SIGKILL, and starts it again with the same address and log. Topics keep their handles.
    pub(super) async fn restart(self) -> Self {
        let Self { wire, profile, .. } = self;
        let Own { broker, wal } = self.own.expect("only an own broker is killed");
        let addr = broker.addr();
        broker.kill().await;
        let broker = local::broker::Broker::start(addr, &wal.0, profile).await.unwrap();
        Self { wire, profile, own: Some(Own { broker, wal }) }
    }

    /// SIGTERM.
    pub(super) async fn stop(self) {
        self.into_own().broker.stop().await;
    }

    /// The lines of the log, if it is readable.
    pub(super) fn log(&self) -> Option<Vec<String>> {
        let own = self.own.as_ref()?;
        Some(fs::read_to_string(&own.wal.0).unwrap().lines().map(str::to_owned).collect())
    }

    /// Waits until the log has the commit of that offset of partition 0, which newer generations write shortly after the ack's response.
    pub(super) async fn acks_are_on_disk(&self, topic: &Topic, offset: u64) {
        let (name, offset) = (format!("\"{}\"", topic.name), format!("\"offset\":{offset}"));
        let is_it = |line: &String| line.contains("commit") && line.contains(&name) && line.contains(&offset);
        let log = || self.log().expect("only an own broker's log is seen");
        let wait = async {
            while !log().iter().any(is_it) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the ack in the log");
    }

    /// How many messages may be in flight for a group and partition.
    pub(super) fn limit(&self) -> usize {
        self.profile.max_in_flight()
    }

    /// A unique name.
    pub(super) fn name() -> String {
        format!("contract-{}", &Uuid::new_v4().simple().to_string()[..12])
    }

    /// A new topic with so many partitions.
    pub(super) async fn topic(&self, partitions: usize) -> Topic {
        let topic = self.missing_topic();
        topic.create(partitions).await;
        topic
    }

    /// A missing topic.
    pub(super) fn missing_topic(&self) -> Topic {
        Topic { wire: self.wire.clone(), name: Self::name() }
    }

    /// Asserts that something due `due_ms` after `since` has just happened: not before, and at the next tick. How soon after depends on where
    /// the broker is between two ticks, and on the machine's load.
    #[track_caller]
    pub(super) fn came_on_time(&self, since: Instant, due_ms: u64) {
        let (due, took) = (Duration::from_millis(due_ms), since.elapsed());
        assert!(took + EARLY > due, "{took:?}, long before {due:?}");
        assert!(took < due + self.profile.tick() + BUSY, "{took:?}, long after {due:?}");
    }
}

fn elsewhere() -> Option<String> {
    env::var("DRIFTQ_HTTP_URL").ok().filter(|url| !url.is_empty())
}

/// A topic for this test only. The default group is `g`.
pub(super) struct Topic {
    pub(super) wire: Wire,
    pub(super) name: String,
}

impl Topic {
    /// Creates it.
    pub(super) async fn create(&self, partitions: usize) {
        let body = json!({ "name": self.name, "partitions": partitions }).to_string();
        assert_eq!(self.wire.post("/v1/topics", &body).await.status, 201);
    }

    /// The topic of its dead letters.
    pub(super) fn dead_letters(&self) -> Self {
        Self { wire: self.wire.clone(), name: format!("dlq.{}", self.name) }
    }

    /// Produces a message: the fields of the request, without the topic.
    pub(super) async fn produce(&self, mut message: Value) -> Reply {
        message["topic"] = self.name.as_str().into();
        self.wire.post("/v1/produce", &message.to_string()).await
    }

    /// Produces a message that must be accepted.
    pub(super) async fn take(&self, message: Value) {
        self.produce(message).await.is(200, &format!(r#"{{"status":"produced","topic":"{}"}}"#, self.name));
    }

    /// Produces this many plain messages: `m0`, `m1` and so on, without a key and so to partition 0.
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

    /// Acks a message that must be ackable, in partition 0.
    pub(super) async fn ack(&self, owner: &str, offset: u64) {
        self.ack_in("g", owner, offset).await;
    }

    pub(super) async fn ack_in(&self, group: &str, owner: &str, offset: u64) {
        let fields = json!({ "group": group, "owner": owner, "partition": 0, "offset": offset });
        self.settle("ack", fields).await.is(204, "");
    }

    /// Nacks a message that must be nackable, in partition 0.
    pub(super) async fn nack(&self, owner: &str, offset: u64, reason: &str) {
        let fields = json!({ "owner": owner, "partition": 0, "offset": offset, "reason": reason });
        self.settle("nack", fields).await.is(204, "");
    }

    /// Acks or nacks: the fields of the request, without the topic and the group.
    pub(super) async fn settle(&self, verb: &str, fields: Value) -> Reply {
        let mut request = json!({ "topic": self.name, "group": "g" });
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.wire.post(&format!("/v1/{verb}"), &request.to_string()).await
    }

    /// A metric of this topic in `/metrics`: the series, its other labels, and the value.
    pub(super) async fn metric(&self, series: &str, labels: &str) -> Option<u64> {
        metric(&self.wire, &format!("{series}{{{labels},topic=\"{}\"}}", self.name)).await
    }

    /// How many messages group `g` has in flight in partition 0.
    pub(super) async fn in_flight(&self) -> Option<u64> {
        self.metric("inflight_messages", r#"group="g",partition="0""#).await
    }
}

/// A metric in `/metrics` with all its labels.
pub(super) async fn metric(wire: &Wire, sample: &str) -> Option<u64> {
    let text = wire.get("/metrics").await.body;
    text.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
}
