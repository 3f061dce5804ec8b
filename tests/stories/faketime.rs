//! Sets a function's clock from outside, with libfaketime: the shipped binary has no hook for it.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

/// The variables that stop a process's wall clock at that second. Its timers continue.
///
/// `None` if the library is not installed, which is reported, and is a failure under `CI=true`.
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
        // UTC, the time zone of that format.
        ("TZ", "UTC".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    Ok(Some(variables.map(|(name, value)| (name.to_owned(), value)).into()))
}

/// Removes the shared memory of killed processes: the library does that only at an exit.
pub(crate) fn sweep() {
    for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix("faketime_shm_").or(name.strip_prefix("sem.faketime_sem_"));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another process may remove it as well.
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
