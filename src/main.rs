//! The `pgdial` program.

fn main() -> std::process::ExitCode {
    pgdial::cli::main()
}
