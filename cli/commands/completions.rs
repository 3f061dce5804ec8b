//! `completions`: what a shell needs to complete commands and options.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args as ClapArgs, Command};
use clap_complete::{Shell, generate};

use crate::output::print;

/// The binary, as it is called where it is installed. Shells complete the words of a program, and `cargo webhooks` is cargo's.
const BINARY: &str = "webhooks";

/// What `completions` takes.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

const AFTER_HELP: &str = "\
They are for the binary `webhooks`, which `cargo install --path cli` puts into your PATH: shells leave `cargo webhooks` to cargo.

Examples:
  cargo webhooks completions bash > ~/.local/share/bash-completion/completions/webhooks
  cargo webhooks completions fish > ~/.config/fish/completions/webhooks.fish";

/// Prints them.
pub(crate) fn run(args: &Args, mut command: Command) -> Result<ExitCode> {
    let mut script = Vec::new();
    generate(args.shell, &mut command, BINARY, &mut script);
    print(String::from_utf8(script)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
