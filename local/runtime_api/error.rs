//! Why an invocation came to nothing.

use std::{process::ExitStatus, time::Duration};

use serde_json::Value;

/// Why an invocation came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InvokeError {
    /// The function answered an error, or panicked and said so.
    #[error("{function} answered an error: {kind}: {message}")]
    Answered {
        /// The function.
        function: String,
        /// `errorType`.
        kind: String,
        /// `errorMessage`.
        message: String,
    },
    /// Its process ended while the invocation was open.
    #[error("{function} died during an invocation: {status:?}")]
    Died {
        /// The function.
        function: String,
        /// How; none if it was given up by us.
        status: Option<ExitStatus>,
    },
    /// Its process never asked for work.
    #[error("{function} did not start: {reason}")]
    Init {
        /// The function.
        function: String,
        /// What it said, or the end of its log.
        reason: String,
    },
    /// Its answer is not what it should be.
    #[error("{function} answered what can't be read: {reason}")]
    Unreadable {
        /// The function.
        function: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It did not answer before its deadline and was killed.
    #[error("{function} did not answer within {within:?} and was killed")]
    TimedOut {
        /// The function.
        function: String,
        /// The time it had.
        within: Duration,
    },
}

impl InvokeError {
    pub(super) fn answered(function: String, error: &Value) -> Self {
        let text = |name: &str| error[name].as_str().unwrap_or("?").to_owned();
        Self::Answered { function, kind: text("errorType"), message: text("errorMessage") }
    }

    /// The process was killed or crashed during the invocation.
    #[must_use]
    pub fn is_death(&self) -> bool {
        matches!(self, Self::Died { .. })
    }
}
