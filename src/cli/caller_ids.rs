//! `caller-ids`: the numbers that calls are dialled from, in pools that campaigns name.
//!
//! They are shown whole: they belong to whoever runs pgdial, and are what these commands take.

use serde_json::{Map, Value, json};

use super::{
    Exit, Failure, Out,
    groups::{only_given, paused, refused},
    out::{instant, or_empty, or_none},
    values::{self, Interval, Limit},
};
use crate::{
    domain::{Phone, Why},
    flow::{Queue, view::CallerId},
};

/// The numbers that calls are dialled from.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum CallerIdsCommand {
    /// List them by pool, with their dials of the last 24 hours.
    List {
        /// Only those of this pool.
        #[arg(long, value_name = "NAME")]
        pool: Option<String>,
    },
    /// Add numbers to a pool. Campaigns with this pool dial from them, from the next claim on.
    Add {
        /// Numbers to add, as in +14155550199.
        #[arg(value_name = "NUMBER", required = true)]
        numbers: Vec<Phone>,
        /// Pool to add them to; a new name makes a new pool.
        #[arg(long, value_name = "NAME")]
        pool: String,
        /// Trunk whose account owns them. Default: default.
        #[arg(long, value_name = "NAME")]
        trunk: Option<String>,
        /// Maximum dials within 24 hours, or none.
        #[arg(long, value_name = "N|none", allow_negative_numbers = true, value_parser = values::number_or_none::<i64>)]
        daily_cap: Option<Limit<i64>>,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
    /// Move numbers to another pool or trunk, cap, pause or resume them, or let them rest.
    Set {
        /// Numbers to change.
        #[arg(value_name = "NUMBER", required = true)]
        numbers: Vec<Phone>,
        /// Pool that they belong to.
        #[arg(long, value_name = "NAME")]
        pool: Option<String>,
        /// Trunk whose account owns them.
        #[arg(long, value_name = "NAME")]
        trunk: Option<String>,
        /// Maximum dials within 24 hours, or none.
        #[arg(long, value_name = "N|none", allow_negative_numbers = true, value_parser = values::number_or_none::<i64>)]
        daily_cap: Option<Limit<i64>>,
        /// Dial from them no more, or again.
        #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
        paused: Option<bool>,
        /// Do not dial from them for this long, or none: end their rest.
        #[arg(long, value_name = "TIME|none", value_parser = values::interval_or_none)]
        rest: Option<Limit<Interval>>,
        /// Reason, kept in the audit log; required for a pause and for a rest.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
    /// Remove numbers from their pools. Live calls from them go on.
    Remove {
        /// Numbers to remove.
        #[arg(value_name = "NUMBER", required = true)]
        numbers: Vec<Phone>,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
}

/// Runs one `caller-ids` command.
pub async fn run(
    command: &CallerIdsCommand,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    match command {
        CallerIdsCommand::List { pool } => {
            list(&calls.caller_ids(pool.as_deref(), None).await?, out)
        }
        CallerIdsCommand::Add {
            numbers,
            pool,
            trunk,
            daily_cap,
            why,
        } => {
            let given = given(Some(pool), trunk.as_ref(), *daily_cap).into();
            let mut rows = Vec::new();
            for number in numbers {
                let added = calls
                    .add_caller_id(number, &given, by, why.as_deref())
                    .await;
                let word = if added.map_err(refused)? {
                    "added"
                } else {
                    "in_a_pool"
                };
                rows.push((number, word));
            }
            verdicts(&rows, "added", out)
        }
        CallerIdsCommand::Set {
            numbers,
            pool,
            trunk,
            daily_cap,
            paused,
            rest,
            why,
        } => {
            let mut given = given(pool.as_ref(), trunk.as_ref(), *daily_cap);
            given.extend(only_given([
                ("paused", paused.map(Value::from)),
                (
                    "rest",
                    rest.map(|rest| match rest {
                        Limit::Of(time) => time.to_sql().into(),
                        Limit::Unlimited => Value::Null,
                    }),
                ),
            ]));
            if given.is_empty() {
                return Err(Failure::usage("nothing to change was given")
                    .hint("`pgdial caller-ids set --help` shows what can be set"));
            }
            let given = given.into();
            let mut rows = Vec::new();
            for number in numbers {
                let found = calls
                    .set_caller_id(number, &given, by, why.as_deref())
                    .await;
                let word = if found.map_err(refused)? {
                    "changed"
                } else {
                    "in_no_pool"
                };
                rows.push((number, word));
            }
            verdicts(&rows, "changed", out)
        }
        CallerIdsCommand::Remove { numbers, why } => {
            let mut rows = Vec::new();
            for number in numbers {
                let removed = calls.remove_caller_id(number, by, why.as_deref()).await?;
                rows.push((number, if removed { "removed" } else { "in_no_pool" }));
            }
            verdicts(&rows, "removed", out)
        }
    }
}

fn given(
    pool: Option<&String>,
    trunk: Option<&String>,
    daily_cap: Option<Limit<i64>>,
) -> Map<String, Value> {
    only_given([
        ("pool", pool.cloned().map(Value::from)),
        ("trunk", trunk.cloned().map(Value::from)),
        ("dailyCap", daily_cap.map(Limit::into_json)),
    ])
}

/// Prints what became of each number; not all of them `done` is a failure.
fn verdicts(rows: &[(&Phone, &str)], done: &str, out: &mut Out) -> Result<Exit, Failure> {
    if out.style.json {
        let rows = rows
            .iter()
            .map(|(number, word)| json!({ "number": number.as_e164(), "verdict": word }));
        out.json(&rows.collect::<Vec<_>>())?;
    } else {
        let rows = rows
            .iter()
            .map(|(number, word)| vec![number.as_e164().to_owned(), (*word).to_owned()]);
        out.table(&["number", "verdict"], rows.collect())?;
    }
    let all = rows.iter().all(|(_, word)| *word == done);
    Ok(if all { Exit::Ok } else { Exit::Failed })
}

fn list(caller_ids: &[CallerId], out: &mut Out) -> Result<Exit, Failure> {
    if out.style.json {
        out.json(&caller_ids)?;
        return Ok(Exit::Ok);
    }
    let row = |id: &CallerId| {
        let (by, why) = (id.paused_by.as_ref(), id.paused_why.as_ref());
        vec![
            id.pool.clone(),
            id.trunk.clone(),
            id.number.clone(),
            id.dials.to_string(),
            or_none(id.daily_cap),
            paused(id.paused, by, id.paused_at, why),
            or_empty(id.rest_until.map(instant)),
        ]
    };
    let header = [
        "pool",
        "trunk",
        "number",
        "dials in 24h",
        "cap",
        "paused",
        "rests until",
    ];
    out.table(&header, caller_ids.iter().map(row).collect())?;
    Ok(Exit::Ok)
}
