//! `completions`: shell completion scripts.

use clap_complete::Shell;

use super::{Exit, Failure, Out};

/// How to install the scripts, for `--help`.
pub const WHERE: &str = "\
bash: pgdial completions bash > ~/.local/share/bash-completion/completions/pgdial
zsh:  pgdial completions zsh > DIR/_pgdial, where DIR is in $fpath
fish: pgdial completions fish > ~/.config/fish/completions/pgdial.fish";

/// Print shell completions.
#[derive(Debug, Clone, clap::Args)]
pub struct CompletionsArgs {
    /// The shell to complete for.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Prints the script.
pub fn run(
    args: &CompletionsArgs,
    mut command: clap::Command,
    out: &mut Out,
) -> Result<Exit, Failure> {
    // `clap_complete` panics if it cannot write, and writing to memory always succeeds.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "pgdial", &mut script);
    out.data().write_all(&script)?;
    Ok(Exit::Ok)
}
