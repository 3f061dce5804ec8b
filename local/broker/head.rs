//! Request heads as large as Go accepts: a request target of more than 64 KiB, which `http::Uri` can't hold, and 1 MiB in total.
//!
//! Everything that a connection reads passes through here. A long query is stored and replaced by a short marker, by which the handler finds it
//! again. Heads are separated from bodies by `Content-Length`; after a chunked body, which no known broker client sends, the rest of the
//! connection passes unchanged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::ReadBuf;

/// Go's `DefaultMaxHeaderBytes`, plus the slack of its buffer.
const LARGEST_HEAD: usize = (1 << 20) + 4096;
/// A request target longer than this is shortened; `http::Uri` takes 65,534 bytes.
const LONGEST_TARGET: usize = 60_000;
const END: &[u8] = b"\r\n\r\n";

/// The stored parts of a connection's requests, by their markers.
#[derive(Debug, Clone, Default)]
pub(super) struct Aside(Arc<Mutex<HashMap<String, Put>>>);

/// What a marker stands for.
#[derive(Debug)]
pub(super) enum Put {
    Query(String),
    /// The whole request: its head is larger than Go accepts.
    TooLarge,
}

impl Aside {
    /// The stored part for which this query is the marker.
    pub(super) fn take(&self, query: Option<&str>) -> Option<Put> {
        self.lock().remove(query?)
    }

    fn put(&self, put: Put) -> String {
        let mark = uuid::Uuid::new_v4().simple().to_string();
        self.lock().insert(mark.clone(), put);
        mark
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Put>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A filter for what a connection reads, before the server.
#[derive(Debug)]
pub(super) struct Heads {
    next: Next,
    /// The head so far, and how much of it was dropped because it is too large.
    head: Vec<u8>,
    dropped: usize,
    /// Bytes ready to be read, and how many of them were read.
    ready: Vec<u8>,
    taken: usize,
    aside: Aside,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Head,
    /// The remaining bytes of a body.
    Body(usize),
    Anything,
}

impl Heads {
    pub(super) fn new(aside: Aside) -> Self {
        Self { next: Next::Head, head: Vec::new(), dropped: 0, ready: Vec::new(), taken: 0, aside }
    }

    /// Copies the ready bytes; false if there are none.
    pub(super) fn take(&mut self, into: &mut ReadBuf<'_>) -> bool {
        let ready = &self.ready[self.taken..];
        let count = ready.len().min(into.remaining());
        into.put_slice(&ready[..count]);
        self.taken += count;
        if self.taken == self.ready.len() {
            self.ready.clear();
            self.taken = 0;
        }
        count > 0
    }

    /// The connection has ended: an incomplete head passes unchanged.
    pub(super) fn end(&mut self) {
        self.ready.append(&mut self.head);
        self.next = Next::Anything;
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.next {
                Next::Anything => self.pass(bytes, bytes.len()),
                Next::Body(left) => {
                    let count = left.min(bytes.len());
                    self.next = if count == left { Next::Head } else { Next::Body(left - count) };
                    self.pass(bytes, count)
                }
                Next::Head => self.feed_head(bytes),
            };
        }
    }

    fn pass<'a>(&mut self, bytes: &'a [u8], count: usize) -> &'a [u8] {
        self.ready.extend_from_slice(&bytes[..count]);
        &bytes[count..]
    }

    /// Consumes the bytes of the head, and returns the rest.
    fn feed_head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let looked_at = self.head.len().saturating_sub(END.len() - 1);
        self.head.extend_from_slice(bytes);
        let end = self.head[looked_at..].windows(END.len()).position(|window| window == END);
        let Some(end) = end.map(|at| looked_at + at + END.len()) else {
            if self.head.len() > LARGEST_HEAD {
                let drop = self.head.len() - (END.len() - 1);
                self.dropped += self.head.drain(..drop).len();
            }
            return &[];
        };
        let rest = self.head.len() - end;
        self.head.truncate(end);
        self.finish_head();
        &bytes[bytes.len() - rest..]
    }

    fn finish_head(&mut self) {
        let mut head = std::mem::take(&mut self.head);
        if std::mem::take(&mut self.dropped) + head.len() > LARGEST_HEAD {
            let mark = self.aside.put(Put::TooLarge);
            self.next = Next::Anything;
            head =
                format!("GET /?{mark} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes();
        } else {
            self.next = body(&head);
            self.shorten(&mut head);
        }
        self.ready.append(&mut head);
    }

    /// Stores the query if the target is too long.
    fn shorten(&self, head: &mut Vec<u8>) {
        let line_end = head.iter().position(|byte| *byte == b'\r').unwrap_or_default();
        let mut words = head[..line_end].split(|byte| *byte == b' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return };
        if target.len() <= LONGEST_TARGET {
            return;
        }
        let start = method.len() + 1;
        let end = start + target.len();
        let path = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len()).min(LONGEST_TARGET);
        let query = String::from_utf8_lossy(target.get(path + 1..).unwrap_or_default()).into_owned();
        let mark = self.aside.put(Put::Query(query));
        head.splice(start + path..end, [b"?", mark.as_bytes()].concat());
    }
}

/// What follows a head.
fn body(head: &[u8]) -> Next {
    let text = String::from_utf8_lossy(head);
    let header = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    match (header("transfer-encoding"), header("content-length").map(str::parse)) {
        (None, None | Some(Ok(0))) => Next::Head,
        (None, Some(Ok(length))) => Next::Body(length),
        _ => Next::Anything,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output for this input, fed in pieces of that size.
    fn passed(aside: &Aside, bytes: &[u8], piece: usize) -> String {
        let mut heads = Heads::new(aside.clone());
        bytes.chunks(piece).for_each(|piece| heads.feed(piece));
        let mut space = vec![0; bytes.len() + 1000];
        let mut read = ReadBuf::new(&mut space);
        heads.take(&mut read);
        String::from_utf8_lossy(read.filled()).into_owned()
    }

    #[test]
    fn short_requests_pass_as_they_are_however_they_are_cut() {
        let requests =
            b"POST /a HTTP/1.1\r\ncontent-length: 9\r\n\r\n\r\n\r\nGET /bGET /c?d HTTP/1.1\r\n\r\n";
        for piece in 1..requests.len() {
            assert_eq!(passed(&Aside::default(), requests, piece).as_bytes(), requests);
        }
        let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET";
        assert_eq!(passed(&Aside::default(), chunked, 7).as_bytes(), chunked);
    }

    #[test]
    fn a_long_query_is_found_by_its_mark() {
        let (aside, long) = (Aside::default(), "x".repeat(200_000));
        let request = format!("GET /v1/a?b={long} HTTP/1.1\r\nHost: h\r\n\r\n");
        let passed = passed(&aside, request.as_bytes(), 10_000);
        let (_, mark) = passed.split_once('?').unwrap_or_default();
        let (mark, rest) = mark.split_once(' ').unwrap_or_default();
        assert_eq!(rest, "HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(matches!(aside.take(Some(mark)), Some(Put::Query(query)) if query == format!("b={long}")));
        assert!(aside.take(Some(mark)).is_none());
    }

    #[test]
    fn a_head_of_more_than_a_mebibyte_is_replaced() {
        for (bytes, too_large) in [((1 << 20) - 100, false), ((1 << 20) + 5000, true), (5 << 20, true)] {
            let aside = Aside::default();
            let request = format!("GET /?{} HTTP/1.1\r\n\r\n", "x".repeat(bytes));
            let passed = passed(&aside, request.as_bytes(), 10_000);
            let mark = passed.split(['?', ' ']).nth(2);
            assert_eq!(matches!(aside.take(mark), Some(Put::TooLarge)), too_large, "{passed:.100}");
        }
    }
}
