//! The event formats, and where each has the parts of a request.

use super::{
    Caller, Parts,
    context::{Context, Http},
    format::EventFormat,
    tables::Tables,
};

/// The parts of an event other than headers and parameters.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) method: Option<String>,
    pub(super) path: Option<String>,
    pub(super) stage: Option<String>,
    /// Only in format 2.0.
    pub(super) raw_query: Option<String>,
    /// None in a load balancer's event.
    pub(super) source_ip: Option<String>,
    pub(super) body: Option<String>,
    pub(super) is_base64: bool,
}

impl EventFormat {
    /// Splits an event into its parts.
    pub(super) fn split(self, parts: Parts, context: Context) -> (Tables, Envelope, Option<Caller>) {
        let caller = self.caller(&context);
        let Context { stage, http, identity, .. } = context;
        let Parts { version, path, raw_path, raw_query_string, http_method, .. } = parts;
        let Http { method, source_ip } = http.unwrap_or_default();
        let envelope = Envelope {
            method: match self {
                Self::Format2 => method,
                Self::Format1 | Self::LoadBalancer => http_method,
            },
            path: if self == Self::Format2 { raw_path } else { path },
            stage: stage.filter(|_| version.is_some() && self != Self::LoadBalancer),
            raw_query: raw_query_string.filter(|_| self == Self::Format2),
            source_ip: match self {
                Self::Format1 => identity.and_then(|identity| identity.source_ip),
                Self::Format2 => source_ip,
                Self::LoadBalancer => None,
            },
            body: parts.body,
            is_base64: parts.is_base64_encoded.unwrap_or_default(),
        };
        let tables = Tables {
            headers: parts.headers,
            multi_value_headers: parts.multi_value_headers,
            query_string_parameters: parts.query_string_parameters,
            multi_value_query_string_parameters: parts.multi_value_query_string_parameters,
        };
        (tables, envelope, caller)
    }
}
