//! A run that an event has started.

use webhook_verify::Identity;

use super::route::Routed;
use crate::effect_id::RunId;

/// A run that an event started.
#[derive(Debug)]
pub struct StartedRun {
    /// Its id.
    pub run_id: RunId,
    /// The provider's id and type of the event.
    pub event: Identity,
    /// Its first effects. None: the event is authentic, and no step wants it.
    pub effects: Vec<Routed>,
}

impl StartedRun {
    /// Logs it.
    pub(super) fn log(&self, duration_ms: u64) {
        let Self { run_id, event: Identity { event_type, event_id }, effects } = self;
        match effects.len() {
            0 => {
                tracing::info!(outcome = "unwanted", %run_id, event_type, event_id, duration_ms, "no step wants this webhook");
            }
            steps => {
                tracing::info!(outcome = "accepted", %run_id, event_type, event_id, steps, duration_ms, "a webhook was accepted");
            }
        }
    }
}
