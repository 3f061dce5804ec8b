//! Waits for Ctrl-C or SIGTERM.

use anyhow::Result;

/// Listens for both signals from its creation on. Create it before you print that something is up, so that no signal is missed.
#[derive(Debug)]
pub(crate) struct Stop {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Stop {
    pub(crate) fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for one of them.
    pub(crate) async fn asked(&mut self) -> Result<()> {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        Ok(())
    }
}

#[cfg(not(unix))]
impl Stop {
    pub(crate) fn listen() -> Result<Self> {
        Ok(Self {})
    }

    /// Waits for the signal.
    pub(crate) async fn asked(&mut self) -> Result<()> {
        Ok(tokio::signal::ctrl_c().await?)
    }
}
