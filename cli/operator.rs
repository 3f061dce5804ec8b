//! The operator who types a command: their name, and their consent to a plan.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
};

use anyhow::Result;
use clap::Args;

use crate::exit::Usage;

/// Options that control whether a plan is executed.
#[derive(Debug, Args)]
pub(crate) struct Consent {
    /// Don't ask.
    #[arg(long)]
    yes: bool,
    /// Only show what would be done.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) plan: bool,
}

impl Consent {
    /// Whether the operator consents, by `--yes` or by an answer.
    pub(crate) fn is_given(&self) -> Result<bool> {
        if self.yes { Ok(true) } else { asks() }
    }
}

/// The operator's user name on this machine.
pub(crate) fn user() -> String {
    env::var("USER").or_else(|_| env::var("USERNAME")).unwrap_or_else(|_| "somebody".to_owned())
}

/// The operator's name for records. It is not authenticated: AWS checks who may write to the table.
pub(crate) fn name() -> String {
    format!("{} on the command line", user())
}

/// Asks for a confirmation. If standard input is not a terminal, this is an error: `--yes` is required.
fn asks() -> Result<bool> {
    if !io::stdin().is_terminal() {
        let why =
            "standard input is not a terminal, so you can't confirm; add --yes to continue without asking";
        return Err(Usage(why.into()).into());
    }
    eprint!("Do that? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
