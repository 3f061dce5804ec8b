//! AWS front ends that invoke a function over HTTP, and their event formats.

use axum::http::request::Parts;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::{fields::STAGE, format1, format2, load_balancer};

/// A front end of a function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FrontEnd {
    /// An HTTP API, at its `$default` stage: payload format 2.0.
    #[default]
    HttpApi,
    /// An HTTP API with a named stage, which it leaves in the path.
    HttpApiStage,
    /// A function URL: payload format 2.0 as well.
    FunctionUrl,
    /// A REST API: payload format 1.0.
    RestApi,
    /// An Application Load Balancer with default settings: it passes only the last of repeated headers or parameters.
    LoadBalancer,
    /// A load balancer whose target group has `lambda.multi_value_headers.enabled`.
    LoadBalancerLists,
}

impl FrontEnd {
    /// All front ends.
    pub const ALL: [Self; 6] = [
        Self::HttpApi,
        Self::HttpApiStage,
        Self::FunctionUrl,
        Self::RestApi,
        Self::LoadBalancer,
        Self::LoadBalancerLists,
    ];

    /// Converts a request into its event.
    #[must_use]
    pub fn event(self, request: &Parts, body: &Bytes, source_ip: &str, now: Timestamp) -> Value {
        match self {
            Self::HttpApi | Self::FunctionUrl => format2::event(request, body, source_ip, None, now),
            Self::HttpApiStage => format2::event(request, body, source_ip, Some(STAGE), now),
            Self::RestApi => format1::event(request, body, source_ip, now),
            Self::LoadBalancer => load_balancer::event(request, body, source_ip, false),
            Self::LoadBalancerLists => load_balancer::event(request, body, source_ip, true),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use axum::http::Request;
    use serde_json::json;

    use super::*;

    /// A request whose headers and parameters are repeated.
    pub(in crate::gateway) fn repeated() -> Parts {
        let request =
            Request::post("/webhooks/stripe?a=1&a=2&b=%20").header("content-type", "application/json");
        let request = request.header("Stripe-Signature", "a").header("Stripe-Signature", "b");
        request.body(()).unwrap().into_parts().0
    }

    /// The event for such a request.
    pub(in crate::gateway) fn event(front_end: FrontEnd) -> Value {
        front_end.event(&repeated(), &Bytes::from_static(b"{}"), "192.0.2.1", Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn every_front_end_has_the_body_and_the_method() {
        for front_end in FrontEnd::ALL {
            let event = event(front_end);
            assert_eq!(
                (&event["body"], &event["isBase64Encoded"]),
                (&json!("{}"), &json!(false)),
                "{front_end:?}"
            );
            let method = event["httpMethod"].as_str().or(event["requestContext"]["http"]["method"].as_str());
            assert_eq!(method, Some("POST"), "{front_end:?}");
        }
    }
}
