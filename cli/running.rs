//! What is up on this machine. Each `up` leaves a note, so that `send` finds it; several do not disturb each other.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpStream, time::timeout};

/// Whoever listens on this machine answers sooner.
const PATIENCE: Duration = Duration::from_millis(500);

/// One of them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Its gateway.
    pub(crate) url: String,
    /// Its DynamoDB, and the table; none if EFFECTS_TABLE named another.
    #[serde(default)]
    pub(crate) table: Option<(String, String)>,
    /// Its webhooks.toml.
    pub(crate) config: PathBuf,
    /// The names of the secrets whose values are not made up.
    pub(crate) own: Vec<String>,
}

/// A note, for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Note(PathBuf);

impl Note {
    pub(crate) fn leave(running: &Running) -> Result<Self> {
        let folder = folder()?;
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let path = folder.join(format!("{}.json", process::id()));
        fs::write(&path, serde_json::to_vec(running)?).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        // Gone already: somebody else has removed it.
        let _ = fs::remove_file(&self.0);
    }
}

/// All that still answer. The notes of those that were killed are removed.
pub(crate) async fn all() -> Result<Vec<Running>> {
    let mut running = Vec::new();
    // There is no folder: nothing was ever up.
    for entry in fs::read_dir(folder()?).into_iter().flatten() {
        let path = entry?.path();
        match read(&path) {
            Some(one) if listens(&one.url).await => running.push(one),
            _ => drop(fs::remove_file(&path)),
        }
    }
    Ok(running)
}

fn read(path: &Path) -> Option<Running> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

async fn listens(url: &str) -> bool {
    let address = url.trim_start_matches("http://");
    timeout(PATIENCE, TcpStream::connect(address)).await.is_ok_and(|connected| connected.is_ok())
}

/// Beside this binary.
fn folder() -> Result<PathBuf> {
    Ok(env::current_exe()?.with_extension("up"))
}
