//! Faults as a client sees them. The upstream is a third party, whose ledger records what was forwarded.

use std::time::Duration;

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::json;
use tokio::sync::mpsc;

use super::{End, Fault, FaultProxy};
use crate::{
    hook::Hook,
    http::{Answer, client},
    server::{ANY_PORT, Server},
    third_party::{Behaviour, ThirdParty},
};

const SOON: Duration = Duration::from_secs(5);

async fn proxied() -> (ThirdParty, FaultProxy) {
    let upstream = ThirdParty::start(ANY_PORT).await.unwrap();
    let proxy = FaultProxy::start(&upstream.url()).await.unwrap();
    (upstream, proxy)
}

async fn post(proxy: &FaultProxy) -> Option<Answer> {
    let sent = client().unwrap().post(format!("{}/a?b=c", proxy.url())).json_text(r#"{"n":1}"#).await.ok()?;
    Answer::read(sent).await.ok()
}

/// reqwest's own `json` is not among our features.
trait JsonText {
    async fn json_text(self, body: &'static str) -> reqwest::Result<reqwest::Response>;
}

impl JsonText for reqwest::RequestBuilder {
    async fn json_text(self, body: &'static str) -> reqwest::Result<reqwest::Response> {
        self.header("content-type", "application/json")
            .header("x-amz-target", "D.PutItem")
            .body(body)
            .send()
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_recorded() {
    let (upstream, proxy) = proxied().await;
    let answer = post(&proxy).await.unwrap();
    assert_eq!((answer.status, answer.json()), (200, json!({ "id": "tp_1", "ok": true })));
    assert_eq!(upstream.ledger().applied()[0].body, json!({ "n": 1 }));
    let seen = &proxy.seen()[0];
    assert_eq!((seen.path.as_str(), seen.query.as_str(), seen.operation.as_str()), ("/a", "b=c", "PutItem"));
    assert_eq!((seen.json(), seen.end), (json!({ "n": 1 }), End::Upstream(200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_reaches_whom_it_should() {
    let (upstream, proxy) = proxied().await;
    let cases = [
        (Fault::Answer(Answer::partition_full()), Some(429), 0, End::Answered(429)),
        (Fault::AnswerAfter(Answer::partition_full()), Some(429), 1, End::Upstream(200)),
        (Fault::CutBefore, None, 0, End::Cut),
        (Fault::CutAfter, None, 1, End::Upstream(200)),
        (Fault::Delay(Duration::from_millis(5)), Some(200), 1, End::Upstream(200)),
        (Fault::HookInstead(Hook::new(async || {})), None, 0, End::Cut),
    ];
    for (fault, status, applied, end) in cases {
        let before = upstream.ledger().applied().len();
        let hits = proxy.once(|seen| seen.is("PutItem"), fault.clone());
        assert_eq!(post(&proxy).await.map(|answer| answer.status), status, "{fault:?}");
        assert_eq!(upstream.ledger().applied().len() - before, applied, "{fault:?}");
        assert_eq!(proxy.seen().last().unwrap().end, end, "{fault:?}");
        assert_eq!(hits.count(), 1);
        assert_eq!(post(&proxy).await.unwrap().status, 200, "only once: {fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_after_runs_between_upstream_and_answer() {
    let (upstream, proxy) = proxied().await;
    let (told, mut heard) = mpsc::unbounded_channel();
    let ledger = upstream.follow();
    let hook = Hook::new(move || {
        let (told, ledger) = (told.clone(), ledger.len());
        async move { told.send(ledger).unwrap() }
    });
    proxy.once(|_| true, Fault::HookAfter(hook));
    assert_eq!(post(&proxy).await.unwrap().status, 200);
    assert_eq!(heard.recv().await, Some(1), "the upstream had it first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_once_answered_runs_when_the_answer_is_out() {
    let (upstream, proxy) = proxied().await;
    let (told, mut heard) = mpsc::unbounded_channel();
    let hook = Hook::new(move || {
        let told = told.clone();
        async move { told.send(()).unwrap() }
    });
    // With a body, and without.
    for behaviour in [Behaviour::apply(), Behaviour::answer(Answer::status(204))] {
        upstream.script("/a", [behaviour]);
        proxy.once(|_| true, Fault::HookOnceAnswered(hook.clone()));
        assert!(post(&proxy).await.is_some());
        tokio::time::timeout(SOON, heard.recv()).await.unwrap();
        assert!(heard.try_recv().is_err(), "once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_wire_refuses_and_an_open_one_is_as_before() {
    let (_upstream, proxy) = proxied().await;
    assert!(post(&proxy).await.is_some());
    proxy.close().await;
    let refused = client().unwrap().get(proxy.url()).send().await.unwrap_err();
    assert!(refused.is_connect(), "{refused:?}");
    proxy.open().await.unwrap();
    assert!(post(&proxy).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_down_cuts() {
    let (upstream, proxy) = proxied().await;
    upstream.close().await;
    assert!(post(&proxy).await.is_none());
    assert_eq!(proxy.seen()[0].end, End::Unreachable);
}

/// Like the broker's consume stream: no headers before the first line, then line by line; a disconnection on one side reaches the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_passes_line_by_line_and_breaks_with_either_side() {
    let (lines, queue) = tokio::sync::broadcast::channel::<&'static str>(8);
    let sender = lines.clone();
    let router = Router::new().route(
        "/consume",
        get(move || {
            let mut lines = sender.subscribe();
            async move {
                let first = lines.recv().await.unwrap();
                let rest =
                    futures_util::stream::unfold((lines, Some(first)), |(mut lines, first)| async move {
                        let line = match first {
                            Some(line) => line,
                            None => lines.recv().await.ok()?,
                        };
                        let item = if line == "break" {
                            Err(std::io::Error::other("cut"))
                        } else {
                            Ok(Bytes::from(line))
                        };
                        Some((item, (lines, None)))
                    });
                Body::from_stream(rest)
            }
        }),
    );
    drop(queue);
    let upstream = Server::start(ANY_PORT, router).await.unwrap();
    let proxy = FaultProxy::start(&upstream.url()).await.unwrap();
    for cut_by_proxy in [false, true] {
        let url = format!("{}/consume", proxy.url());
        let opening = tokio::spawn(async move { client().unwrap().get(url).send().await });
        while lines.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(!opening.is_finished(), "no headers before the first line");
        lines.send("one\n").unwrap();
        let mut stream = opening.await.unwrap().unwrap().bytes_stream();
        assert_eq!(stream.next().await.unwrap().unwrap(), "one\n");
        lines.send("two\n").unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), "two\n");
        if cut_by_proxy {
            proxy.cut_all();
        } else {
            lines.send("break").unwrap();
        }
        let end = tokio::time::timeout(SOON, stream.next()).await.unwrap();
        assert!(end.unwrap().is_err());
        // The upstream connection is closed as well.
        let gone = async {
            while lines.receiver_count() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, gone).await.unwrap();
    }
}

/// A dead client must not leave a stream open at the broker, even before the first message.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_headers_is_noticed_upstream() {
    let alive = std::sync::Arc::new(());
    let held = alive.clone();
    let router = Router::new().fallback(move || {
        let held = held.clone();
        async move {
            std::future::pending::<()>().await;
            drop(held);
        }
    });
    let upstream = Server::start(ANY_PORT, router).await.unwrap();
    let proxy = FaultProxy::start(&upstream.url()).await.unwrap();
    let before = std::sync::Arc::strong_count(&alive);
    let left = client().unwrap().get(proxy.url()).timeout(Duration::from_millis(200)).send().await;
    assert!(left.unwrap_err().is_timeout());
    let noticed = async {
        while std::sync::Arc::strong_count(&alive) > before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, noticed).await.unwrap();
}
