//! How a command ends: 0 fine, 1 it found problems or failed, 2 it was not understood.

use std::process::ExitCode;

use crate::paint::Paint;

/// It found problems.
pub(crate) const PROBLEMS: u8 = 1;
/// As clap ends when it does not understand.
const USAGE: u8 = 2;

/// What was typed can't be done as it stands.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// It found problems, and has told them.
#[derive(Debug, thiserror::Error)]
#[error("told already")]
pub(crate) struct Told;

/// Says why a command failed.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    if error.is::<Told>() {
        return PROBLEMS.into();
    }
    eprintln!("{} {error:#}", Paint::stderr().red("error:"));
    ExitCode::from(if error.is::<Usage>() { USAGE } else { PROBLEMS })
}
