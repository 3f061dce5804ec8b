//! What a message asks for, and what every line about it says.

use std::time::Instant;

use tracing::{Span, field};

use super::meter::NO_STEP;
use crate::{command::Command, config::step::Step, effect_id::EffectId, trace::Traceparent};

/// What a message asks for.
pub(super) struct Task<'a> {
    pub(super) command: &'a Command,
    pub(super) effect: &'a EffectId,
    /// None: `webhooks.toml` has no such step any more.
    pub(super) step: Option<&'a Step>,
    /// The command's trace, or a new one.
    pub(super) trace: Traceparent,
    pub(super) began: Instant,
}

impl Task<'_> {
    /// The step's id, one of few.
    pub(super) fn step_id(&self) -> &str {
        self.step.map_or(NO_STEP, |step| step.id.as_str())
    }

    /// How long it has taken so far.
    pub(super) fn duration_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What every line about it says.
    pub(super) fn span(&self) -> Span {
        let Self { command, effect, trace, .. } = self;
        let (run_id, step, source) = (&command.run_id, &command.step, command.source.as_deref());
        tracing::info_span!("effect", %run_id, effect_id = %effect, %step, source, trace_id = trace.trace_id(), attempt = field::Empty)
    }
}
