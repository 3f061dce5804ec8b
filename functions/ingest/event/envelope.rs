//! What brought a request, and what it tells beside headers, query and method: read by the types of `lambda_http`.

use lambda_http::aws_lambda_events::{
    alb::AlbTargetGroupRequest,
    apigw::{ApiGatewayProxyRequest, ApiGatewayV2httpRequest},
};
use serde_json::Value;

/// Who speaks which format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// A REST API, or an HTTP API that was told to speak format 1.0.
    Format1,
    /// An HTTP API or a function URL.
    Format2,
    /// An Application Load Balancer.
    LoadBalancer,
}

/// What stands around the tables of an event.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) path: Option<String>,
    pub(super) stage: Option<String>,
    /// Only format 2.0 has it.
    pub(super) raw_query: Option<String>,
    /// None if a load balancer sent it.
    pub(super) source_ip: Option<String>,
    pub(super) body: Option<String>,
    pub(super) is_base64: bool,
}

impl Door {
    /// By what the event says of itself; none if it brings no request.
    pub(super) fn of(version: Option<&str>, event: &Value) -> Option<Self> {
        let context = event.get("requestContext")?.as_object()?;
        Some(match context.get("elb") {
            Some(elb) if !elb.is_null() => Self::LoadBalancer,
            _ if version == Some("2.0") => Self::Format2,
            _ => Self::Format1,
        })
    }

    /// The method, where it stands.
    pub(super) fn method(self, event: &Value) -> &Value {
        match self {
            Self::Format2 => &event["requestContext"]["http"]["method"],
            Self::Format1 | Self::LoadBalancer => &event["httpMethod"],
        }
    }

    /// # Errors
    /// AWS sends no such event.
    pub(super) fn open(self, mut event: Value) -> serde_json::Result<Envelope> {
        // Of any shape that an authorizer likes, which the types don't all take. `caller` has read them.
        for unread in ["authorizer", "authentication"] {
            event["requestContext"].as_object_mut().and_then(|context| context.remove(unread));
        }
        Ok(match self {
            Self::Format1 => serde_json::from_value::<ApiGatewayProxyRequest>(event)?.into(),
            Self::Format2 => serde_json::from_value::<ApiGatewayV2httpRequest>(event)?.into(),
            Self::LoadBalancer => serde_json::from_value::<AlbTargetGroupRequest>(event)?.into(),
        })
    }
}

impl From<ApiGatewayProxyRequest> for Envelope {
    fn from(event: ApiGatewayProxyRequest) -> Self {
        let context = event.request_context;
        Self {
            path: event.path,
            stage: context.stage,
            raw_query: None,
            source_ip: context.identity.source_ip,
            body: event.body,
            is_base64: event.is_base64_encoded,
        }
    }
}

impl From<ApiGatewayV2httpRequest> for Envelope {
    fn from(event: ApiGatewayV2httpRequest) -> Self {
        let context = event.request_context;
        Self {
            path: event.raw_path,
            stage: context.stage,
            raw_query: event.raw_query_string,
            source_ip: context.http.source_ip,
            body: event.body,
            is_base64: event.is_base64_encoded,
        }
    }
}

impl From<AlbTargetGroupRequest> for Envelope {
    fn from(event: AlbTargetGroupRequest) -> Self {
        Self {
            path: event.path,
            stage: None,
            raw_query: None,
            source_ip: None,
            body: event.body,
            is_base64: event.is_base64_encoded,
        }
    }
}
