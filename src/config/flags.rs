//! Flags of the same meaning as variables. Secrets have none: a process list shows flags.
//!
//! What every command has is not read from the environment by clap, which would name it
//! in the usage line of every other mistake; [`Variables`](super::Variables) has it.

use std::path::Path;

use clap::{Arg, Args, Command};

/// What every command may be told.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Common {
    /// Postgres, as in `postgres://pgdial@localhost/pgdial`.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "Postgres, as in `postgres://pgdial@localhost/pgdial` [env: DATABASE_URL]",
        help_heading = GLOBAL
    )]
    pub database_url: Option<String>,
    /// A file of NAME=value lines; the real environment wins over it. Default: .env of this folder, if there is one.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "PGDIAL_ENV_FILE",
        hide_env_values = true,
        help_heading = GLOBAL
    )]
    pub env_file: Option<std::ffi::OsString>,
    /// What is logged, as in `info` or `warn,pgdial=debug`. Default: info for processes that stay, warn for the others.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        help = "What is logged, as in `info` or `warn,pgdial=debug`. Default: info for processes that stay, warn for the others [env: PGDIAL_LOG]",
        help_heading = GLOBAL
    )]
    pub log: Option<String>,
    /// How it is logged, on stderr: text or json. Default: text.
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        help = "How it is logged, on stderr: text or json. Default: text [env: PGDIAL_LOG_FORMAT]",
        help_heading = GLOBAL
    )]
    pub log_format: Option<String>,
}

impl Common {
    /// The file that was named; an empty name counts as none.
    pub fn env_file(&self) -> Option<&Path> {
        let named = self.env_file.as_deref().filter(|name| !name.is_empty());
        named.map(Path::new)
    }
}

/// The heading of flags that every command has.
pub(crate) const GLOBAL: &str = "Everywhere";

/// What a process that stays may be told besides, as texts: clap checks none of them, so
/// that all wrong ones can be reported together, wherever they come from.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Where the API listens. Default: 127.0.0.1:8080.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "PGDIAL_LISTEN",
        hide_env_values = true
    )]
    pub listen: Option<String>,
    /// Where `/metrics`, `/healthz` and `/readyz` are answered besides, as for a worker without the API. Default: nowhere.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "PGDIAL_METRICS_LISTEN",
        hide_env_values = true
    )]
    pub metrics_listen: Option<String>,
    /// Where the provider reaches us. Default: `http://` and the listen address, when that is loopback.
    #[arg(
        long,
        value_name = "URL",
        env = "PGDIAL_PUBLIC_URL",
        hide_env_values = true
    )]
    pub public_url: Option<String>,
    /// Where trunk `default` reaches its provider.
    #[arg(
        long,
        value_name = "URL",
        env = "PGDIAL_PROVIDER_URL",
        hide_env_values = true
    )]
    pub provider_url: Option<String>,
    /// Dials that this process makes at once, 1 to 1000. Default: 30.
    #[arg(
        long,
        value_name = "N",
        env = "PGDIAL_PERMITS",
        hide_env_values = true,
        allow_negative_numbers = true
    )]
    pub permits: Option<String>,
    /// How long finished calls are kept: `7d`, `0s`, `forever`. Default: 7d.
    #[arg(
        long,
        value_name = "TIME",
        env = "PGDIAL_KEEP_FINISHED",
        hide_env_values = true
    )]
    pub keep_finished: Option<String>,
    /// How long to sleep at most before looking for work unasked: `30s`, `off`. Default: 30s.
    #[arg(long, value_name = "TIME", env = "PGDIAL_POLL", hide_env_values = true)]
    pub poll: Option<String>,
    /// How long a stop waits for what is under way. Default: 35s, a dial and its record.
    #[arg(
        long,
        value_name = "TIME",
        env = "PGDIAL_GRACE",
        hide_env_values = true
    )]
    pub grace: Option<String>,
    /// Streams of events (`GET /api/v1/events`) at once, 0 to 1000. Default: 200.
    #[arg(
        long,
        value_name = "N",
        env = "PGDIAL_EVENT_STREAMS",
        hide_env_values = true,
        allow_negative_numbers = true
    )]
    pub event_streams: Option<String>,
    /// The largest webhook, in KiB, 64 to 65536. Eight of that size take all the room for them. Default: 4096.
    #[arg(
        long,
        value_name = "KIB",
        env = "PGDIAL_LARGEST_WEBHOOK",
        hide_env_values = true,
        allow_negative_numbers = true
    )]
    pub largest_webhook: Option<String>,
    /// Migrate the database before starting. Default: false.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        env = "PGDIAL_MIGRATE",
        hide_env_values = true
    )]
    pub migrate: Option<String>,
}

/// The variable of the same meaning as a flag: `--listen` is `PGDIAL_LISTEN`.
pub(super) fn variable_of(flag: &str) -> String {
    match flag {
        "database-url" => "DATABASE_URL".to_owned(),
        flag => format!("PGDIAL_{}", flag.to_ascii_uppercase().replace('-', "_")),
    }
}

/// The flag of the same meaning as a variable, where there is one.
pub(super) fn flag_of(variable: &str) -> Option<String> {
    let all = all();
    let mut flags = all.get_arguments().filter_map(Arg::get_long);
    let flag = flags.find(|flag| variable_of(flag) == variable)?;
    Some(format!("--{flag}"))
}

/// All of them, with their help.
pub(super) fn all() -> Command {
    Flags::augment_args(Common::augment_args(Command::new("pgdial")))
}
