//! Finds or builds the functions' binaries.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// The two binaries.
#[derive(Debug, Clone)]
pub struct Functions {
    /// Verifies, routes, enqueues.
    pub ingest: PathBuf,
    /// Drains, calls, commits, acks.
    pub consumer: PathBuf,
}

/// This workspace's root.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

impl Functions {
    /// Those of `FUNCTIONS_DIR` if it is set, else builds them, in the profile of this build.
    ///
    /// # Errors
    /// They are missing, or can't be built.
    pub async fn find() -> Result<Self> {
        match env::var_os("FUNCTIONS_DIR").filter(|dir| !dir.is_empty()) {
            Some(dir) => Self::in_dir(Path::new(&dir)),
            None => Self::build(!cfg!(debug_assertions)).await,
        }
    }

    /// Those in a folder: `ingest` and `consumer`, or `ingest/bootstrap` and so on, as cargo-lambda puts them.
    ///
    /// # Errors
    /// One is missing.
    pub fn in_dir(dir: &Path) -> Result<Self> {
        let find = |name: &str| {
            let places = [dir.join(name).join("bootstrap"), dir.join(name)];
            let found = places.into_iter().find(|place| place.is_file());
            found.with_context(|| {
                format!("no {name} in {}; build it there, or unset FUNCTIONS_DIR", dir.display())
            })
        };
        Ok(Self { ingest: find("ingest")?, consumer: find("consumer")? })
    }

    /// Builds them with cargo, beside the running binary. A release builds them alone, as they are deployed. Otherwise they are built together
    /// with the command line, which has most of their crates compiled already: cargo unites the features of all packages of one build, and
    /// compiles a crate again for other features.
    ///
    /// # Errors
    /// cargo fails.
    pub async fn build(release: bool) -> Result<Self> {
        let mut what = vec!["--package", "driftq-webhooks", "--bin", "ingest", "--bin", "consumer"];
        if !release {
            what.extend(["--package", "cli"]);
        }
        Self::in_dir(&cargo(&what, release).await?)
    }
}

/// Minimal functions. Two binaries, since what one of them links must not slow down the start of the other.
#[derive(Debug, Clone)]
pub struct Bare {
    /// Returns every event.
    pub echo: PathBuf,
    /// Posts every event to `PRODUCE_URL`, as a body for the broker's `/v1/produce`.
    pub produce: PathBuf,
}

impl Bare {
    /// Builds them in the profile of this build, and alone: together with `local`, shared crates could get features that the deployed functions
    /// don't have.
    ///
    /// # Errors
    /// cargo fails.
    pub async fn build() -> Result<Self> {
        let what = ["--package", "local", "--bin", "bare", "--bin", "bare_produce"];
        let dir = cargo(&what, !cfg!(debug_assertions)).await?;
        Ok(Self { echo: dir.join("bare"), produce: dir.join("bare_produce") })
    }
}

/// Builds with cargo; returns the output directory.
async fn cargo(what: &[&str], release: bool) -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.arg("build").args(what).arg("--target-dir").arg(target_dir()?);
    build.args(release.then_some("--release")).current_dir(workspace());
    // Variables that `cargo run` has set would make build scripts run again, and so rebuild what depends on them.
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
    let ours = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    for (name, _) in env::vars().filter(|(name, _)| ours(name)) {
        build.env_remove(name);
    }
    let status = build.status().await.context("cargo can't be run; install Rust, or set FUNCTIONS_DIR")?;
    if !status.success() {
        bail!("the functions could not be built: {status}");
    }
    Ok(target_dir()?.join(if release { "release" } else { "debug" }))
}

/// The target folder of the running binary: above `debug` or `release`, where a test also has a `deps`.
fn target_dir() -> Result<PathBuf> {
    let exe = env::current_exe()?;
    let mut profile = exe.parent().context("this binary has no folder")?;
    if profile.ends_with("deps") {
        profile = profile.parent().context("deps has no parent")?;
    }
    Ok(profile.parent().context("the profile's folder has no parent")?.to_owned())
}
