//! Our HTTP client as an HTTP client of the AWS SDK
//! (<https://docs.aws.amazon.com/sdk-for-rust/latest/dg/http.html>). The SDK's own client would have a second pool and read
//! the system's certificates at each start, which takes longer than the rest of the start.

use std::sync::{Arc, OnceLock};

use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    shared::IntoShared,
};
use aws_smithy_types::body::SdkBody;
use reqwest::{Body, Request};

use super::endpoint::Endpoint;

/// Sends the SDK's requests by `http`. The SDK limits attempts and operations; `http` limits connecting.
#[must_use]
pub fn over(http: reqwest::Client) -> SharedHttpClient {
    client(Connector { http, watch: None })
}

/// Like [`over`]. The first request that is signed with this access key sets `endpoint`.
pub(super) fn watched(
    http: reqwest::Client,
    access_key: String,
    endpoint: Arc<OnceLock<Endpoint>>,
) -> SharedHttpClient {
    client(Connector { http, watch: Some(Arc::new(Watch { access_key, endpoint })) })
}

fn client(connector: Connector) -> SharedHttpClient {
    let connector: SharedHttpConnector = connector.into_shared();
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Debug, Clone)]
struct Connector {
    http: reqwest::Client,
    watch: Option<Arc<Watch>>,
}

#[derive(Debug)]
struct Watch {
    access_key: String,
    endpoint: Arc<OnceLock<Endpoint>>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(exchange(self.clone(), request))
    }
}

async fn exchange(connector: Connector, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let Connector { http, watch } = connector;
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let request = Request::try_from(request.map(Body::wrap)).map_err(failed)?;
    if let Some(watch) = watch
        && watch.endpoint.get().is_none()
        && let Some(endpoint) = Endpoint::of(&request, &watch.access_key)
    {
        watch.endpoint.get_or_init(|| endpoint);
    }
    let response = http::Response::<Body>::from(http.execute(request).await.map_err(failed)?);
    HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
        .map_err(|error| ConnectorError::other(error.into(), None))
}

/// Classifies the error, so that the SDK can decide whether to retry.
fn failed(error: reqwest::Error) -> ConnectorError {
    match error {
        error if error.is_builder() => ConnectorError::user(error.into()),
        error if error.is_timeout() => ConnectorError::timeout(error.into()),
        error => ConnectorError::io(error.into()),
    }
}
