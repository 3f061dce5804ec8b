//! The clock of a function, set from outside by libfaketime: what a user runs has no hook for it.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

/// The variables that stop a process's calendar at that second. Its timers go on.
///
/// `None` if the library is not on this machine, which is said, and is a failure under `CI=true`.
pub(crate) fn at(now_unix: i64) -> Result<Option<Vec<(String, String)>>> {
    let Some(library) = library() else {
        let message = "libfaketime is not on this machine, so no clock can be set: apt-get install faketime";
        if env::var("CI").is_ok_and(|ci| ci == "true") {
            bail!("{message}");
        }
        println!("skipped: {message}");
        return Ok(None);
    };
    let variables = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", now_unix.to_string()),
        ("FAKETIME_FMT", "%s".to_owned()),
        // UTC, in which that format is read.
        ("TZ", "UTC".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    Ok(Some(variables.map(|(name, value)| (name.to_owned(), value)).into()))
}

/// Removes the shared memory of processes that were killed: the library does that only at an exit.
pub(crate) fn sweep() {
    for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix("faketime_shm_").or(name.strip_prefix("sem.faketime_sem_"));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Somebody else may sweep as well.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Where Debian, Fedora and Arch put it.
fn library() -> Option<PathBuf> {
    let roots = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    let inside = roots.iter().flat_map(|root| fs::read_dir(root).into_iter().flatten().flatten());
    let folders = roots.iter().cloned().chain(inside.map(|entry| entry.path()));
    let library = |folder: PathBuf| folder.join("faketime/libfaketimeMT.so.1");
    folders.map(library).find(|library| library.is_file())
}
