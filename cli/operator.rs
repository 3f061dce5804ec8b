//! Whoever decides: who they are, and whether they confirm.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
};

use anyhow::Result;

use crate::exit::Usage;

/// As it stands in records. Who may write to the table at all is AWS's to check.
pub(crate) fn name() -> String {
    format!("{} on the command line", env::var("USER").unwrap_or_else(|_| "somebody".into()))
}

/// Asks. Where nobody can answer, `--yes` must have been typed.
pub(crate) fn confirms() -> Result<bool> {
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
