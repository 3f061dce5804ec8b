//! The `up` processes on this machine. Each `up` writes a file, so that `send` finds it. Several can run at once.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpStream, time::timeout};

/// The time limit for a connection; a local listener answers sooner.
const PATIENCE: Duration = Duration::from_millis(500);

/// A running `up`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    /// The URL of its gateway.
    pub(crate) url: String,
    /// The URL of its DynamoDB and the table's name; none if it uses the table of EFFECTS_TABLE.
    #[serde(default)]
    pub(crate) table: Option<(String, String)>,
    /// Its webhooks.toml.
    pub(crate) config: PathBuf,
    /// The names of the secrets whose values are not generated.
    pub(crate) own: Vec<String>,
}

/// The file of a running `up`, which is removed on drop.
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
        // This fails if another process has already removed it.
        let _ = fs::remove_file(&self.0);
    }
}

/// All `up` processes that still answer. Removes the files of those that were killed.
pub(crate) async fn all() -> Result<Vec<Running>> {
    let mut running = Vec::new();
    // Without the folder, no `up` has ever run.
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

/// The folder of these files, beside this binary.
fn folder() -> Result<PathBuf> {
    Ok(env::current_exe()?.with_extension("up"))
}
