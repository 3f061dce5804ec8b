//! When to stop: Ctrl-C, or SIGTERM.

use anyhow::Result;

/// Hears both from the moment on in which it is made: before anybody is told that something is up, so that nobody can stop it
/// earlier than it listens.
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

    /// Until one of them comes.
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

    /// Until it comes.
    pub(crate) async fn asked(&mut self) -> Result<()> {
        Ok(tokio::signal::ctrl_c().await?)
    }
}
