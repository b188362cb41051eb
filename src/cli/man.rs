//! `man`: manual pages generated from the commands.

use std::path::PathBuf;

use super::{Exit, Failure, Out};

/// Print the manual page, or write one per command.
#[derive(Debug, Clone, clap::Args)]
pub struct ManArgs {
    /// Write pgdial.1, pgdial-serve.1, ... into this folder, overwriting existing ones. Default: print pgdial.1 to
    /// stdout.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Prints the page, or writes them all.
pub fn run(args: &ManArgs, command: clap::Command, out: &mut Out) -> Result<Exit, Failure> {
    let Some(folder) = &args.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        out.data().write_all(&page)?;
        return Ok(Exit::Ok);
    };
    let cannot = |error: std::io::Error| {
        Failure::failed(format!(
            "{} cannot be written to: {error}",
            folder.display()
        ))
    };
    std::fs::create_dir_all(folder).map_err(cannot)?;
    clap_mangen::generate_to(command, folder).map_err(cannot)?;
    out.note(format!("written to {}", folder.display()));
    Ok(Exit::Ok)
}
