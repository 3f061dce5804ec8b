//! The event formats.

use super::context::Context;

/// An event format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventFormat {
    /// A REST API, or an HTTP API that is configured for format 1.0.
    Format1,
    /// An HTTP API or a function URL.
    Format2,
    /// An Application Load Balancer.
    LoadBalancer,
}

impl EventFormat {
    /// Detects the event format.
    pub(super) fn of(version: Option<&str>, context: &Context) -> Self {
        match context.elb {
            Some(_) => Self::LoadBalancer,
            None if version == Some("2.0") => Self::Format2,
            None => Self::Format1,
        }
    }
}
