//! What may be asked of `calls`.

use serde_json::{Map, Value};

use crate::{
    cli::values,
    domain::{CallId, CallState, Phone},
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
    /// What happens to calls, as it happens.
    Tail(TailArgs),
    /// Change a call that still waits. Its number and campaign cannot be changed.
    Amend(AmendArgs),
}

/// Which calls.
#[derive(Debug, Clone, clap::Args)]
pub struct ListArgs {
    /// In this state only.
    #[arg(long)]
    pub state: Option<CallState>,
    /// To this number only.
    #[arg(long, value_name = "NUMBER")]
    pub to: Option<Phone>,
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
    /// The calls.
    #[arg(value_name = "CALL", required = true, value_parser = values::call_id)]
    pub ids: Vec<CallId>,
    /// Kept in the call's history.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

/// Which calls, and why.
#[derive(Debug, Clone, clap::Args)]
pub struct RedriveArgs {
    /// The calls.
    #[arg(value_name = "CALL", required = true, value_parser = values::call_id)]
    pub ids: Vec<CallId>,
    /// Kept in the call's history.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Even a completed one: somebody has already spoken to us.
    #[arg(long)]
    pub force: bool,
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
