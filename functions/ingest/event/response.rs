//! The response formats, one per event format.

use lambda_http::{
    Body,
    aws_lambda_events::{
        alb::AlbTargetGroupResponse,
        apigw::{ApiGatewayProxyResponse, ApiGatewayV2httpResponse},
    },
    http::{HeaderMap, Response},
};
use serde::Serialize;

use super::format::EventFormat;

/// The response format for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseFormat {
    pub(super) format: EventFormat,
    pub(super) lists: bool,
}

/// A response for Lambda.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum LambdaResponse {
    /// In payload format 1.0.
    Format1(ApiGatewayProxyResponse),
    /// In payload format 2.0.
    Format2(ApiGatewayV2httpResponse),
    /// For a load balancer.
    LoadBalancer(AlbTargetGroupResponse),
}

impl ResponseFormat {
    /// The response to the event. A load balancer reads only the header table of its configuration, and requires a status description.
    #[must_use]
    pub fn reply(self, response: Response<String>) -> LambdaResponse {
        let (parts, body) = response.into_parts();
        let (status, body) = (parts.status, Some(Body::Text(body)));
        let status_code = status.as_u16().into();
        let (headers, multi_value_headers) = match self.lists {
            true => (HeaderMap::new(), parts.headers),
            false => (parts.headers, HeaderMap::new()),
        };
        match self.format {
            EventFormat::Format1 => {
                let mut reply = ApiGatewayProxyResponse::default();
                (reply.status_code, reply.body) = (status_code, body);
                (reply.headers, reply.multi_value_headers) = (headers, multi_value_headers);
                LambdaResponse::Format1(reply)
            }
            EventFormat::Format2 => {
                let mut reply = ApiGatewayV2httpResponse::default();
                (reply.status_code, reply.body) = (status_code, body);
                (reply.headers, reply.multi_value_headers) = (headers, multi_value_headers);
                LambdaResponse::Format2(reply)
            }
            EventFormat::LoadBalancer => {
                let mut reply = AlbTargetGroupResponse::default();
                (reply.status_code, reply.body) = (status_code, body);
                (reply.headers, reply.multi_value_headers) = (headers, multi_value_headers);
                let reason = status.canonical_reason().unwrap_or_default();
                reply.status_description = Some(format!("{} {reason}", status.as_u16()));
                LambdaResponse::LoadBalancer(reply)
            }
        }
    }
}
