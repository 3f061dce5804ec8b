//! A consume stream, line by line.

use std::time::Duration;

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::wire::{PATIENCE, chunk, head};

/// What a consumer reads of a message.
#[derive(Debug, Deserialize)]
pub(super) struct Delivery {
    pub(super) partition: u64,
    pub(super) offset: u64,
    pub(super) attempts: u64,
    pub(super) value: String,
    pub(super) last_error: String,
    /// The line as it came.
    #[serde(skip)]
    pub(super) line: String,
}

/// An open consume request.
pub(super) struct Stream {
    connection: BufReader<TcpStream>,
    head: Option<String>,
    body: Vec<u8>,
}

impl Stream {
    pub(super) fn on(connection: TcpStream) -> Self {
        Self { connection: BufReader::new(connection), head: None, body: Vec::new() }
    }

    /// The status line and the headers, which come with the first message.
    pub(super) async fn head(&mut self) -> std::io::Result<&str> {
        if self.head.is_none() {
            self.head = Some(head(&mut self.connection).await?);
        }
        Ok(self.head.as_deref().unwrap_or_default())
    }

    async fn line(&mut self) -> std::io::Result<Option<String>> {
        self.head().await?;
        loop {
            if let Some(end) = self.body.iter().position(|byte| *byte == b'\n') {
                let line = self.body.drain(..=end).collect();
                return Ok(Some(String::from_utf8(line).expect("UTF-8")));
            }
            match chunk(&mut self.connection).await? {
                Some(chunk) => self.body.extend(chunk),
                None => return Ok(None),
            }
        }
    }

    /// The next message, or `None` if the stream has ended.
    pub(super) async fn next_or_end(&mut self) -> Option<Delivery> {
        let line = timeout(PATIENCE, self.line()).await.expect("a message in time").ok()??;
        let delivery = serde_json::from_str(&line).expect("a message");
        Some(Delivery { line: line.trim_end().to_owned(), ..delivery })
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Delivery {
        self.next_or_end().await.expect("an open stream")
    }

    /// The next `count` messages, sorted by partition and offset: their order is not promised.
    pub(super) async fn take(&mut self, count: usize) -> Vec<Delivery> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            taken.push(self.next().await);
        }
        taken.sort_by_key(|delivery| (delivery.partition, delivery.offset));
        taken
    }

    /// The offsets of the next `count` messages, ascending.
    pub(super) async fn offsets(&mut self, count: usize) -> Vec<u64> {
        self.take(count).await.iter().map(|delivery| delivery.offset).collect()
    }

    /// Whether no byte arrives for this time and the stream stays open.
    pub(super) async fn is_silent_for(&mut self, ms: u64) -> bool {
        let silence = timeout(Duration::from_millis(ms), self.connection.fill_buf()).await;
        self.body.is_empty() && silence.is_err()
    }

    /// Waits until the broker has closed the connection.
    pub(super) async fn read_to_end(&mut self) {
        let end = self.connection.read_to_end(&mut self.body);
        timeout(PATIENCE, end).await.expect("an end in time").unwrap();
    }

    /// Closes the connection, and waits until the broker has: from then on the stream is given nothing.
    pub(super) async fn close(mut self) {
        self.connection.get_mut().shutdown().await.unwrap();
        self.read_to_end().await;
        // A broker may forget the stream a moment after it has closed the connection.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
