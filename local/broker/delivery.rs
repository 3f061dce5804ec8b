//! One delivery of one message to one stream, and the NDJSON line it becomes.

use std::sync::Arc;

use serde::Serialize;

use super::message::{Envelope, Message};

/// The name of one open consume stream. Owners may share a name, streams never do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StreamId(pub(super) u64);

/// A message on its way to a stream.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) to: StreamId,
    pub(super) message: Arc<Message>,
    pub(super) attempts: i64,
    pub(super) last_error: String,
    /// Whether the line has the label of the test router.
    pub(super) routing: bool,
}

/// The test router that the first generation always runs: it changes nothing but this label.
#[derive(Serialize)]
struct Routing {
    label: &'static str,
    meta: RoutingMeta,
}

#[derive(Serialize)]
struct RoutingMeta {
    source: &'static str,
}

const ROUTING: Routing = Routing { label: "test-label", meta: RoutingMeta { source: "router" } };

#[derive(Serialize)]
struct Line<'a> {
    partition: usize,
    offset: i64,
    attempts: i64,
    key: &'a str,
    value: &'a str,
    last_error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    routing: Option<Routing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<&'a Envelope>,
}

impl Delivery {
    /// The line as the real broker writes it, field by field.
    pub(super) fn line(&self) -> Vec<u8> {
        super::parity::go_json::encode(&Line {
            partition: self.message.partition,
            offset: self.message.offset,
            attempts: self.attempts,
            key: &self.message.key,
            value: &self.message.value,
            last_error: &self.last_error,
            routing: self.routing.then_some(ROUTING),
            envelope: self.message.envelope.as_ref(),
        })
    }
}
