//! The HTTP interface: routes, methods, and the exact format of each response.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::connection::About;
use super::engine::{Engine, Subscription};
use super::metrics;
use super::parity::path;
use super::produce_request;
use super::refusal::Refusal;
use super::reply::{Config, Created, Health, Produced, Topics, VERSION};
use super::reply::{error, invalid, json, not_allowed, refused, unwritable};
use super::request::{self, Arguments, Query};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Handles one request, and sets the response's request id: the request's, or a new one.
pub(super) async fn answer(
    State(engine): State<Arc<Engine>>,
    ConnectInfo(connection): ConnectInfo<About>,
    request: Request,
) -> Response {
    let given =
        request.headers().get(X_REQUEST_ID).filter(|id| !id.as_bytes().trim_ascii().is_empty()).cloned();
    let id = given.or_else(|| {
        let random = uuid::Uuid::new_v4().simple().to_string();
        HeaderValue::from_str(&random[..24]).ok()
    });
    let uri = request.uri().clone();
    let Some(path) = path::resolve(uri.path()) else { return unreadable(StatusCode::BAD_REQUEST) };
    let mut response = match path::canonical(uri.path()) {
        Some(path) => moved(&request, &path),
        None => route(&engine, &connection, &path, request).await,
    };
    if let Some(id) = id {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

/// The routing table.
async fn route(engine: &Arc<Engine>, connection: &About, path: &str, request: Request) -> Response {
    let method = request.method().clone();
    let (get, post) = (method == Method::GET, method == Method::POST);
    let profile = engine.profile();
    match path {
        "/v1/config" if profile.extended && get => json(StatusCode::OK, &Config::of(&profile)),
        "/v1/config" if profile.extended => not_allowed("GET"),
        "/v1/ack-cumulative" if profile.extended && post => ack_cumulative(engine, request).await,
        "/v1/ack-cumulative" if profile.extended => not_allowed("POST"),
        "/v1/healthz" if get => json(StatusCode::OK, &Health { status: "ok" }),
        "/v1/version" if get => json(StatusCode::OK, &VERSION),
        "/v1/topics" if get => list_topics(engine),
        "/v1/topics" if post => create_topic(engine, request).await,
        "/v1/produce" if post => produce(engine, request).await,
        "/v1/consume" if get => consume(engine, connection, request).await,
        "/v1/ack" if post => ack(engine, request).await,
        "/v1/nack" if post => nack(engine, request).await,
        "/v1/healthz" | "/v1/version" | "/v1/consume" => not_allowed("GET"),
        "/v1/produce" | "/v1/ack" | "/v1/nack" => not_allowed("POST"),
        "/v1/topics" => not_allowed("GET, POST"),
        "/metrics" => {
            let text = engine.view(metrics::render);
            ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        path if path.starts_with("/v1/") => {
            let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
            (StatusCode::NOT_FOUND, headers, "404 page not found\n").into_response()
        }
        _ => error(StatusCode::NOT_FOUND, "NOT_FOUND", "use /v1/* endpoints"),
    }
}

fn list_topics(engine: &Engine) -> Response {
    let topics = engine.view(|state| state.topics.keys().cloned().collect());
    json(StatusCode::OK, &Topics { topics })
}

async fn create_topic(engine: &Engine, request: Request) -> Response {
    match arguments(request).await.and_then(|arguments| request::create_topic(&arguments)) {
        Ok((name, partitions)) => match engine.create_topic(&name, partitions).await {
            Some(Ok(())) => json(StatusCode::CREATED, &Created { status: "created", name, partitions }),
            Some(Err(refusal)) => refused(refusal),
            None => unwritable(),
        },
        Err(message) => invalid(&message),
    }
}

async fn produce(engine: &Arc<Engine>, request: Request) -> Response {
    let (topic, message) =
        match arguments(request).await.and_then(|arguments| produce_request::produce(&arguments)) {
            Ok(produce) => produce,
            Err(message) => return invalid(&message),
        };
    match engine.produce(topic.clone(), message).await {
        Some(Ok(())) => json(StatusCode::OK, &Produced { status: "produced", topic }),
        Some(Err(refusal)) => refused(refusal),
        None => unwritable(),
    }
}

const RECEIPT: [&str; 5] = ["topic", "group", "owner", "partition", "offset"];

async fn ack(engine: &Engine, request: Request) -> Response {
    match arguments(request).await.and_then(|arguments| request::receipt(&arguments, &RECEIPT)) {
        Ok((receipt, _)) => settled(engine.ack(&receipt).await),
        Err(message) => invalid(&message),
    }
}

async fn ack_cumulative(engine: &Engine, request: Request) -> Response {
    match arguments(request).await.and_then(|arguments| request::receipt(&arguments, &RECEIPT)) {
        Ok((receipt, _)) => settled(engine.ack_cumulative(&receipt).await),
        Err(message) => invalid(&message),
    }
}

async fn nack(engine: &Engine, request: Request) -> Response {
    let known = ["topic", "group", "owner", "partition", "offset", "reason"];
    match arguments(request).await.and_then(|arguments| request::receipt(&arguments, &known)) {
        Ok((receipt, reason)) => settled(engine.nack(&receipt, &reason).await),
        Err(message) => invalid(&message),
    }
}

fn settled(result: Option<Result<(), Refusal>>) -> Response {
    match result {
        Some(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Some(Err(refusal)) => refused(refusal),
        None => unwritable(),
    }
}

/// Opens a stream. **Nothing is sent, not even the headers, before the first message**. When the client disconnects, the server drops this future
/// or the body, and with it the subscription.
async fn consume(engine: &Arc<Engine>, connection: &About, request: Request) -> Response {
    let request = match arguments(request).await.and_then(|arguments| request::consume(&arguments)) {
        Ok(request) => request,
        Err(message) => return invalid(&message),
    };
    let mut subscription = match engine.subscribe(request.topic, request.group, &request.owner, request.lease)
    {
        Ok(subscription) => subscription,
        Err(refusal) => return refused(refusal),
    };
    connection.consumes();
    let first = subscription.next().await;
    let lines = stream::unfold((first, subscription), async |(delivery, mut subscription)| {
        let delivery = match delivery {
            Some(first) => Some(first),
            None => Subscription::next(&mut subscription).await,
        };
        Some((Ok::<_, std::convert::Infallible>(delivery?.line()), (None, subscription)))
    });
    ([(CONTENT_TYPE, "application/x-ndjson; charset=utf-8")], Body::from_stream(lines)).into_response()
}

/// The arguments of a request. A body takes precedence over the query; its `Content-Type` is ignored.
async fn arguments(request: Request) -> Result<Arguments, String> {
    if request.body().is_end_stream() {
        return Ok(Arguments::Query(Query::parse(request.uri().query().unwrap_or(""))));
    }
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    body.map(|body| Arguments::Json(body.into())).map_err(|_| "failed to read body".to_owned())
}

/// The response of Go's server to a request that it can't parse; no handler sees the request.
fn unreadable(status: StatusCode) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CONNECTION, "close")];
    (status, headers, status.to_string()).into_response()
}

fn moved(request: &Request, path: &str) -> Response {
    let location = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut response = StatusCode::MOVED_PERMANENTLY.into_response();
    if request.method() == Method::GET || request.method() == Method::HEAD {
        let page = format!("<a href=\"{}\">Moved Permanently</a>.\n\n", location.replace('&', "&amp;"));
        *response.body_mut() = Body::from(page);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    }
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
