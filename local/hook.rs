//! Hooks: code that runs at a chosen moment of a request, usually to kill a process.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

/// Something to run while a request is held.
#[derive(Clone)]
pub struct Hook(Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>);

impl Hook {
    /// Wraps a closure.
    pub fn new<F, Fut>(run: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(run())))
    }

    /// Runs it to its end, even if the caller is dropped: a hook often kills the client whose request it holds.
    pub async fn run(&self) {
        // A panic in it has already been printed.
        let _ = tokio::spawn((self.0)()).await;
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}
