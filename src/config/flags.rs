//! Flags, each with a variable of the same meaning. Secrets have none: a process list shows flags.
//!
//! The flags of every command are not read from the environment by clap, which would name them in the usage
//! line of every other mistake; [`Variables`](super::Variables) provides them.

use std::path::Path;

use clap::{Arg, Args, Command};

/// Flags of every command.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Common {
    /// Postgres URL, as in `postgres://pgdial@localhost/pgdial`.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "Postgres, as in `postgres://pgdial@localhost/pgdial` [env: DATABASE_URL]",
        help_heading = GLOBAL
    )]
    pub database_url: Option<String>,
    /// File of NAME=value lines; the environment takes precedence. Default: .env of this folder, if there is
    /// one.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "PGDIAL_ENV_FILE",
        hide_env_values = true,
        help_heading = GLOBAL
    )]
    pub env_file: Option<std::ffi::OsString>,
    /// Log filter, as in `info` or `warn,pgdial=debug`. Default: info for long-running processes, warn for
    /// the others.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        help = "What is logged, as in `info` or `warn,pgdial=debug`. Default: info for processes that stay, warn for the others [env: PGDIAL_LOG]",
        help_heading = GLOBAL
    )]
    pub log: Option<String>,
    /// Log format, on stderr: text or json. Default: text.
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
    /// The file given by name; an empty name counts as none.
    pub fn env_file(&self) -> Option<&Path> {
        let named = self.env_file.as_deref().filter(|name| !name.is_empty());
        named.map(Path::new)
    }
}

/// Help heading of the flags of every command.
pub(crate) const GLOBAL: &str = "Everywhere";

/// Flags of long-running processes, as texts: clap validates none of them, so that all invalid ones can be
/// reported together, wherever they come from.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Listen address of the API. Default: 127.0.0.1:8080.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "PGDIAL_LISTEN",
        hide_env_values = true
    )]
    pub listen: Option<String>,
    /// Additional listen address for `/metrics`, `/healthz` and `/readyz`, as for a worker without the API.
    /// Default: nowhere.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "PGDIAL_METRICS_LISTEN",
        hide_env_values = true
    )]
    pub metrics_listen: Option<String>,
    /// URL at which providers reach this process. Default: `http://` and the listen address, when that is
    /// loopback.
    #[arg(
        long,
        value_name = "URL",
        env = "PGDIAL_PUBLIC_URL",
        hide_env_values = true
    )]
    pub public_url: Option<String>,
    /// Address of trunk `default`'s provider.
    #[arg(
        long,
        value_name = "URL",
        env = "PGDIAL_PROVIDER_URL",
        hide_env_values = true
    )]
    pub provider_url: Option<String>,
    /// Limit of dials under way, 1 to 1000. Default: 30.
    #[arg(
        long,
        value_name = "N",
        env = "PGDIAL_PERMITS",
        hide_env_values = true,
        allow_negative_numbers = true
    )]
    pub permits: Option<String>,
    /// Retention of finished calls: `7d`, `0s`, `forever`. Default: 7d.
    #[arg(
        long,
        value_name = "TIME",
        env = "PGDIAL_KEEP_FINISHED",
        hide_env_values = true
    )]
    pub keep_finished: Option<String>,
    /// Longest sleep before looking for work: `30s`, `off`. Default: 30s.
    #[arg(long, value_name = "TIME", env = "PGDIAL_POLL", hide_env_values = true)]
    pub poll: Option<String>,
    /// How long a stop waits for work under way. Default: 35s, a dial and its record; longer where the platform of a
    /// trunk may take longer to place a call.
    #[arg(
        long,
        value_name = "TIME",
        env = "PGDIAL_GRACE",
        hide_env_values = true
    )]
    pub grace: Option<String>,
    /// Limit of concurrent event streams (`GET /api/v1/events`), 0 to 1000. Default: 200.
    #[arg(
        long,
        value_name = "N",
        env = "PGDIAL_EVENT_STREAMS",
        hide_env_values = true,
        allow_negative_numbers = true
    )]
    pub event_streams: Option<String>,
    /// Size limit of a webhook, in KiB, 64 to 65536. Eight of that size take all the room for them. Default:
    /// 4096.
    #[arg(
        long,
        value_name = "KIB",
        env = "PGDIAL_LARGEST_WEBHOOK",
        hide_env_values = true,
        allow_negative_numbers = true
    )]
    pub largest_webhook: Option<String>,
    /// Networks that events may be delivered to although they are not public, and over http:// too, comma-separated:
    /// `10.0.0.0/8,127.0.0.1`. Default: none.
    #[arg(
        long,
        value_name = "NETWORK,...",
        env = "PGDIAL_ENDPOINT_NETWORKS",
        hide_env_values = true
    )]
    pub endpoint_networks: Option<String>,
    /// Show the page at `/ui/` to whoever is on this host, without a key: no acts, numbers masked. Default: false.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        env = "PGDIAL_OPEN_VIEW",
        hide_env_values = true
    )]
    pub open_view: Option<String>,
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

/// Variable of a flag: `--listen` is `PGDIAL_LISTEN`.
pub(super) fn variable_of(flag: &str) -> String {
    match flag {
        "database-url" => "DATABASE_URL".to_owned(),
        flag => format!("PGDIAL_{}", flag.to_ascii_uppercase().replace('-', "_")),
    }
}

/// Flag of a variable, if there is one.
pub(super) fn flag_of(variable: &str) -> Option<String> {
    let all = all();
    let mut flags = all.get_arguments().filter_map(Arg::get_long);
    let flag = flags.find(|flag| variable_of(flag) == variable)?;
    Some(format!("--{flag}"))
}

/// All flags with their help.
pub(super) fn all() -> Command {
    Flags::augment_args(Common::augment_args(Command::new("pgdial")))
}
