//! A function under callgrind: it is started by a script with its name, and its count is printed when it
//! ends.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use local::{functions::Functions, runtime_api::Function};
use tempfile::TempDir;
use tokio::process::Command;

/// A time limit for the end of a process. Callgrind has little to write then.
const END: Duration = Duration::from_secs(30);

/// A folder for callgrind's files, if they are wanted; `callgrind_annotate --inclusive=yes` reads them.
const PROFILES: &str = "CALLGRIND_DIR";

/// Scripts that run the functions under callgrind.
pub(super) struct Callgrind {
    pub(super) functions: Functions,
    _dir: TempDir,
}

impl Callgrind {
    /// Makes the scripts for these binaries.
    pub(super) fn find(functions: &Functions) -> Result<Self> {
        let valgrind = in_path("valgrind").context(
            "valgrind is not installed, and nothing else counts instructions here; install it (apt-get install valgrind)",
        )?;
        let dir = tempfile::tempdir().context("a scratch folder")?;
        let profiles = env::var_os(PROFILES).filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let script = |name: &str, binary: &Path| {
            let (path, binary) = (dir.path().join(name), binary.canonicalize()?);
            let profile = profiles.as_ref().map(|dir| dir.join(format!("{name}.%p")));
            // The Runtime API starts its processes with no PATH.
            let script = format!(
                "#!/bin/sh\nexec '{}' --tool=callgrind --callgrind-out-file='{}' '{}'\n",
                valgrind.display(),
                profile.as_deref().unwrap_or(Path::new("/dev/null")).display(),
                binary.display()
            );
            fs::write(&path, script)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            anyhow::Ok(path)
        };
        let functions = Functions {
            ingest: script("ingest", &functions.ingest)?,
            consumer: script("consumer", &functions.consumer)?,
        };
        Ok(Self { functions, _dir: dir })
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Ends the function's process, and returns the number of instructions that it has executed.
pub(super) async fn count(function: &Function) -> Result<u64> {
    let pids = function.pids();
    ensure!(pids.len() == 1, "{} has {} processes, not one", function.name(), pids.len());
    let kill = Command::new("kill").arg(pids[0].to_string()).status().await.context("kill")?;
    ensure!(kill.success(), "{} could not be ended", function.name());
    let own = format!("=={}== Collected :", pids[0]);
    let of = |text: &str| text.strip_prefix(&own)?.trim().parse().ok();
    let lines = function.log().until(END, |lines| lines.iter().any(|line| of(&line.text).is_some())).await?;
    function.recycle();
    lines.iter().find_map(|line| of(&line.text)).context("it has been found")
}
