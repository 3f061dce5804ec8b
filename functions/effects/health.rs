//! Whether the table can be read, for the health route.

use super::{error::StoreError, store::Store};

/// A run id without records. No run has it: run ids hold no `:`.
const NO_RUN: &str = ":health";

/// Checks whether the table can be read.
#[derive(Debug, Clone)]
pub struct Health {
    pub(super) store: Store,
}

impl Health {
    /// A query that returns nothing, made as for the records of a run.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn reachable(&self) -> Result<(), StoreError> {
        self.store.run_items(NO_RUN, None).await.map(drop)
    }
}
