//! `completions`: what a shell needs to complete commands and flags.

use clap_complete::Shell;

use super::{Exit, Failure, Out};

/// For its help.
pub const WHERE: &str = "\
bash: pgdial completions bash > ~/.local/share/bash-completion/completions/pgdial
zsh:  pgdial completions zsh > DIR/_pgdial, where DIR is in $fpath
fish: pgdial completions fish > ~/.config/fish/completions/pgdial.fish";

/// Print completions for a shell.
#[derive(Debug, Clone, clap::Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Prints them.
pub fn run(
    args: &CompletionsArgs,
    mut command: clap::Command,
    out: &mut Out,
) -> Result<Exit, Failure> {
    // The library panics where it cannot write; memory it can.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "pgdial", &mut script);
    out.data().write_all(&script)?;
    Ok(Exit::Ok)
}
