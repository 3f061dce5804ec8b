//! When to stop: Ctrl-C, or SIGTERM.

use anyhow::Result;

#[cfg(unix)]
pub(crate) async fn asked() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) async fn asked() -> Result<()> {
    Ok(tokio::signal::ctrl_c().await?)
}
