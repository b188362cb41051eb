//! The `pgdial-lab` program. Called by the name `pgdial` it is that program, so that processes started by a scenario
//! are of the same build as what it measures in its own.

use std::{env, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let name = env::args_os().next().unwrap_or_default();
    if Path::new(&name).file_name() == Some("pgdial".as_ref()) {
        return pgdial::cli::main();
    }
    pgdial_lab::cli::main()
}
