//! A raw HTTP client, like curl: one connection per call, and every byte of the response.

use std::time::Duration;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};
use url::Url;

use super::stream::Stream;

/// Longer than any expected event takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// Where a broker listens.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    addr: String,
    /// What comes before `/v1` in its paths; mostly nothing.
    prefix: String,
}

impl Wire {
    /// To a base URL, with or without `/v1`.
    pub(super) fn to(url: &str) -> Self {
        let url: Url = url.parse().expect("DRIFTQ_HTTP_URL is a URL");
        assert_eq!(url.scheme(), "http", "the contract suite speaks plain HTTP only");
        let port = url.port_or_known_default().expect("http has a port");
        let prefix = url.path().trim_end_matches('/').trim_end_matches("/v1");
        Self { addr: format!("{}:{port}", url.host_str().expect("a host")), prefix: prefix.to_owned() }
    }

    async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> std::io::Result<TcpStream> {
        let mut connection = TcpStream::connect(&self.addr).await?;
        let Self { addr, prefix } = self;
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let request =
            format!("{method} {prefix}{path} HTTP/1.1\r\nHost: {addr}\r\n{headers}{length}\r\n{body}");
        connection.write_all(request.as_bytes()).await?;
        Ok(connection)
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, "").await
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> Reply {
        self.call("POST", path, body).await
    }

    pub(super) async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        self.call_with(method, path, "", body).await
    }

    /// A call with additional headers, each ended by CRLF.
    pub(super) async fn call_with(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        self.try_call(method, path, headers, body).await.unwrap()
    }

    /// A call that may fail; a truncated response is a failure.
    pub(super) async fn try_call(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> std::io::Result<Reply> {
        let headers = format!("Connection: close\r\n{headers}");
        let mut answer = BufReader::new(self.send(method, path, &headers, body).await?);
        timeout(PATIENCE, Reply::read(&mut answer)).await.expect("an answer in time")
    }

    /// Opens a consume stream. There may be no response yet when this returns.
    pub(super) async fn consume(&self, query: &str, body: &str) -> Stream {
        let connection = self.send("GET", &format!("/v1/consume{query}"), "", body).await.unwrap();
        Stream::on(connection)
    }
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Reply {
    async fn read(answer: &mut BufReader<TcpStream>) -> std::io::Result<Self> {
        let head = head(answer).await?;
        let mut body = Vec::new();
        if header(&head, "transfer-encoding") == Some("chunked") {
            while let Some(chunk) = chunk(answer).await? {
                body.extend(chunk);
            }
        } else {
            answer.read_to_end(&mut body).await?;
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        Ok(Self { status, head, body: String::from_utf8(body).expect("UTF-8") })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// Asserts that the reply has this status and this body, which is one line.
    #[track_caller]
    pub(super) fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.body.trim_end()), (status, body));
    }

    /// Asserts that the reply is a 400 with this message, written as in JSON.
    #[track_caller]
    pub(super) fn refuses(&self, message: &str) {
        self.is(400, &format!(r#"{{"error":"INVALID_ARGUMENT","message":"{message}"}}"#));
        assert_eq!(self.header("content-type"), Some("application/json; charset=utf-8"));
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// The lines up to the empty one.
pub(super) async fn head(from: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

/// One chunk of a body; `None` is the last.
pub(super) async fn chunk(from: &mut BufReader<TcpStream>) -> std::io::Result<Option<Vec<u8>>> {
    let mut size = String::new();
    from.read_line(&mut size).await?;
    let size = usize::from_str_radix(size.trim_end(), 16).map_err(|_| std::io::ErrorKind::UnexpectedEof)?;
    let mut chunk = vec![0; size + 2];
    from.read_exact(&mut chunk).await?;
    chunk.truncate(size);
    Ok(Some(chunk).filter(|chunk| !chunk.is_empty()))
}
