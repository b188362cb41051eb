//! The command line: parses it and runs one command.
//!
//! A command is one function of its arguments, the queue's verbs ([`Queue`]) and the two streams ([`Out`]). It
//! returns a stable exit code ([`Exit`]) or words for a person ([`Failure`]), prints only through [`Out`] and never
//! reads the environment itself. Data goes to stdout, everything else to stderr.

use std::{process::ExitCode, sync::LazyLock};

use clap::{CommandFactory, Parser, Subcommand};
use secrecy::ExposeSecret;

use crate::{
    app,
    config::{self, Common, Flags, Log, Settings, Variables},
    db,
    flow::Queue,
    shown, telemetry,
};

pub mod acts;
pub mod calendars;
pub mod caller_ids;
pub mod calls;
pub mod check;
pub mod completions;
pub mod demo;
pub mod dnc;
pub mod doctor;
pub mod endpoints;
pub mod enqueue;
pub mod exit;
pub mod fake_provider;
pub mod forget;
pub mod healthcheck;
pub mod hours;
pub mod import;
pub mod keys;

// `campaigns` and `trunks`, which share their commands.
pub mod groups;
pub mod limits;

pub mod man;
pub mod ops;
pub mod out;

pub mod recover;
pub mod release;
pub mod sign;
pub mod top;
pub mod values;
pub mod webhooks;
pub mod workers;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use exit::{Exit, Failure};
pub use out::Out;

/// Outbound AI phone calls from a queue that lives in Postgres and in nothing else.
#[derive(Debug, Parser)]
#[command(
    name = "pgdial",
    version,
    long_version = version(),
    after_help = exit::CODES,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    everywhere: Everywhere,
    #[command(subcommand)]
    command: Command,
}

/// For `--version`: the release and the migration it needs.
fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let (release, migration) = (db::RELEASE, db::MIGRATION);
        format!("{release}\nneeds the schema at migration {migration}")
    });
    &VERSION
}

#[derive(Debug, clap::Args)]
struct Everywhere {
    /// Print JSON on stdout, with whole telephone numbers.
    #[arg(long, global = true, help_heading = config::GLOBAL)]
    json: bool,
    /// Show whole telephone numbers in tables instead of masked ones.
    #[arg(long, global = true, help_heading = config::GLOBAL)]
    full_numbers: bool,
    /// Who is acting, as the history shows it; idempotency keys are per name. Default: `cli:` and the user's name.
    #[arg(long, global = true, value_name = "NAME", help_heading = config::GLOBAL)]
    by: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run API, worker and sweep in one process.
    #[command(after_help = SECRETS)]
    Serve(Box<Flags>),
    /// Run the API alone: requests and webhooks.
    #[command(after_help = SECRETS)]
    Api(Box<Flags>),
    /// Run the worker and the sweep alone.
    #[command(after_help = SECRETS)]
    Work(Box<Flags>),
    /// Migrate the database to this release.
    Migrate {
        /// Also reapply functions and views that are already current, for example after someone changed one by hand.
        #[arg(long)]
        again: bool,
    },
    /// Show pgdial at work on this machine: a private Postgres, a fake provider, and 100 calls.
    Demo(demo::DemoArgs),
    /// Enqueue one call.
    Enqueue(enqueue::EnqueueArgs),
    /// Enqueue calls from a list: CSV, NDJSON or a workbook.
    #[command(after_long_help = import::COLUMNS)]
    Import(import::ImportArgs),
    /// List, explain, cancel, redrive, amend and export calls.
    #[command(subcommand)]
    Calls(calls::CallsCommand),
    /// Show slots, campaigns, rates and events, live; keys pause and resume.
    Top,
    /// Campaigns: named groups of calls with a cap, a weight, policies and a pause switch.
    #[command(subcommand)]
    Campaigns(CampaignsCommand),
    /// Trunks: provider accounts with slots, a pace and a pause switch.
    #[command(subcommand)]
    Trunks(TrunksCommand),
    /// Caller ids: the numbers that calls are dialled from, in pools that campaigns name.
    #[command(subcommand)]
    CallerIds(caller_ids::CallerIdsCommand),
    /// Contact limits: how often a number may be rung, by campaigns or by law.
    #[command(subcommand)]
    Limits(limits::LimitsCommand),
    /// Calling hours: when people may be rung, by their own clocks.
    #[command(subcommand)]
    Hours(hours::HoursCommand),
    /// Calendars: days with hours of their own, such as holidays.
    #[command(subcommand)]
    Calendars(calendars::CalendarsCommand),
    /// The do-not-call list.
    #[command(subcommand)]
    Dnc(dnc::DncCommand),
    /// Webhooks received from providers: list them, show their bodies, apply them again.
    #[command(subcommand)]
    Webhooks(webhooks::WebhooksCommand),
    /// Keys of the API: who may use it, and for what.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Endpoints: URLs that events are delivered to, as signed webhooks.
    #[command(subcommand)]
    Endpoints(endpoints::EndpointsCommand),
    /// Worker processes: list them, drain one.
    #[command(subcommand)]
    Workers(workers::WorkersCommand),
    /// The audit log: who did what to the queue, when and why.
    #[command(subcommand)]
    Acts(acts::ActsCommand),
    /// Erase a person's number, and what was said in their calls, from every table.
    #[command(after_long_help = forget::LIMITS)]
    Forget(forget::ForgetArgs),
    /// Run one of the prepared queries about the state of the queue.
    Ops(ops::OpsArgs),
    /// Release the number of a call that nobody knows the end of.
    Release(release::ReleaseArgs),
    /// After a restore or failover: ask the providers for the calls the database has lost.
    #[command(after_long_help = recover::STEPS)]
    Recover(recover::RecoverArgs),
    /// Check settings, database, listener and providers, and say what to fix.
    #[command(after_help = doctor::CODES)]
    Doctor(Box<Flags>),
    /// Run a fake provider, for trying and testing.
    FakeProvider(fake_provider::FakeProviderArgs),
    /// Sign a webhook body by hand, to send it with curl.
    Sign(sign::SignArgs),
    /// Print shell completions.
    #[command(after_help = completions::WHERE)]
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write one per command.
    Man(man::ManArgs),
    /// GET a URL once; succeed if it returns 200. For a container's HEALTHCHECK.
    Healthcheck(healthcheck::HealthcheckArgs),
}

/// What trunks have too, and a preview.
#[derive(Debug, Subcommand)]
enum CampaignsCommand {
    #[command(flatten)]
    Group(Box<groups::GroupCommand<groups::CampaignChanges>>),
    /// Show what would be dialled of its waiting calls, what keeps the others, and how long all would take.
    Preview(groups::preview::PreviewArgs),
}

/// What campaigns have too, and a question to the account.
#[derive(Debug, Subcommand)]
enum TrunksCommand {
    #[command(flatten)]
    Group(groups::GroupCommand<groups::TrunkChanges>),
    /// Ask a trunk's account whether key, numbers, scripts and webhook are right, without ringing anybody.
    #[command(after_help = check::CODES)]
    Check(check::CheckArgs),
}

const SECRETS: &str = "\
Secrets come from the environment or the .env file only:
  PGDIAL_WEBHOOK_SECRETS  what signs webhooks, comma-separated: the first signs, all verify
  PGDIAL_PROVIDER_KEY     the key that the provider asks for, if it does
  PGDIAL_API_KEYS         who may use the API, as name:key, comma-separated
Another trunk than `default` is described by PGDIAL_TRUNK_<NAME>_PROVIDER_URL, _PROVIDER_KEY
and _WEBHOOK_SECRETS. Wrong settings are reported all at once, with exit code 64.";

/// Whether a command line is one, for the test of those that the page shows.
#[doc(hidden)]
pub fn parses(words: impl IntoIterator<Item = String>) -> Result<(), String> {
    let parsed = Cli::try_parse_from(words);
    parsed.map(drop).map_err(|error| error.to_string())
}

/// Runs the program: reads the command line and settings, starts logging, runs the command.
pub fn main() -> ExitCode {
    // Settings come first: nothing is bound or connected to while one of them is wrong.
    let invocation = match Invocation::of_process() {
        Ok(invocation) => invocation,
        Err(end) => return end,
    };
    if let Err(end) = invocation.start_log() {
        return end;
    }
    // Declared before the runtime, so dropped after it: the last calls' spans are still sent.
    let _traces = invocation.start_traces();
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(invocation.run()),
        Err(error) => {
            tracing::error!(%error, "the system gives no threads");
            Exit::Internal.into()
        }
    }
}

/// A parsed command line with every setting its command needs.
#[derive(Debug)]
struct Invocation {
    log: Log,
    cli: Cli,
    variables: Variables,
    /// Set only for `serve`, `api` and `work`.
    run: Option<(app::Role, Settings)>,
    warnings: Vec<String>,
}

impl Invocation {
    /// Parses this process's arguments. `Err` means the process ends here: help was printed, or what is wrong was.
    fn of_process() -> Result<Self, ExitCode> {
        let cli = Cli::try_parse().map_err(|told| {
            // Help and version are not errors and go to stdout.
            told.print().ok();
            ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(Exit::Usage as u8))
        })?;
        Self::of(cli).map_err(|failure| end(&Err(failure)))
    }

    fn of(cli: Cli) -> Result<Self, Failure> {
        let variables = Variables::of_process(cli.common.env_file())?;
        let (mut run, mut warnings) = (None, Vec::new());
        if let Some((role, flags, api)) = cli.command.stays() {
            let (settings, odd) = Settings::read(&cli.common, flags, &variables, api)?;
            run = Some((role, settings));
            warnings = odd;
        }
        let stays =
            run.is_some() || matches!(cli.command, Command::FakeProvider(_) | Command::Demo(_));
        let default = match cli.command {
            _ if stays => "info",
            // A log line would land in the middle of the screen.
            Command::Top => "off",
            _ => "warn",
        };
        let log = Log::read(&cli.common, &variables, default)?;
        Ok(Self {
            log,
            cli,
            variables,
            run,
            warnings,
        })
    }

    /// Logs go to stderr, so that stdout carries only data.
    fn start_log(&self) -> Result<(), ExitCode> {
        let started = telemetry::init(&self.log.filter, self.log.format);
        started.map_err(|error| end(&Err(error.into())))
    }

    /// Only processes that stay send traces, and only if the environment names a collector.
    fn start_traces(&self) -> telemetry::trace::Exporting {
        match self.run {
            Some(_) => telemetry::export(&telemetry::trace::Traces::read(&self.variables)),
            None => telemetry::trace::Exporting::default(),
        }
    }

    async fn run(self) -> ExitCode {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        let everywhere = &self.cli.everywhere;
        let no_color = self.variables.get("NO_COLOR").is_some();
        let numbers = if everywhere.full_numbers {
            out::Numbers::Full
        } else {
            out::Numbers::Masked
        };
        let mut out = Out::of_process(everywhere.json, numbers, no_color);
        end(&Box::pin(self.dispatch(&mut out)).await)
    }

    async fn dispatch(self, out: &mut Out) -> Result<Exit, Failure> {
        if let Some((role, settings)) = self.run {
            app::run(role, settings).await?;
            return Ok(Exit::Ok);
        }
        match &self.cli.command {
            Command::Demo(args) => {
                demo::run(out, args, &self.cli.common, &self.variables).await?;
                Ok(Exit::Ok)
            }
            Command::FakeProvider(args) => {
                fake_provider::run(out, args, &self.variables).await?;
                Ok(Exit::Ok)
            }
            Command::Sign(args) => sign::run(args, &self.variables, out),
            Command::Trunks(TrunksCommand::Check(args)) => {
                check::run(args, &self.variables, out).await
            }
            Command::Healthcheck(args) => healthcheck::run(args, out).await,
            Command::Completions(args) => completions::run(args, Cli::command(), out),
            Command::Man(args) => man::run(args, Cli::command(), out),
            Command::Import(args) if args.dry_run => import::run(args, None, "", out).await,
            Command::Dnc(dnc::DncCommand::Import(args)) if args.dry_run => {
                dnc::import::run(args, None, "", out).await
            }
            Command::Doctor(flags) => {
                doctor::run(flags, &self.cli.common, &self.variables, out).await
            }
            Command::Migrate { again } => {
                migrate(*again, &self.cli.common, &self.variables, out).await
            }
            Command::Ops(args) if args.is_about_files() => ops::show(args, out),
            Command::Recover(args) => {
                let trunks = config::trunks(&self.variables)?;
                let calls = connect(&self.cli.common, &self.variables).await?;
                recover::run(args, &calls, &trunks, &self.by(), out).await
            }
            command => {
                let calls = connect(&self.cli.common, &self.variables).await?;
                let done = command
                    .with_calls(&calls, &self.variables, &self.by(), out)
                    .await;
                calls.send_wakes().await;
                done
            }
        }
    }

    /// `--by`, or `cli:` and the user's name.
    fn by(&self) -> String {
        let by = self.cli.everywhere.by.clone();
        by.unwrap_or_else(|| values::default_by(&self.variables))
    }
}

impl Command {
    /// For a command that stays: its role, its settings, and whether its API is open.
    fn stays(&self) -> Option<(app::Role, &Flags, config::Api)> {
        match self {
            Self::Serve(flags) => Some((app::Role::Serve, flags, config::Api::Open)),
            Self::Api(flags) => Some((app::Role::Api, flags, config::Api::Open)),
            Self::Work(flags) => Some((app::Role::Work, flags, config::Api::Closed)),
            _ => None,
        }
    }

    async fn with_calls(
        &self,
        calls: &Queue,
        variables: &Variables,
        by: &str,
        out: &mut Out,
    ) -> Result<Exit, Failure> {
        match self {
            Self::Enqueue(args) => enqueue::run(args, calls, by, out).await,
            Self::Import(args) => import::run(args, Some(calls), by, out).await,
            Self::Calls(command) => calls::run(command, calls, by, out).await,
            Self::Top => top::run(calls, by, out).await,
            Self::Campaigns(CampaignsCommand::Group(command)) => {
                groups::run(command, calls, by, out).await
            }
            Self::Campaigns(CampaignsCommand::Preview(args)) => {
                groups::preview::run(args, calls, out).await?;
                Ok(Exit::Ok)
            }
            Self::Trunks(TrunksCommand::Group(command)) => {
                groups::run(command, calls, by, out).await
            }
            Self::CallerIds(command) => caller_ids::run(command, calls, by, out).await,
            Self::Limits(command) => limits::run(command, calls, by, out).await,
            Self::Hours(command) => hours::run(command, calls, by, out).await,
            Self::Calendars(command) => calendars::run(command, calls, by, out).await,
            Self::Dnc(command) => dnc::run(command, calls, by, out).await,
            Self::Webhooks(command) => webhooks::run(command, calls, variables, by, out).await,
            Self::Keys(command) => keys::run(command, calls, by, out).await,
            Self::Endpoints(command) => endpoints::run(command, calls, by, out).await,
            Self::Workers(command) => workers::run(command, calls, by, out).await,
            Self::Acts(command) => acts::run(command, calls, out).await,
            Self::Forget(args) => forget::run(args, calls, by, out).await,
            Self::Release(args) => release::run(args, calls, by, out).await,
            Self::Ops(args) => ops::run(args, calls, out).await,
            // Listed one by one, so that a new command has to be placed here or in `dispatch`.
            Self::Serve(_)
            | Self::Api(_)
            | Self::Work(_)
            | Self::Migrate { .. }
            | Self::Recover(_)
            | Self::Doctor(_)
            | Self::Trunks(TrunksCommand::Check(_))
            | Self::Completions(_)
            | Self::Man(_)
            | Self::Demo(_)
            | Self::FakeProvider(_)
            | Self::Sign(_)
            | Self::Healthcheck(_) => {
                Err(Failure::usage(Cli::command().render_usage().to_string()))
            }
        }
    }
}

/// Prints the failure, if any, and returns the exit code.
fn end(done: &Result<Exit, Failure>) -> ExitCode {
    use std::io::Write;
    match done {
        Ok(exit) => (*exit).into(),
        Err(failure) => {
            let words = failure.to_string();
            for line in words.lines() {
                writeln!(std::io::stderr(), "{}", shown::plain(line)).ok();
            }
            failure.exit().into()
        }
    }
}

/// Enough for `import`, the hungriest command, which has two batches under way.
const CONNECTIONS: u32 = 4;

async fn connect(common: &Common, variables: &Variables) -> Result<Queue, Failure> {
    let url = config::database_url(common, variables)?;
    let pool = db::connect(url.expose_secret(), "cli", CONNECTIONS).await?;
    db::check_schema(&pool).await?;
    Ok(Queue::new(pool))
}

async fn migrate(
    again: bool,
    common: &Common,
    variables: &Variables,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let url = config::database_url(common, variables)?;
    let pool = db::connect(url.expose_secret(), "migrate", CONNECTIONS).await?;
    let migrated = if again {
        db::migrate_again(&pool).await?
    } else {
        db::migrate(&pool).await?
    };
    if out.style.json {
        out.json(
            &serde_json::json!({ "applied": migrated.applied, "functions": migrated.functions }),
        )?;
    } else {
        out.line(migrated.to_string())?;
    }
    Ok(Exit::Ok)
}
