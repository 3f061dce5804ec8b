//! `completions`: prints a script with which a shell completes commands and options.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args as ClapArgs, Command};
use clap_complete::{Shell, generate};

use crate::output::print;

/// The name of the installed binary. Shells complete the arguments of a program, and the program of `cargo webhooks` is cargo.
const BINARY: &str = "webhooks";

/// The arguments of `completions`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

const AFTER_HELP: &str = "\
The script is for the binary `webhooks`, which `cargo install --path cli` installs: shells complete `cargo webhooks` as cargo.

Examples:
  cargo webhooks completions bash > ~/.local/share/bash-completion/completions/webhooks
  cargo webhooks completions fish > ~/.config/fish/completions/webhooks.fish";

/// Prints the script.
pub(crate) fn run(args: &Args, mut command: Command) -> Result<ExitCode> {
    let mut script = Vec::new();
    generate(args.shell, &mut command, BINARY, &mut script);
    print(String::from_utf8(script)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
