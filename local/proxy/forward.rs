//! Forwards one request under a fault, and streams the upstream's response back.

use std::sync::Arc;

use axum::{
    BoxError,
    body::Body,
    http::{HeaderMap, Uri, header::CONTENT_LENGTH, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStream};
use url::form_urlencoded;

use super::{
    Shared,
    fault::Fault,
    lock,
    seen::End,
    stream::{self, Chunks},
};
use crate::{http::drop_hop_by_hop, server::Connection};

/// A request to be forwarded.
pub(super) struct Forward {
    pub(super) proxy: Arc<Shared>,
    pub(super) parts: Parts,
    pub(super) body: Bytes,
    pub(super) index: usize,
}

/// The upstream's response; none if it could not be reached.
pub(super) struct Upstream(Option<reqwest::Response>);

impl Forward {
    /// Runs a request under a fault. None: there is never a response.
    pub(super) async fn under(self, fault: Fault, connection: Connection) -> Option<Response> {
        let answer = match fault {
            Fault::Pass => self.send().await.answer(&connection),
            Fault::Answer(answer) => {
                self.proxy.end(self.index, End::Answered(answer.status));
                answer.into_response()
            }
            Fault::AnswerAfter(answer) => {
                self.send().await;
                answer.into_response()
            }
            Fault::CutBefore => self.cut(&connection),
            Fault::CutAfter => {
                self.send().await;
                severed(&connection)
            }
            Fault::HangBefore => return None,
            Fault::HangAfter => {
                self.send().await;
                return None;
            }
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                self.send().await.answer(&connection)
            }
            Fault::HookBefore(hook) => {
                hook.run().await;
                self.send().await.answer(&connection)
            }
            Fault::HookInstead(hook) => {
                hook.run().await;
                self.cut(&connection)
            }
            Fault::HookAfter(hook) => {
                let upstream = self.send().await;
                hook.run().await;
                upstream.answer(&connection)
            }
            Fault::HookOnceAnswered(hook) => {
                self.send().await.answer_by(&connection, |body| stream::then_run(body, hook))
            }
            Fault::CutBehind(text) => {
                self.send().await.answer_by(&connection, |body| stream::cut_behind(body, text))
            }
            Fault::HalfOpen => self.send().await.answer_by(&connection, stream::outlive),
            Fault::Query(name, value) => self.with_query(name, &value)?.send().await.answer(&connection),
        };
        Some(answer)
    }

    /// Sets a query parameter. None: the result is not a URL.
    fn with_query(mut self, name: &str, value: &str) -> Option<Self> {
        let query = self.parts.uri.query().unwrap_or_default();
        let others = form_urlencoded::parse(query.as_bytes()).filter(|(other, _)| other != name);
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(others)
            .append_pair(name, value)
            .finish();
        self.parts.uri = format!("{}?{query}", self.parts.uri.path()).parse().ok()?;
        Some(self)
    }

    fn cut(self, connection: &Connection) -> Response {
        self.proxy.end(self.index, End::Cut);
        severed(connection)
    }

    pub(super) async fn send(self) -> Upstream {
        let Self { proxy, parts, body, index } = self;
        let url = format!("{}{}", *lock(&proxy.upstream), path_and_query(&parts.uri));
        let sent = proxy.client.request(parts.method, url).headers(headers(parts.headers)).body(body).send();
        match sent.await {
            Ok(response) => {
                proxy.end(index, End::Upstream(response.status().as_u16()));
                Upstream(Some(response))
            }
            Err(_) => {
                proxy.end(index, End::Unreachable);
                Upstream(None)
            }
        }
    }
}

impl Upstream {
    pub(super) fn answer(self, connection: &Connection) -> Response {
        self.answer_by(connection, |body| body)
    }

    /// Forwards, and sends the response's body through this filter.
    fn answer_by<S>(self, connection: &Connection, way: impl FnOnce(Chunks) -> S) -> Response
    where
        S: TryStream<Ok = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let Some(upstream) = self.0 else { return severed(connection) };
        let (status, mut headers) = (upstream.status(), upstream.headers().clone());
        let length = headers.remove("content-length");
        drop_hop_by_hop(&mut headers);
        headers.extend(length.map(|length| (CONTENT_LENGTH, length)));
        let mut response = Response::new(Body::from_stream(way(upstream.bytes_stream().boxed())));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// Cuts the connection; the response that a handler must give is never written.
pub(super) fn severed(connection: &Connection) -> Response {
    connection.cut();
    Response::default()
}

fn path_and_query(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |path| path.as_str())
}

fn headers(mut headers: HeaderMap) -> HeaderMap {
    drop_hop_by_hop(&mut headers);
    headers.remove("host");
    headers
}
