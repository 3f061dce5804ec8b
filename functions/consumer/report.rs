//! The conclusion of a command, reported once: one log line, one count, one event, all from the same value.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Worker,
    events::Kind,
    task::{NO_STEP, Task},
};
use crate::effects::{How, parked::MALFORMED_RUN, record::Status};

/// The conclusion of a command.
#[derive(Debug)]
pub(super) enum Conclusion<'a> {
    /// The third party has applied it, and this was recorded at the time `at`.
    Done { status: u16, at: Timestamp },
    /// It is tried again after the pause.
    Deferred { why: &'a str, in_doubt: bool, pause: Duration },
    /// It was put on the agenda before any claim.
    Enqueued { why: &'static str },
    /// An operator has to decide.
    Parked { why: &'a str, in_doubt: bool },
    /// The effect's record covers it.
    Duplicate { status: Option<Status> },
    /// Another attempt has claimed it.
    Held,
    /// Its condition does not hold, so it is skipped, with everything that comes after it.
    Skipped { why: &'a str },
}

impl Conclusion<'_> {
    /// The conclusion of a command that was to go to the agenda.
    pub(super) fn of_enqueued(how: How, why: &'static str) -> Self {
        match how {
            How::Duplicate => Self::Duplicate { status: None },
            How::Held => Self::Held,
            How::Parked => Conclusion::Parked { why: "the same effect with other input", in_doubt: false },
            How::Deferred | How::Done | How::HandedOver | How::Skipped => Self::Enqueued { why },
        }
    }

    /// The outcome's name.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Deferred { .. } => "deferred",
            Self::Enqueued { .. } => "enqueued",
            Self::Parked { .. } => "parked",
            Self::Duplicate { .. } => "duplicate",
            Self::Held => "held",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// Why it did not succeed.
    pub(super) fn error(&self) -> Option<&str> {
        match self {
            Self::Deferred { why, .. } | Self::Parked { why, .. } => Some(why),
            Self::Done { .. }
            | Self::Enqueued { .. }
            | Self::Duplicate { .. }
            | Self::Held
            | Self::Skipped { .. } => None,
        }
    }

    fn event(&self) -> Option<Kind> {
        match self {
            Self::Done { .. } => Some(Kind::Done),
            Self::Deferred { .. } => Some(Kind::Deferred),
            Self::Parked { .. } => Some(Kind::Parked),
            Self::Duplicate { .. } => Some(Kind::Skipped),
            Self::Skipped { .. } => Some(Kind::NotWanted),
            Self::Enqueued { .. } | Self::Held => None,
        }
    }
}

impl Worker {
    /// Logs it, counts it, ends its span, and publishes the event.
    pub(super) fn report(&self, task: &Task, attempt: u32, conclusion: &Conclusion<'_>) {
        let (outcome, duration_ms) = (conclusion.outcome(), task.duration_ms());
        match conclusion {
            Conclusion::Done { status, .. } => {
                tracing::info!(outcome, status, duration_ms, "an effect is done");
            }
            Conclusion::Deferred { why, in_doubt, pause } => {
                let (in_doubt, pause_s) = (u8::from(*in_doubt), pause.as_secs());
                tracing::warn!(outcome, why, in_doubt, pause_s, duration_ms, "an effect is deferred");
            }
            Conclusion::Enqueued { why } => {
                tracing::info!(outcome, why, duration_ms, "an effect is left to the agenda");
            }
            Conclusion::Parked { why, in_doubt } => {
                let in_doubt = u8::from(*in_doubt);
                tracing::error!(outcome, why, in_doubt, duration_ms, "an effect is parked");
            }
            Conclusion::Duplicate { status } => {
                let status = status.map(Status::as_str);
                tracing::info!(outcome, status, duration_ms, "the effect is on record");
            }
            Conclusion::Skipped { why } => {
                tracing::info!(outcome, why, duration_ms, "an effect is skipped");
            }
            Conclusion::Held => {
                tracing::info!(outcome, duration_ms, "another attempt has the effect");
            }
        }
        self.end_span(task, attempt, conclusion);
        self.meter.count(task.step_id(&self.config), conclusion, task.command.received_at);
        if let Some(kind) = conclusion.event() {
            self.events.tell(kind, &task.command, &task.effect, attempt);
        }
    }

    /// Reports that an unreadable message was parked.
    pub(super) fn report_malformed(&self) {
        tracing::error!(
            outcome = "parked",
            run_id = MALFORMED_RUN,
            step = NO_STEP,
            in_doubt = 0,
            "a message that is no command is parked"
        );
        self.meter.parked(NO_STEP, false);
    }
}
