//! Exit codes: 0 success, 1 problems found or failure, 2 invalid usage.

use std::process::ExitCode;

use crate::paint::Paint;

/// The exit code if problems were found.
pub(crate) const PROBLEMS: u8 = 1;
/// The exit code for invalid usage, the same as clap's.
const USAGE: u8 = 2;

/// Invalid usage, with its reason.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Problems were found and have been printed.
#[derive(Debug, thiserror::Error)]
#[error("the problems have been printed")]
pub(crate) struct Told;

/// Prints why a command failed.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    if error.is::<Told>() {
        return PROBLEMS.into();
    }
    eprintln!("{} {error:#}", Paint::stderr().red("error:"));
    ExitCode::from(if error.is::<Usage>() { USAGE } else { PROBLEMS })
}
