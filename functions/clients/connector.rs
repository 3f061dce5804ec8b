//! Our HTTP client as an HTTP client of the AWS SDK
//! (<https://docs.aws.amazon.com/sdk-for-rust/latest/dg/http.html>). The SDK's own client would have a second pool and read
//! the system's certificates at each start, which takes longer than the rest of the start.

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

/// Sends the SDK's requests by `http`. The SDK limits attempts and operations; `http` limits connecting.
#[must_use]
pub fn over(http: reqwest::Client) -> SharedHttpClient {
    let connector: SharedHttpConnector = Connector(http).into_shared();
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.0.clone();
        HttpConnectorFuture::new(exchange(http, request))
    }
}

async fn exchange(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let request = Request::try_from(request.map(Body::wrap)).map_err(failed)?;
    let response = http::Response::<Body>::from(http.execute(request).await.map_err(failed)?);
    HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
        .map_err(|error| ConnectorError::other(error.into(), None))
}

/// Classifies the error, so that the SDK knows whether to retry.
fn failed(error: reqwest::Error) -> ConnectorError {
    match error {
        error if error.is_builder() => ConnectorError::user(error.into()),
        error if error.is_timeout() => ConnectorError::timeout(error.into()),
        error => ConnectorError::io(error.into()),
    }
}
