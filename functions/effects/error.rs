//! Errors of the effects table.

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// The table could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A newer attempt owns the effect, so this one must not record its outcome.
    #[error("a newer attempt has taken the effect over")]
    Fenced,
    /// The request failed, or its outcome is unknown.
    #[error("DynamoDB {operation}: {why}")]
    Unavailable {
        /// The request.
        operation: &'static str,
        /// The SDK's error after its retries.
        why: String,
    },
    /// A record has an attribute in a form that this program never writes.
    #[error("the record's {0} is missing or malformed")]
    Malformed(&'static str),
}

impl StoreError {
    pub(super) fn unavailable<E>(operation: &'static str, error: &SdkError<E>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let why = match error.as_service_error() {
            Some(service) => {
                format!("{}: {}", service.code().unwrap_or("error"), service.message().unwrap_or(""))
            }
            None => DisplayErrorContext(error).to_string(),
        };
        Self::Unavailable { operation, why }
    }
}
