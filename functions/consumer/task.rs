//! A task: a command from a message or a due record, with its log fields.

use std::time::Instant;

use tracing::{Span, field};

use crate::{
    command::{Command, InputHash, Payload},
    config::{Config, step::Step},
    effect_id::EffectId,
    telemetry::spans::Spans,
    trace::Traceparent,
};

/// The step's id in metrics, for a command whose step is not in `webhooks.toml`.
pub(super) const NO_STEP: &str = "?";

/// A command, with what is derived from it.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) command: Command,
    pub(super) effect: EffectId,
    /// The span: the command's trace, or a new one.
    pub(super) trace: Traceparent,
    began: Instant,
}

impl Task {
    /// Parses a message's value.
    ///
    /// # Errors
    /// Why it is not a command. The text may quote the message, so it goes into a record and not into the log.
    pub(super) fn read(value: &str, spans: &Spans) -> Result<Self, String> {
        let command: Command = serde_json::from_str(value).map_err(|error| error.to_string())?;
        if let Payload::Input(input) = &command.payload
            && InputHash::of(input) != command.input_hash
        {
            return Err("its input is not the one that its input_hash is of".to_owned());
        }
        Self::new(command, spans).map_err(|error| error.to_string())
    }

    /// Makes a task of a command.
    ///
    /// # Errors
    /// Its ids do not form an effect id.
    pub(super) fn new(command: Command, spans: &Spans) -> Result<Self, crate::effect_id::IdError> {
        let effect = command.effect_id()?;
        let trace = spans.of_command(command.traceparent);
        Ok(Self { command, effect, trace, began: Instant::now() })
    }

    /// Its step; none if `webhooks.toml` does not have it (any more, or yet).
    pub(super) fn step<'a>(&self, config: &'a Config) -> Option<&'a Step> {
        config.step(self.command.step.as_str())
    }

    /// The step's id, or [`NO_STEP`], so that metrics have few values.
    pub(super) fn step_id(&self, config: &Config) -> &str {
        self.step(config).map_or(NO_STEP, |_| self.command.step.as_str())
    }

    /// When work on it began.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// How long it has taken so far.
    pub(super) fn duration_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The span with the log fields of all its lines.
    pub(super) fn span(&self) -> Span {
        let Self { command, effect, trace, .. } = self;
        let (run_id, step, source) = (&command.run_id, &command.step, command.source.as_deref());
        tracing::info_span!("effect", %run_id, effect_id = %effect, %step, source, trace_id = trace.trace_id(), attempt = field::Empty)
    }
}
