//! `man`: manual pages generated from the commands.

use std::{fmt::Write, path::PathBuf};

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use super::{Exit, Failure, Out, exit::CODES};

/// Print the manual page, or write one per command.
#[derive(Debug, Clone, clap::Args)]
pub struct ManArgs {
    /// Write pgdial.1, pgdial-serve.1, ... into this folder, overwriting existing ones. Default: print pgdial.1 to
    /// stdout.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Prints the page, or writes them all.
pub fn run(args: &ManArgs, command: Command, out: &mut Out) -> Result<Exit, Failure> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let Some(folder) = &args.out else {
        let page = page(&command)?;
        out.data().write_all(page.as_bytes())?;
        return Ok(Exit::Ok);
    };
    let cannot = |error: std::io::Error| {
        Failure::failed(format!(
            "{} cannot be written to: {error}",
            folder.display()
        ))
    };
    std::fs::create_dir_all(folder).map_err(cannot)?;
    let mut rest = vec![command];
    while let Some(command) = rest.pop() {
        let file = folder.join(format!("{}.1", name(&command)));
        std::fs::write(file, page(&command)?).map_err(cannot)?;
        let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        rest.extend(shown.cloned());
    }
    out.note(format!("written to {}", folder.display()));
    Ok(Exit::Ok)
}

/// `pgdial-calls-list`.
fn name(command: &Command) -> &str {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
}

/// The page of one command, with what `--help` says of exit codes and the environment in the sections where readers of
/// manuals look for them.
fn page(command: &Command) -> Result<String, Failure> {
    let mut shown = command.clone();
    if shown
        .get_after_help()
        .is_some_and(|help| help.to_string() == CODES)
    {
        shown = shown.after_help(None::<&'static str>);
    }
    let man = Man::new(shown)
        .title(name(command))
        .section("1")
        .date(date())
        .source(concat!("pgdial ", env!("CARGO_PKG_VERSION")))
        .manual("pgdial");
    let mut page = Vec::new();
    man.render(&mut page)?;
    let mut roff = Roff::new();
    let codes = CODES
        .lines()
        .skip(1)
        .filter_map(|line| line.trim().split_once("  "));
    roff.control("SH", ["EXIT STATUS"]);
    for (code, words) in codes {
        roff.control("TP", []);
        roff.text([roman(code)]);
        roff.text([roman(words.trim())]);
    }
    let read = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let mut read = read
        .filter_map(|arg| Some((arg.get_env()?.to_str()?, arg)))
        .peekable();
    if read.peek().is_some() {
        roff.control("SH", ["ENVIRONMENT"]);
    }
    for (variable, arg) in read {
        let long = arg.get_long().unwrap_or_default();
        roff.control("TP", []);
        roff.text([roman(variable)]);
        roff.text([roman(format!("Takes the place of --{long}."))]);
    }
    let mut text = String::from_utf8_lossy(&page).into_owned();
    // Writing to a `String` cannot fail.
    let _infallible = write!(text, "{}", roff.render());
    let lines = text.lines().map(str::trim_end);
    Ok(lines.collect::<Vec<_>>().join("\n") + "\n")
}

/// Day of the release, as the changelog has it.
fn date() -> &'static str {
    let mut headings = include_str!("../../CHANGELOG.md").lines();
    let release = concat!("## [", env!("CARGO_PKG_VERSION"), "] - ");
    let day = headings.find_map(|line| line.strip_prefix(release));
    day.unwrap_or("unreleased")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_page_says_what_it_is_of_and_how_it_ends() {
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        let calls = command.find_subcommand("calls").unwrap();
        let list = page(calls.find_subcommand("list").unwrap()).unwrap();
        let source = concat!("\"pgdial ", env!("CARGO_PKG_VERSION"), "\"");
        let title = list
            .lines()
            .find(|line| line.starts_with(".TH pgdial-calls-list 1 "))
            .unwrap();
        assert!(title.contains(source), "{title}");
        for part in [
            ".SH \"EXIT STATUS\"",
            "the database cannot be reached",
            ".SH ENVIRONMENT",
            "DATABASE_URL",
        ] {
            assert!(list.contains(part), "{part} in\n{list}");
        }
        assert!(!list.lines().any(|line| line.ends_with(' ')));
    }
}
