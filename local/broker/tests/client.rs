//! A client as raw as curl: one connection a call, and every byte of the answer.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::broker::Broker;

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A broker of one's own, its log in a folder of its own.
pub(super) struct Fixture {
    pub(super) broker: Broker,
    folder: TempDir,
}

impl Fixture {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::start(([127, 0, 0, 1], 0).into(), &folder.path().join("wal")).await.unwrap();
        Self { broker, folder }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.broker.addr()
    }

    pub(super) fn wal(&self) -> std::path::PathBuf {
        self.folder.path().join("wal")
    }

    /// Kill -9, and start again on the same address and log.
    pub(super) async fn restart(self) -> Self {
        let addr = self.addr();
        self.broker.kill().await;
        let broker = Broker::start(addr, &self.folder.path().join("wal")).await.unwrap();
        Self { broker, folder: self.folder }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        call(self.addr(), "GET", path, "").await
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> Reply {
        call(self.addr(), "POST", path, body).await
    }

    pub(super) async fn call(&self, method: &str, path: &str) -> Reply {
        call(self.addr(), method, path, "").await
    }

    pub(super) async fn topic(&self, name: &str, partitions: usize) {
        assert_eq!(
            self.post(&format!("/v1/topics?name={name}&partitions={partitions}"), "").await.status,
            201
        );
    }

    pub(super) async fn produce(&self, body: &str) {
        let reply = self.post("/v1/produce", body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    pub(super) async fn ack(&self, group: &str, owner: &str, partition: i64, offset: i64) -> Reply {
        let place = format!("topic=t&group={group}&owner={owner}&partition={partition}&offset={offset}");
        self.post(&format!("/v1/ack?{place}"), "").await
    }

    pub(super) async fn consume(&self, query: &str) -> Stream {
        Stream::open(self.addr(), query).await
    }
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

async fn call(addr: SocketAddr, method: &str, path: &str, body: &str) -> Reply {
    try_call(addr, method, path, body).await.unwrap()
}

/// A call that may fail; an answer cut short is a failure.
pub(super) async fn try_call(
    addr: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
) -> std::io::Result<Reply> {
    let mut connection = TcpStream::connect(addr).await?;
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let request = format!("{method} {path} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n{length}\r\n{body}");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, connection.read_to_string(&mut answer)).await??;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Reply { status, head: head.to_owned(), body: body.to_owned() })
}

/// An open consume request.
pub(super) struct Stream {
    connection: BufReader<TcpStream>,
}

impl Stream {
    async fn open(addr: SocketAddr, query: &str) -> Self {
        let mut connection = TcpStream::connect(addr).await.unwrap();
        let request = format!("GET /v1/consume?{query} HTTP/1.1\r\nHost: b\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        Self { connection: BufReader::new(connection) }
    }

    /// The next line of the answer, headers and chunk sizes included; `None` at its end.
    pub(super) async fn raw_line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.connection.read_line(&mut line);
        match tokio::time::timeout(PATIENCE, read).await.expect("a line within ten seconds") {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
        }
    }

    /// The next message, as the bytes it came in.
    pub(super) async fn text(&mut self) -> Option<String> {
        loop {
            let line = self.raw_line().await?;
            if line.starts_with('{') {
                return Some(line);
            }
        }
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Option<Value> {
        Some(serde_json::from_str(&self.text().await?).unwrap())
    }

    /// The offset and attempts of the next message.
    pub(super) async fn offset(&mut self) -> (i64, i64) {
        let message = self.next().await.expect("an open stream");
        (message["offset"].as_i64().unwrap(), message["attempts"].as_i64().unwrap())
    }

    /// The offsets of the next two, sorted: their order is not promised (transcript 18).
    pub(super) async fn pair(&mut self) -> [(i64, i64); 2] {
        let mut pair = [self.offset().await, self.offset().await];
        pair.sort_unstable();
        pair
    }

    /// Closes the connection, and waits until the broker has: from then on the stream is given nothing.
    pub(super) async fn close(mut self) {
        self.connection.get_mut().shutdown().await.unwrap();
        while self.raw_line().await.is_some() {}
    }

    /// Whether not a single byte arrives for so long.
    pub(super) async fn is_silent_for(&mut self, ms: u64) -> bool {
        tokio::time::timeout(Duration::from_millis(ms), self.connection.fill_buf()).await.is_err()
    }
}
