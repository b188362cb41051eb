//! What may be asked of `calls`.

use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::{
    cli::values::{self, Number},
    domain::{CallId, CallState, Outcome, Region, Resolution},
    export::Format,
};

/// Look at calls, and change their course.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum CallsCommand {
    /// Calls, newest first.
    List(ListArgs),
    /// One call with its attempts and its history.
    Show {
        /// The call.
        #[arg(value_name = "CALL", value_parser = values::call_id)]
        id: CallId,
    },
    /// Why is this call not being dialled, or what is awaited?
    Why {
        /// The call.
        #[arg(value_name = "CALL", value_parser = values::call_id)]
        id: CallId,
    },
    /// Cancel calls; of a live one, ask the provider to end it.
    Cancel(CancelArgs),
    /// Put finished calls back, with all their attempts again.
    Redrive(RedriveArgs),
    /// Say what came of dials that nobody can explain: in doubt, or past their deadline.
    Resolve(ResolveArgs),
    /// What happens to calls, as it happens.
    Tail(TailArgs),
    /// Change a call that still waits. Its number and campaign cannot be changed.
    Amend(AmendArgs),
    /// Write calls with their results, as CSV or NDJSON.
    #[command(after_long_help = EXPORT)]
    Export(ExportArgs),
}

/// What an export is, for its help.
const EXPORT: &str = "\
NDJSON has a JSON object on each line: the call, its result, and each attempt with its trunk,
times and outcome. CSV has one line a call, with the columns id, to, from, campaign, script_id,
priority, state, outcome, attempt, max_attempts, attempts (how each ended, in order),
created_at, run_at, started_at, answered_at, ended_at, trunk, provider_call_id, last_error,
owner, idempotency_key, metadata and result (both as JSON). Where a text could be taken for
a formula by a spreadsheet, an apostrophe stands before it. Numbers are whole.
Pages are read one after another: calls that change meanwhile are written as they are then.";

/// Which calls: all that is given must hold.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct FilterArgs {
    /// Of this campaign.
    #[arg(long, value_name = "NAME", help_heading = FILTER)]
    pub campaign: Option<String>,
    /// In this state; may be given several times.
    #[arg(long, value_name = "STATE", help_heading = FILTER)]
    pub state: Vec<CallState>,
    /// Whose latest attempt ended like this; may be given several times.
    #[arg(long, value_name = "OUTCOME", help_heading = FILTER, value_parser = values::outcome)]
    pub outcome: Vec<Outcome>,
    /// To this number.
    #[arg(long, value_name = "NUMBER", help_heading = FILTER)]
    pub to: Option<Number>,
    /// Where it is dialled as it stands, if it has no + and country code, as in US.
    #[arg(long, value_name = "REGION", requires = "to", help_heading = FILTER)]
    pub region: Option<Region>,
    /// Enqueued at this instant or later, as in 2026-01-31T09:00:00Z.
    #[arg(long, value_name = "TIME", help_heading = FILTER)]
    pub created_after: Option<String>,
    /// Enqueued before this instant.
    #[arg(long, value_name = "TIME", help_heading = FILTER)]
    pub created_before: Option<String>,
    /// Ended at this instant or later.
    #[arg(long, value_name = "TIME", help_heading = FILTER)]
    pub ended_after: Option<String>,
    /// Ended before this instant.
    #[arg(long, value_name = "TIME", help_heading = FILTER)]
    pub ended_before: Option<String>,
}

const FILTER: &str = "Which calls";

impl FilterArgs {
    /// As `POST /calls/cancel` takes it: only what was given.
    pub(super) fn given(&self) -> Map<String, Value> {
        let words = |words: Vec<&str>| (!words.is_empty()).then(|| Value::from(words));
        let text = |text: &Option<String>| text.clone().map(Value::from);
        let given: [(&str, Option<Value>); 9] = [
            ("campaign", text(&self.campaign)),
            (
                "state",
                words(self.state.iter().map(|state| state.as_str()).collect()),
            ),
            (
                "outcome",
                words(
                    self.outcome
                        .iter()
                        .map(|outcome| outcome.as_str())
                        .collect(),
                ),
            ),
            ("to", self.to.as_ref().map(|to| to.spelled().into())),
            ("region", self.region.map(Value::from)),
            ("createdAfter", text(&self.created_after)),
            ("createdBefore", text(&self.created_before)),
            ("endedAfter", text(&self.ended_after)),
            ("endedBefore", text(&self.ended_before)),
        ];
        let given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        given.collect()
    }
}

/// How much of what a filter means.
#[derive(Debug, Clone, clap::Args)]
pub struct ManyArgs {
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would take the place of the command's own help"
    )]
    pub filter: FilterArgs,
    /// Every call: a filter that is left out is more often a mistake.
    #[arg(long, help_heading = FILTER)]
    pub every_call: bool,
    /// Calls at most, 1 to 10000; with --all: of one batch, each of which is a transaction.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1000, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub limit: i32,
    /// All that match, batch after batch.
    #[arg(long)]
    pub all: bool,
    /// Only say how many would come to what.
    #[arg(long)]
    pub dry_run: bool,
}

/// Which calls, and where to.
#[derive(Debug, Clone, clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would take the place of the command's own help"
    )]
    pub filter: FilterArgs,
    /// In which form; CSV if FILE ends in .csv, else NDJSON.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Into this file, instead of stdout.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Which calls.
#[derive(Debug, Clone, clap::Args)]
pub struct ListArgs {
    /// In this state only.
    #[arg(long)]
    pub state: Option<CallState>,
    /// To this number only.
    #[arg(long, value_name = "NUMBER")]
    pub to: Option<Number>,
    /// Where it is dialled as it stands, if it has no + and country code, as in US.
    #[arg(long, value_name = "REGION", requires = "to")]
    pub region: Option<Region>,
    /// Of this campaign only.
    #[arg(long, value_name = "NAME")]
    pub campaign: Option<String>,
    /// Created before this call only: the last one of the page before.
    #[arg(long, value_name = "CALL", value_parser = values::call_id)]
    pub below: Option<CallId>,
    /// How many.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
    pub limit: i64,
}

/// Which events, and from where.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TailArgs {
    /// From when: an instant (RFC 3339), a length of time before now as in `10m`, or `start`, the oldest that is kept. Default: now.
    #[arg(long, value_name = "TIME", value_parser = values::since, conflicts_with = "after")]
    pub since: Option<values::Since>,
    /// After this event: the `cursor` of a line of --json.
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
    /// Of these kinds only, as in `completed,failed`.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub kind: Vec<String>,
    /// Of this campaign only.
    #[arg(long, value_name = "NAME")]
    pub campaign: Option<String>,
    /// On this trunk only.
    #[arg(long, value_name = "NAME")]
    pub trunk: Option<String>,
    /// Of this call only.
    #[arg(long, value_name = "CALL", value_parser = values::call_id)]
    pub call: Option<CallId>,
}

/// Which calls, and why.
#[derive(Debug, Clone, clap::Args)]
pub struct CancelArgs {
    /// The calls; or say which with a filter.
    #[arg(value_name = "CALL", value_parser = values::call_id)]
    pub ids: Vec<CallId>,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would take the place of the command's own help"
    )]
    pub many: ManyArgs,
    /// Kept in the call's history; with a filter it is needed.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

/// Which calls, and why.
#[derive(Debug, Clone, clap::Args)]
pub struct RedriveArgs {
    /// The calls; or say which with a filter.
    #[arg(value_name = "CALL", value_parser = values::call_id)]
    pub ids: Vec<CallId>,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would take the place of the command's own help"
    )]
    pub many: ManyArgs,
    /// Kept in the call's history; with a filter it is needed.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Even one that somebody has answered, now or in an earlier run: ring them again.
    #[arg(long)]
    pub force: bool,
}

/// Which calls, what came of them, and how you know.
#[derive(Debug, Clone, clap::Args)]
pub struct ResolveArgs {
    /// The calls; or say which with a filter: those in doubt that fit it.
    #[arg(value_name = "CALL", value_parser = values::call_id)]
    pub ids: Vec<CallId>,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would take the place of the command's own help"
    )]
    pub many: ManyArgs,
    /// What came of the dial.
    #[arg(long = "as", value_enum, value_name = "WHAT")]
    pub resolution: Resolution,
    /// Of the dial with this number in `calls show`: refused where the call has been claimed again.
    #[arg(long, value_name = "N", requires = "ids")]
    pub claim_no: Option<i64>,
    /// How you know; kept in the call's history.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

/// Which call, and what to change.
#[derive(Debug, Clone, clap::Args)]
pub struct AmendArgs {
    /// The call.
    #[arg(value_name = "CALL", value_parser = values::call_id)]
    pub id: CallId,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would take the place of the command's own help"
    )]
    pub changes: AmendChanges,
}

/// What to change: at least one of these.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = true)]
pub struct AmendChanges {
    /// What the provider should say.
    #[arg(long, visible_alias = "script-id", value_name = "ID")]
    pub script: Option<String>,
    /// Instead of the metadata that it has: a JSON object.
    #[arg(long, value_name = "JSON", value_parser = values::object)]
    pub metadata: Option<Map<String, Value>>,
    /// 0 to 9, higher first.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub priority: Option<u8>,
    /// Not before this instant.
    #[arg(long, value_name = "TIME")]
    pub run_at: Option<String>,
    /// Not after this instant, or `never`.
    #[arg(long, value_name = "TIME", value_parser = values::instant_or_never)]
    pub expires_at: Option<Value>,
    /// How many attempts, 1 to 20, not below those already used.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub max_attempts: Option<u8>,
}

impl AmendChanges {
    /// As `PATCH /calls/{id}` takes it: only what was given, and null where it clears.
    pub(super) fn given(&self) -> Value {
        let given: [(&str, Option<Value>); 6] = [
            ("scriptId", self.script.clone().map(Value::from)),
            ("metadata", self.metadata.clone().map(Value::from)),
            ("priority", self.priority.map(Value::from)),
            ("runAt", self.run_at.clone().map(Value::from)),
            ("expiresAt", self.expires_at.clone()),
            ("maxAttempts", self.max_attempts.map(Value::from)),
        ];
        let given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(given.collect())
    }
}
