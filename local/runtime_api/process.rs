//! One process: its exit is awaited in one place, and any task can kill it.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use tokio::{
    process::{Child, Command},
    sync::{Notify, watch},
    task::JoinHandle,
};

use super::log::Log;

/// A running process, killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) switch: KillSwitch,
    watching: JoinHandle<()>,
    outputs: Vec<JoinHandle<()>>,
}

impl Process {
    /// Spawns it with exactly this environment.
    pub(super) fn spawn(binary: &Path, env: &[(String, String)], log: &Log) -> Result<Self> {
        let mut command = Command::new(binary);
        command.env_clear().envs(env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C in a terminal is for this process, which stops the functions.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().with_context(|| {
            format!("{} can't be started; build it with `cargo build --bins`", binary.display())
        })?;
        let pid = child.id().ok_or_else(|| anyhow!("{} ended at once", binary.display()))?;
        let stdout = child.stdout.take().map(|output| log.read(output));
        let stderr = child.stderr.take().map(|output| log.read(output));
        let (exited, exit) = watch::channel(None);
        let kill = Arc::new(Notify::new());
        let watching = tokio::spawn(watch(child, kill.clone(), exited));
        let outputs = stdout.into_iter().chain(stderr).collect();
        Ok(Self { pid, switch: KillSwitch { kill, exit }, watching, outputs })
    }

    /// Waits until all its output is in the log. The time is limited: a child may have inherited the output.
    pub(super) async fn printed(&mut self) {
        let all = futures_util::future::join_all(std::mem::take(&mut self.outputs));
        let _ = tokio::time::timeout(Duration::from_secs(1), all).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The task owns the child, which is killed with it.
        self.watching.abort();
    }
}

async fn watch(mut child: Child, kill: Arc<Notify>, exited: watch::Sender<Option<ExitStatus>>) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = kill.notified() => {
            // It may have ended already.
            let _ = child.start_kill();
            child.wait().await
        }
    };
    if let Ok(status) = status {
        exited.send_replace(Some(status));
    }
}

/// Kills a process, and tells whether it has ended.
#[derive(Debug, Clone)]
pub(super) struct KillSwitch {
    kill: Arc<Notify>,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl KillSwitch {
    /// SIGKILL; returns once the process is gone.
    pub(super) async fn kill(&self) -> Option<ExitStatus> {
        self.kill.notify_one();
        self.exited().await
    }

    /// Waits for its end. None: it was stopped together with its sandbox.
    pub(super) async fn exited(&self) -> Option<ExitStatus> {
        let mut exit = self.exit.clone();
        exit.wait_for(Option::is_some).await.ok().and_then(|status| *status)
    }

    pub(super) fn has_exited(&self) -> bool {
        self.exit.borrow().is_some() || self.exit.has_changed().is_err()
    }
}
