//! The `pgdial-lab` program. It is `pgdial` too, under that name: the processes that a
//! scenario starts are of the same build as what it measures in its own.

use std::{env, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let name = env::args_os().next().unwrap_or_default();
    if Path::new(&name).file_name() == Some("pgdial".as_ref()) {
        return pgdial::cli::main();
    }
    pgdial_lab::cli::main()
}
