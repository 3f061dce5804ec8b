//! `webhooks broker` as a process that is started, stopped and killed.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use local::http::client_for;
use reqwest::{Method, Response};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);

struct Process {
    child: Child,
    url: String,
}

/// A command of the newer generation.
fn newer(addr: &str, wal: &Path) -> Command {
    let mut command = command(addr, wal);
    command.args(["--profile", "g3", "--max-inflight", "7"]);
    command
}

fn command(addr: &str, wal: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_webhooks"));
    command.args(["broker", "--addr", addr, "--wal"]).arg(wal).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Process {
    async fn start(addr: &str, wal: &Path) -> Self {
        Self::of(command(addr, wal)).await
    }

    async fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines().next_line().await.unwrap();
        let url = said.unwrap().split_whitespace().last().unwrap().to_owned();
        Self { child, url }
    }

    fn addr(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    async fn call(&self, method: Method, path: &str) -> Response {
        let client = client_for(&self.url).unwrap();
        client.request(method, format!("{}{path}", self.url)).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> String {
        self.call(Method::GET, path).await.text().await.unwrap()
    }

    async fn post(&self, path: &str) -> u16 {
        self.call(Method::POST, path).await.status().as_u16()
    }

    async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().await.unwrap().success());
    }

    /// Waits for its end, and gives the exit code and how long that took.
    async fn end(mut self) -> (Option<i32>, Duration) {
        let since = Instant::now();
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        (status.code(), since.elapsed())
    }
}

#[tokio::test]
async fn killed_and_started_again_it_has_what_it_answered() {
    let dir = tempfile::tempdir().unwrap();
    let wal = dir.path().join("broker.wal");
    let mut broker = Process::start("127.0.0.1:0", &wal).await;
    assert_eq!(broker.post("/v1/topics?name=kept").await, 201);
    assert_eq!(broker.post("/v1/produce?topic=kept&value=v").await, 200);
    broker.child.kill().await.unwrap();
    let again = Process::start(&broker.addr(), &wal).await;
    let topics = again.get("/v1/topics").await;
    assert_eq!(topics.trim(), r#"{"topics":["kept"]}"#);
}

#[tokio::test]
async fn the_newer_generation_has_its_limits_and_keeps_empty_topics() {
    let dir = tempfile::tempdir().unwrap();
    let wal = dir.path().join("broker.wal");
    let mut broker = Process::of(newer("127.0.0.1:0", &wal)).await;
    let config = broker.get("/v1/config").await;
    assert!(config.contains(r#""max_inflight":7,"max_partition_bytes":4194304"#), "{config}");
    assert_eq!(broker.post("/v1/topics?name=empty&partitions=2").await, 201);
    broker.child.kill().await.unwrap();
    let again = Process::of(newer(&broker.addr(), &wal)).await;
    assert_eq!(again.get("/v1/topics").await.trim(), r#"{"topics":["empty"]}"#);
    assert_eq!(again.post("/v1/produce?topic=empty&value=v&partition_override=1").await, 200);
}

#[tokio::test]
async fn a_generation_refuses_the_log_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = ["g0.wal", "g3.wal"].map(|name| dir.path().join(name));
    for command in [command("127.0.0.1:0", &first), newer("127.0.0.1:0", &second)] {
        let mut broker = Process::of(command).await;
        assert_eq!(broker.post("/v1/topics?name=t").await, 201);
        assert_eq!(broker.post("/v1/produce?topic=t&value=v").await, 200);
        broker.child.kill().await.unwrap();
    }
    refuses(newer("127.0.0.1:0", &first), "unexpected offset 0 in partition 0 of topic t").await;
    refuses(command("127.0.0.1:0", &second), "is of another generation's broker").await;
}

#[tokio::test]
async fn sigterm_ends_it_at_once_and_after_five_seconds_if_a_stream_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Process::start("127.0.0.1:0", &dir.path().join("idle.wal")).await;
    broker.signal("-TERM").await;
    let (code, took) = broker.end().await;
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(3), "{took:?}");

    let broker = Process::start("127.0.0.1:0", &dir.path().join("busy.wal")).await;
    assert_eq!(broker.post("/v1/topics?name=t").await, 201);
    assert_eq!(broker.post("/v1/produce?topic=t&value=v").await, 200);
    let stream = broker.call(Method::GET, "/v1/consume?topic=t&group=g&owner=o").await;
    assert_eq!(stream.status(), 200);
    broker.signal("-TERM").await;
    let (code, took) = broker.end().await;
    assert_eq!(code, Some(0));
    assert!(took > Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn it_ends_with_its_standard_input_if_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let mut asked = command("127.0.0.1:0", &dir.path().join("broker.wal"));
    asked.arg("--until-stdin-ends");
    let mut broker = Process::of(asked).await;
    drop(broker.child.stdin.take());
    assert_eq!(broker.end().await.0, Some(0));
}

#[tokio::test]
async fn a_torn_log_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let wal = dir.path().join("torn.wal");
    std::fs::write(&wal, r#"{"type":"#).unwrap();
    refuses(command("127.0.0.1:0", &wal), "failed to replay WAL").await;
}

/// It does not start, and says why.
async fn refuses(mut command: Command, why: &str) {
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
    assert_eq!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().code(), Some(1));
    assert!(said.contains(why), "{said}");
}
