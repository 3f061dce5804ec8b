//! Errors of invocations.

use std::{process::ExitStatus, time::Duration};

use serde_json::Value;

/// Why an invocation failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InvokeError {
    /// The function returned an error, or panicked and reported it.
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
        /// Its exit status; none if it was stopped by us.
        status: Option<ExitStatus>,
    },
    /// Its process never polled for work.
    #[error("{function} did not start: {reason}")]
    Init {
        /// The function.
        function: String,
        /// Its error, or the end of its log.
        reason: String,
    },
    /// Its response is malformed.
    #[error("{function} answered what can't be read: {reason}")]
    Unreadable {
        /// The function.
        function: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It did not respond before its deadline and was killed.
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

    /// Whether the process was killed or crashed during the invocation.
    #[must_use]
    pub fn is_death(&self) -> bool {
        matches!(self, Self::Died { .. })
    }
}
