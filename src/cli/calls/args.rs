//! Arguments of `calls`.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::{
    cli::values::{self, CallName, Number},
    domain::{CallState, Outcome, Region, Resolution, Why},
    export::Format,
    flow::listing::CallFilter,
};

/// List, explain, cancel, redrive, amend and export calls.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum CallsCommand {
    /// List calls, newest first.
    List(ListArgs),
    /// Show one call with its attempts and its history.
    Show {
        /// The call's id or its beginning, or what else `calls find` takes, if it names one call.
        #[arg(value_name = "CALL")]
        what: String,
        /// Region of a national number, as in US. Default: the regions of the campaigns.
        #[arg(long, value_name = "REGION")]
        region: Option<Region>,
    },
    /// Find calls by whatever names them.
    Find(FindArgs),
    /// Explain why a call is not being dialled, or what it waits for.
    Why {
        /// The call's id, or its beginning.
        #[arg(value_name = "CALL", value_parser = values::call_name)]
        id: CallName,
    },
    /// Show, for an auditor, why each dial of a call was allowed, and what came of it.
    Evidence {
        /// The call's id, or its beginning.
        #[arg(value_name = "CALL", value_parser = values::call_name)]
        id: CallName,
    },
    /// Cancel calls; for a live one, ask the provider to end it.
    Cancel(CancelArgs),
    /// Put finished calls back into the queue with all their attempts again.
    Redrive(RedriveArgs),
    /// Say what came of dials that nobody can explain: in doubt, or past their deadline.
    Resolve(ResolveArgs),
    /// Bring calls that a contact limit has put aside back to now; the next claim counts again.
    Recheck(RecheckArgs),
    /// Follow events as they happen.
    Tail(TailArgs),
    /// Change a waiting call. Its number and campaign cannot be changed.
    Amend(AmendArgs),
    /// Write calls with their results, as CSV or NDJSON.
    #[command(after_long_help = EXPORT)]
    Export(ExportArgs),
}

/// The format, for `--help`.
const EXPORT: &str = "\
NDJSON has a JSON object on each line: the call, its result, and each attempt with its trunk,
times and outcome. CSV has one line a call, with the columns id, to, from, campaign, script_id,
priority, state, outcome, disposition, attempt, max_attempts, attempts (how each ended, in
order), created_at, run_at, expires_at, started_at, answered_at, ended_at, trunk,
provider_call_id, last_error, owner, idempotency_key, callback_of, consent_at, consent_ref,
consent_expires_at, metadata and result (both as JSON). Where a text could be taken for
a formula by a spreadsheet, an apostrophe stands before it. Numbers are whole.
Pages are read one after another: calls that change meanwhile are written as they are then.";

/// A filter over calls; all parts given must match.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct FilterArgs {
    /// Calls of this campaign.
    #[arg(long, value_name = "NAME", help_heading = FILTER)]
    pub campaign: Option<String>,
    /// Calls whose latest claim was on this trunk; of waiting calls those whose campaign dials on it.
    #[arg(long, value_name = "NAME", help_heading = FILTER)]
    pub trunk: Option<String>,
    /// Calls in one of these states, as in `waiting,failed`.
    #[arg(long, value_name = "STATE", value_delimiter = ',', help_heading = FILTER)]
    pub state: Vec<CallState>,
    /// Calls whose latest attempt ended with one of these outcomes.
    #[arg(long, value_name = "OUTCOME", value_delimiter = ',', help_heading = FILTER, value_parser = values::outcome)]
    pub outcome: Vec<Outcome>,
    /// Calls to this number.
    #[arg(long, value_name = "NUMBER", help_heading = FILTER)]
    pub to: Option<Number>,
    /// Region whose national format --to is in, if it lacks + and country code, as in US.
    #[arg(long, value_name = "REGION", requires = "to", help_heading = FILTER)]
    pub region: Option<Region>,
    /// The call whose latest dial has this id at its provider.
    #[arg(long, value_name = "ID", help_heading = FILTER)]
    pub provider_call_id: Option<String>,
    /// Calls that were enqueued with this key.
    #[arg(long, value_name = "KEY", help_heading = FILTER)]
    pub idempotency_key: Option<String>,
    /// Calls whose metadata has this value under this key, as in lead=4711.
    #[arg(long, value_name = "KEY=VALUE", help_heading = FILTER)]
    pub metadata: Option<String>,
    /// Calls whose last error has these words, with … for ids and amounts, as in "call … refused: 503".
    #[arg(long, value_name = "WORDS", help_heading = FILTER)]
    pub error: Option<String>,
    /// Calls enqueued at or after this instant, as in 2026-01-31T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = values::instant, help_heading = FILTER)]
    pub created_after: Option<DateTime<Utc>>,
    /// Calls enqueued before this instant.
    #[arg(long, value_name = "TIME", value_parser = values::instant, help_heading = FILTER)]
    pub created_before: Option<DateTime<Utc>>,
    /// Calls due at or after this instant, or that were.
    #[arg(long, value_name = "TIME", value_parser = values::instant, help_heading = FILTER)]
    pub run_after: Option<DateTime<Utc>>,
    /// Calls due before this instant, or that were.
    #[arg(long, value_name = "TIME", value_parser = values::instant, help_heading = FILTER)]
    pub run_before: Option<DateTime<Utc>>,
    /// Calls that ended at or after this instant.
    #[arg(long, value_name = "TIME", value_parser = values::instant, help_heading = FILTER)]
    pub ended_after: Option<DateTime<Utc>>,
    /// Calls that ended before this instant.
    #[arg(long, value_name = "TIME", value_parser = values::instant, help_heading = FILTER)]
    pub ended_before: Option<DateTime<Utc>>,
}

const FILTER: &str = "Which calls";

impl FilterArgs {
    /// The filter: only what was given.
    pub(super) fn given(&self) -> CallFilter {
        let (state, outcome) = (&self.state, &self.outcome);
        CallFilter {
            state: (!state.is_empty()).then(|| state.clone()),
            outcome: (!outcome.is_empty()).then(|| outcome.clone()),
            to: self.to.as_ref().map(|to| to.spelled().to_owned()),
            region: self.region.map(|region| region.to_string()),
            campaign: self.campaign.clone(),
            trunk: self.trunk.clone(),
            provider_call_id: self.provider_call_id.clone(),
            idempotency_key: self.idempotency_key.clone(),
            metadata: self.metadata.clone(),
            error: self.error.clone(),
            created_after: self.created_after,
            created_before: self.created_before,
            run_after: self.run_after,
            run_before: self.run_before,
            ended_after: self.ended_after,
            ended_before: self.ended_before,
            ..CallFilter::default()
        }
    }
}

/// A filter, and how much of what it matches.
#[derive(Debug, Clone, clap::Args)]
pub struct ManyArgs {
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would take the place of the command's own help"
    )]
    pub filter: FilterArgs,
    /// Match every call. Needed because a missing filter is more often a mistake.
    #[arg(long, help_heading = FILTER)]
    pub every_call: bool,
    /// Maximum calls, 1 to 10000. With --all: calls per batch, each of which is a transaction.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1000, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub limit: i32,
    /// Go on, batch after batch, until all that match are done.
    #[arg(long)]
    pub all: bool,
    /// Only count what would happen.
    #[arg(long)]
    pub dry_run: bool,
}

/// A filter, a format and a destination.
#[derive(Debug, Clone, clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would take the place of the command's own help"
    )]
    pub filter: FilterArgs,
    /// Format. Default: CSV if FILE ends in .csv, else NDJSON.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Write to this file. Default: stdout.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What to look for.
#[derive(Debug, Clone, clap::Args)]
pub struct FindArgs {
    /// A telephone number in any spelling, a call's id, its beginning or a reference, the provider's id of its latest
    /// dial, its idempotency key, or key=value of its metadata, which is looked for among the newest 100,000 calls.
    #[arg(value_name = "WHAT", allow_hyphen_values = true)]
    pub what: String,
    /// Only calls of this campaign.
    #[arg(long, value_name = "NAME")]
    pub campaign: Option<String>,
    /// Region of a national number, as in US. Default: the regions of the campaigns.
    #[arg(long, value_name = "REGION")]
    pub region: Option<Region>,
    /// Calls to list.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub limit: i32,
}

/// A filter, and the page.
#[derive(Debug, Clone, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would take the place of the command's own help"
    )]
    pub filter: FilterArgs,
    /// Only calls created before this one: the last CALL of the previous page.
    #[arg(long, value_name = "CALL", value_parser = values::call_name)]
    pub below: Option<CallName>,
    /// Calls to list.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub limit: i32,
}

/// Filters, and where to start.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TailArgs {
    /// Start at an instant (RFC 3339), a duration before now as in `10m`, or `start`, the oldest event kept. Default:
    /// now.
    #[arg(long, value_name = "TIME", value_parser = values::since, conflicts_with = "after")]
    pub since: Option<values::Since>,
    /// Start after this event: the `cursor` of a --json line.
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
    /// Only these kinds, as in `completed,failed`.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub kind: Vec<String>,
    /// Only events of this campaign.
    #[arg(long, value_name = "NAME")]
    pub campaign: Option<String>,
    /// Only events on this trunk.
    #[arg(long, value_name = "NAME")]
    pub trunk: Option<String>,
    /// Only events of this call.
    #[arg(long, value_name = "CALL", value_parser = values::call_name)]
    pub call: Option<CallName>,
}

/// Calls by id or by filter.
#[derive(Debug, Clone, clap::Args)]
pub struct CancelArgs {
    /// Calls to cancel, unless a filter chooses them.
    #[arg(value_name = "CALL", value_parser = values::call_name)]
    pub ids: Vec<CallName>,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would take the place of the command's own help"
    )]
    pub many: ManyArgs,
    /// Reason, kept in the calls' history. Required with a filter.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<Why>,
}

/// Calls by id or by filter.
#[derive(Debug, Clone, clap::Args)]
pub struct RedriveArgs {
    /// Calls to redrive, unless a filter chooses them.
    #[arg(value_name = "CALL", value_parser = values::call_name)]
    pub ids: Vec<CallName>,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would take the place of the command's own help"
    )]
    pub many: ManyArgs,
    /// Reason, kept in the calls' history. Required with a filter.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<Why>,
    /// Redrive even calls that a person has answered, now or in an earlier run: they are rung again.
    #[arg(long)]
    pub force: bool,
}

/// Calls by id or by filter, and what came of their dials.
#[derive(Debug, Clone, clap::Args)]
pub struct ResolveArgs {
    /// Calls to resolve, unless a filter chooses them from those in doubt.
    #[arg(value_name = "CALL", value_parser = values::call_name)]
    pub ids: Vec<CallName>,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would take the place of the command's own help"
    )]
    pub many: ManyArgs,
    /// What came of the dial.
    #[arg(long = "as", value_enum, value_name = "WHAT")]
    pub resolution: Resolution,
    /// Claim number of the dial, as `calls show` has it: refused if the call has been claimed again.
    #[arg(long, value_name = "N", requires = "ids")]
    pub claim_no: Option<i64>,
    /// How you know; kept in the calls' history.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<Why>,
}

/// Calls by filter.
#[derive(Debug, Clone, clap::Args)]
pub struct RecheckArgs {
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would take the place of the command's own help"
    )]
    pub many: ManyArgs,
    /// Reason, kept in the calls' history.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<Why>,
}

/// The call, and what to change of it.
#[derive(Debug, Clone, clap::Args)]
pub struct AmendArgs {
    /// The call's id, or its beginning.
    #[arg(value_name = "CALL", value_parser = values::call_name)]
    pub id: CallName,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would take the place of the command's own help"
    )]
    pub changes: AmendChanges,
    /// Reason, kept in the call's history.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<Why>,
}

/// What to change; at least one is required.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = true)]
pub struct AmendChanges {
    /// The provider's id of the script, agent or assistant.
    #[arg(long, visible_alias = "script-id", value_name = "ID")]
    pub script: Option<String>,
    /// JSON object that replaces the call's metadata.
    #[arg(long, value_name = "JSON", value_parser = values::object)]
    pub metadata: Option<Map<String, Value>>,
    /// Where the callee is: an IANA time zone (may be repeated: all of them count), or `number`: as the number says.
    #[arg(long, value_name = "ZONE")]
    pub timezone: Vec<String>,
    /// Where the callee is: a part of a country, as in US-FL, or `number`: as the number says.
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Priority, 0 to 9; higher goes first.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub priority: Option<u8>,
    /// Earliest dial, as in 2026-01-31T09:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub run_at: Option<String>,
    /// Latest dial, or `never`.
    #[arg(long, value_name = "TIME", value_parser = values::instant_or_never)]
    pub expires_at: Option<Value>,
    /// Attempts, 1 to 20, at least as many as are already used.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub max_attempts: Option<u8>,
    /// When the callee agreed to be called, or `never`.
    #[arg(long, value_name = "TIME", value_parser = values::instant_or_never)]
    pub consent_at: Option<Value>,
    /// Where the consent is recorded.
    #[arg(long, value_name = "TEXT")]
    pub consent_ref: Option<String>,
    /// When the consent ends, or `never`.
    #[arg(long, value_name = "TIME", value_parser = values::instant_or_never)]
    pub consent_expires_at: Option<Value>,
}

impl AmendChanges {
    /// The body of `PATCH /calls/{id}`: only what was given, with null where it clears.
    pub(super) fn given(&self) -> Value {
        let timezone = match self.timezone.as_slice() {
            [] => None,
            [one] if one == "number" => Some(Value::Null),
            zones => Some(Value::from(zones)),
        };
        let region = self.region.as_deref().map(|region| match region {
            "number" => Value::Null,
            part => part.into(),
        });
        let given: [(&str, Option<Value>); 11] = [
            ("timezone", timezone),
            ("region", region),
            ("scriptId", self.script.clone().map(Value::from)),
            ("metadata", self.metadata.clone().map(Value::from)),
            ("priority", self.priority.map(Value::from)),
            ("runAt", self.run_at.clone().map(Value::from)),
            ("expiresAt", self.expires_at.clone()),
            ("maxAttempts", self.max_attempts.map(Value::from)),
            ("consentAt", self.consent_at.clone()),
            ("consentRef", self.consent_ref.clone().map(Value::from)),
            ("consentExpiresAt", self.consent_expires_at.clone()),
        ];
        let given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(given.collect())
    }
}
