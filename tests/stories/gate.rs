//! Calls that take as long as a test needs.

use std::sync::Arc;

use local::{hook::Hook, third_party::Behaviour};
use tokio::sync::Semaphore;

/// A gate that calls wait at: closed until it is opened.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets everything through, now and from now on.
    pub(crate) fn open(&self) {
        self.0.close();
    }

    /// A hook that ends once it is open.
    pub(crate) fn hook(&self) -> Hook {
        let gate = self.0.clone();
        Hook::new(move || {
            let gate = gate.clone();
            // There are no permits: this ends when it is closed for good.
            async move { drop(gate.acquire().await) }
        })
    }

    /// A call that is applied at once, and answered once it is open.
    pub(crate) fn slow_call(&self) -> Behaviour {
        Behaviour::apply().with_hook(self.hook())
    }
}
