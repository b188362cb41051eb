//! The command line: what is asked for, and who does it.
//!
//! A command is one function that takes its arguments, the queue's verbs
//! ([`Queue`]) and the two streams ([`Out`]), and answers with a stable exit code
//! ([`Exit`]) or with words for a person ([`Failure`]); it prints nothing by any other
//! way and reads no environment. Data goes to stdout, everything else to stderr.

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

// `acts`: who did what, when and why.
pub mod acts;

// `calls`: look at calls, and change their course.
pub mod calls;

// `completions`: for a shell.
pub mod completions;

// `demo`: everything on one machine.
pub mod demo;

// `dnc`: the list of numbers not to ring.
pub mod dnc;

// `doctor`: what is wrong.
pub mod doctor;

// `enqueue`: one call.
pub mod enqueue;

// How a command ends.
pub mod exit;

// `fake-provider`: a provider that only pretends to call.
pub mod fake_provider;

// `forget`: a number, out of every table.
pub mod forget;

// `healthcheck`: for containers.
pub mod healthcheck;

// `import`: calls from a list.
pub mod import;

// `campaigns` and `trunks`.
pub mod lanes;

// Lists of numbers as people keep them.
mod lists;

// `man`: manual pages.
pub mod man;

// `ops`: the questions of people.
pub mod ops;

// Where a command writes.
pub mod out;

// `recover`: after a restore or a failover.
pub mod recover;

// `release`: the end of a hold.
pub mod release;

// `sign`: a webhook by hand.
pub mod sign;

// `top`: everything at a glance, live.
pub mod top;

// Single values of the command line.
pub mod values;

// `webhooks`: what providers told us.
pub mod webhooks;

// `workers`: who is there, and who is told to go.
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

/// The release, and what it needs of the database.
fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let (release, migration) = (db::RELEASE, db::MIGRATION);
        format!("{release}\nneeds the schema at migration {migration}")
    });
    &VERSION
}

#[derive(Debug, clap::Args)]
struct Everywhere {
    /// JSON on stdout, for programs, with whole telephone numbers.
    #[arg(long, global = true, help_heading = config::GLOBAL)]
    json: bool,
    /// Show whole telephone numbers in tables, not masked ones.
    #[arg(long, global = true, help_heading = config::GLOBAL)]
    full_numbers: bool,
    /// Who asks, as the history shows it; also whose idempotency keys these are. Default: `cli:` and the user's name.
    #[arg(long, global = true, value_name = "NAME", help_heading = config::GLOBAL)]
    by: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run API, worker and sweep in one process.
    #[command(after_help = SECRETS)]
    Serve(Box<Flags>),
    /// Run the API alone: orders and webhooks.
    #[command(after_help = SECRETS)]
    Api(Box<Flags>),
    /// Run worker and sweep alone.
    #[command(after_help = SECRETS)]
    Work(Box<Flags>),
    /// Bring the database to this release.
    Migrate {
        /// Apply all functions and views once more, also those that are there: after somebody has changed one.
        #[arg(long)]
        again: bool,
    },
    /// Show everything on this machine: a private Postgres, a provider that pretends, and calls.
    Demo(demo::DemoArgs),
    /// Ask for one call.
    Enqueue(enqueue::EnqueueArgs),
    /// Ask for many calls, from a list: CSV, NDJSON or a workbook.
    #[command(after_long_help = import::COLUMNS)]
    Import(import::ImportArgs),
    /// Look at calls, and change their course.
    #[command(subcommand)]
    Calls(calls::CallsCommand),
    /// Everything at a glance, live: slots, campaigns, rates, events; keys to pause and resume.
    Top,
    /// Named lanes of calls: cap, weight, policies, pause.
    #[command(subcommand)]
    Campaigns(lanes::LaneCommand<lanes::CampaignChanges>),
    /// Provider accounts: slots, pace, pause.
    #[command(subcommand)]
    Trunks(lanes::LaneCommand<lanes::TrunkChanges>),
    /// The list of numbers not to ring.
    #[command(subcommand)]
    Dnc(dnc::DncCommand),
    /// What providers told us: list it, read it, apply it again.
    #[command(subcommand)]
    Webhooks(webhooks::WebhooksCommand),
    /// Worker processes: who is there, and who is told to go.
    #[command(subcommand)]
    Workers(workers::WorkersCommand),
    /// The audit: who did what to the queue, when and why.
    #[command(subcommand)]
    Acts(acts::ActsCommand),
    /// Take a person's number, and what was said with it, out of every table.
    #[command(after_long_help = forget::LIMITS)]
    Forget(forget::ForgetArgs),
    /// Ask what the queue is doing: the questions of somebody on call.
    Ops(ops::OpsArgs),
    /// Free the number of a call whose end nobody knows.
    Release(release::ReleaseArgs),
    /// After a restore or a failover: ask the providers about what the database has lost.
    #[command(after_long_help = recover::STEPS)]
    Recover(recover::RecoverArgs),
    /// Look at settings, database, listener and providers, and say what to mend.
    #[command(after_help = doctor::CODES)]
    Doctor(Box<Flags>),
    /// Run a provider that only pretends to call.
    FakeProvider(fake_provider::FakeProviderArgs),
    /// Sign a webhook's body by hand, to send it with curl.
    Sign(sign::SignArgs),
    /// Print completions for a shell, made from the commands themselves.
    #[command(after_help = completions::WHERE)]
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write one for each command.
    Man(man::ManArgs),
    /// Ask a URL once; done if it answers 200. For a container's HEALTHCHECK.
    Healthcheck(healthcheck::HealthcheckArgs),
}

const SECRETS: &str = "\
Secrets come from the environment or the .env file only:
  PGDIAL_WEBHOOK_SECRETS  what signs webhooks, comma-separated: the first signs, all verify
  PGDIAL_PROVIDER_KEY     the key that the provider asks for, if it does
  PGDIAL_API_KEYS         who may use the API, as name:key, comma-separated
Another trunk than `default` is described by PGDIAL_TRUNK_<NAME>_PROVIDER_URL, _PROVIDER_KEY
and _WEBHOOK_SECRETS. Wrong settings are reported all at once, with exit code 64.";

/// The whole program: reads what is asked for, starts the log, and does it.
pub fn main() -> ExitCode {
    // Settings come first: nothing is bound or connected to while one of them is wrong.
    let invocation = match Invocation::of_process() {
        Ok(invocation) => invocation,
        Err(end) => return end,
    };
    if let Err(end) = invocation.start_log() {
        return end;
    }
    // Dropped after the runtime: what the last calls left is sent then.
    let _traces = invocation.start_traces();
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(invocation.run()),
        Err(error) => {
            tracing::error!(%error, "the system gives no threads");
            Exit::Internal.into()
        }
    }
}

/// A command line that was understood, with every setting that it needs.
#[derive(Debug)]
struct Invocation {
    log: Log,
    cli: Cli,
    variables: Variables,
    /// Of a process that stays: what it does, and everything it needs to know.
    run: Option<(app::Role, Settings)>,
    warnings: Vec<String>,
}

impl Invocation {
    /// Of this process. Otherwise its end: help was printed, or what is wrong was.
    fn of_process() -> Result<Self, ExitCode> {
        let cli = Cli::try_parse().map_err(|told| {
            // Help and version are no errors, and go to stdout.
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
        let usual = match cli.command {
            _ if stays => "info",
            // A line of log would stand in the middle of the screen.
            Command::Top => "off",
            _ => "warn",
        };
        let log = Log::read(&cli.common, &variables, usual)?;
        Ok(Self {
            log,
            cli,
            variables,
            run,
            warnings,
        })
    }

    /// Starts the log of this process, on stderr.
    fn start_log(&self) -> Result<(), ExitCode> {
        let started = telemetry::init(&self.log.filter, self.log.format);
        started.map_err(|error| end(&Err(error.into())))
    }

    /// Begins to send traces, where the environment says where to: of processes that stay.
    fn start_traces(&self) -> telemetry::trace::Exporting {
        match self.run {
            Some(_) => telemetry::export(&telemetry::trace::Traces::read(&self.variables)),
            None => telemetry::trace::Exporting::default(),
        }
    }

    /// Does what was asked for.
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
                let done = command.with_calls(&calls, &self.by(), out).await;
                calls.send_wakes().await;
                done
            }
        }
    }

    /// Who asks.
    fn by(&self) -> String {
        let by = self.cli.everywhere.by.clone();
        by.unwrap_or_else(|| values::usual_by(&self.variables))
    }
}

impl Command {
    /// Of a command that stays: what it does, what it was told, and whether it takes orders.
    fn stays(&self) -> Option<(app::Role, &Flags, config::Api)> {
        match self {
            Self::Serve(flags) => Some((app::Role::Serve, flags, config::Api::Open)),
            Self::Api(flags) => Some((app::Role::Api, flags, config::Api::Open)),
            Self::Work(flags) => Some((app::Role::Work, flags, config::Api::Closed)),
            _ => None,
        }
    }

    async fn with_calls(&self, calls: &Queue, by: &str, out: &mut Out) -> Result<Exit, Failure> {
        match self {
            Self::Enqueue(args) => enqueue::run(args, calls, by, out).await,
            Self::Import(args) => import::run(args, Some(calls), by, out).await,
            Self::Calls(command) => calls::run(command, calls, by, out).await,
            Self::Top => top::run(calls, by, out).await,
            Self::Campaigns(command) => lanes::run(command, calls, by, out).await,
            Self::Trunks(command) => lanes::run(command, calls, by, out).await,
            Self::Dnc(command) => dnc::run(command, calls, by, out).await,
            Self::Webhooks(command) => webhooks::run(command, calls, by, out).await,
            Self::Workers(command) => workers::run(command, calls, by, out).await,
            Self::Acts(command) => acts::run(command, calls, out).await,
            Self::Forget(args) => forget::run(args, calls, by, out).await,
            Self::Release(args) => release::run(args, calls, by, out).await,
            Self::Ops(args) => ops::run(args, calls, out).await,
            // Named one by one: a new command must be placed here or in `dispatch`.
            Self::Serve(_)
            | Self::Api(_)
            | Self::Work(_)
            | Self::Migrate { .. }
            | Self::Recover(_)
            | Self::Doctor(_)
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

/// Says what failed, if anything did, and gives the code.
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

/// Commands need few connections; an import sends one batch at a time.
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
