//! Faults in streamed responses.

use std::io;

use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream, Stream},
};
use tokio::sync::mpsc;

use crate::hook::Hook;

/// An answer's body as it comes from the upstream.
pub(super) type Chunks = BoxStream<'static, reqwest::Result<Bytes>>;

/// Forwards the body up to and including `text`, across chunk boundaries, and then breaks it off.
pub(super) fn cut_behind(body: Chunks, text: Bytes) -> impl Stream<Item = io::Result<Bytes>> {
    let start = (body, Vec::new(), false);
    stream::try_unfold(start, move |(mut body, mut passed, cut)| {
        let text = text.clone();
        async move {
            if cut {
                // The preceding bytes are flushed when there is nothing to write.
                tokio::task::yield_now().await;
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            let Some(chunk) = body.next().await else { return Ok(None) };
            let chunk = chunk.map_err(io::Error::other)?;
            let before = passed.len();
            passed.extend_from_slice(&chunk);
            let found = passed.windows(text.len()).position(|window| window == text);
            let chunk = found.map_or(chunk.clone(), |at| chunk.slice(..at + text.len() - before));
            Ok(Some((chunk, (body, passed, found.is_some()))))
        }
    })
}

/// Forwards the body, and continues to read it after the client has disconnected, until the upstream ends.
pub(super) fn outlive(mut body: Chunks) -> impl Stream<Item = reqwest::Result<Bytes>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(chunk) = body.next().await {
            // Err: the client has disconnected, as intended.
            let _ = sender.send(chunk);
        }
    });
    stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)))
}

/// Forwards the body, and runs the hook once its first chunk has been sent.
pub(super) fn then_run(body: Chunks, hook: Hook) -> impl Stream<Item = reqwest::Result<Bytes>> {
    stream::unfold((body, OnDrop(Some(hook)), false), async |(mut body, hook, answered)| {
        if answered {
            drop(hook);
            return Some((body.next().await?, (body, OnDrop(None), true)));
        }
        Some((body.next().await?, (body, hook, true)))
    })
}

/// Runs a hook when dropped: a body of known length is dropped, not polled again, when all of it is written.
struct OnDrop(Option<Hook>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let Some(hook) = self.0.take() else { return };
        tokio::spawn(async move {
            // Written bytes are flushed when there is nothing more to write, which is now.
            tokio::task::yield_now().await;
            hook.run().await;
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::TryStreamExt;

    use super::*;

    fn body(chunks: &[&'static [u8]]) -> Chunks {
        stream::iter(chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk))).collect::<Vec<_>>()).boxed()
    }

    #[tokio::test]
    async fn what_stands_before_the_cut_passes_and_nothing_behind_it() {
        for chunks in [&["one €1 two".as_bytes()][..], &[b"one ", b"\xe2", b"\x82\xac1 two"]] {
            let mut passed = Vec::new();
            let mut stream = std::pin::pin!(cut_behind(body(chunks), Bytes::from_static(b" \xe2\x82")));
            let cut = loop {
                match stream.try_next().await {
                    Ok(chunk) => passed.extend(chunk.expect("a cut is an error, not an end")),
                    Err(error) => break error,
                }
            };
            assert_eq!(
                (passed.as_slice(), cut.kind()),
                (&b"one \xe2\x82"[..], io::ErrorKind::ConnectionReset)
            );
        }
        let whole = cut_behind(body(&[b"one", b"two"]), Bytes::from_static(b"three"));
        assert_eq!(whole.try_collect::<Vec<_>>().await.unwrap().concat(), b"onetwo");
    }

    #[tokio::test]
    async fn a_body_that_nobody_wants_any_more_is_read_to_its_end() {
        let read = Arc::new(());
        let held = read.clone();
        let (next, chunks) = mpsc::unbounded_channel::<Bytes>();
        let upstream = stream::unfold((chunks, held), async |(mut chunks, held)| {
            Some((Ok(chunks.recv().await?), (chunks, held)))
        });
        let mut client = Box::pin(outlive(upstream.boxed()));
        next.send("one".into()).unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), "one");
        drop(client);
        tokio::task::yield_now().await;
        assert!(next.send("two".into()).is_ok(), "it is still open");
        drop(next);
        while Arc::strong_count(&read) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
