//! Whoever sits here: who they are, and whether they agree to what a plan says.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
};

use anyhow::Result;
use clap::Args;

use crate::exit::Usage;

/// Whether a plan is carried out.
#[derive(Debug, Args)]
pub(crate) struct Consent {
    /// Don't ask.
    #[arg(long)]
    yes: bool,
    /// Only say what it would come to.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) plan: bool,
}

impl Consent {
    /// Whether it is given, by `--yes` or by an answer.
    pub(crate) fn is_given(&self) -> Result<bool> {
        if self.yes { Ok(true) } else { asks() }
    }
}

/// As the machine knows them.
pub(crate) fn user() -> String {
    env::var("USER").or_else(|_| env::var("USERNAME")).unwrap_or_else(|_| "somebody".to_owned())
}

/// As it stands in records. Who may write to the table at all is AWS's to check.
pub(crate) fn name() -> String {
    format!("{} on the command line", user())
}

/// Asks for an answer. If standard input is no terminal there is none, and `--yes` is needed.
fn asks() -> Result<bool> {
    if !io::stdin().is_terminal() {
        let why = "standard input is no terminal, so this can't be confirmed; add --yes to do it without";
        return Err(Usage(why.into()).into());
    }
    eprint!("Do that? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
