//! `calls cancel`, `calls redrive`, `calls resolve` and `calls recheck` with a filter, batch after batch.

use std::collections::BTreeMap;

use serde_json::json;

use super::args::ManyArgs;
use crate::{
    cli::{Exit, Failure, Out},
    domain::Resolution,
    flow::{
        Queue,
        listing::CallFilter,
        matching::{Batch, BatchResponse},
    },
};

#[derive(Debug, Clone, Copy)]
pub(super) enum Verb {
    Cancel,
    Redrive { force: bool },
    Resolve { r#as: Resolution },
    Recheck,
}

impl Verb {
    async fn batch(self, calls: &Queue, batch: &Batch<'_>) -> Result<BatchResponse, Failure> {
        Ok(match self {
            Self::Cancel => calls.cancel_matching(batch).await?,
            Self::Redrive { force } => calls.redrive_matching(batch, force).await?,
            Self::Resolve { r#as } => calls.resolve_matching(batch, r#as).await?,
            Self::Recheck => calls.recheck_matching(batch).await?,
        })
    }

    /// Verdicts that mean: done as requested.
    const fn wanted(self) -> &'static [&'static str] {
        match self {
            Self::Cancel => &["canceled", "requested"],
            Self::Redrive { .. } => &["waiting"],
            Self::Resolve { .. } => &["resolved"],
            Self::Recheck => &["due", "not_put_aside"],
        }
    }
}

/// Whether a filter was given rather than ids. Both, or neither, is a usage error.
pub(super) fn is_filter(has_ids: bool, many: &ManyArgs) -> Result<bool, Failure> {
    let filtered = many.every_call || many.filter.given() != CallFilter::default();
    match (!has_ids, filtered) {
        (false, true) => Err(Failure::usage("give calls, or a filter, not both")),
        (false, false) if many.all || many.dry_run => Err(Failure::usage(
            "--all and --dry-run go with a filter, not with calls",
        )),
        (false, false) => Ok(false),
        (true, true) => Ok(true),
        (true, false) => Err(Failure::usage("which calls?").hint(
            "give their ids, or a filter such as --campaign; --every-call means all of them",
        )),
    }
}

/// Runs the verb batch after batch.
pub(super) async fn run(
    verb: Verb,
    many: &ManyArgs,
    why: Option<&str>,
    (calls, by): (&Queue, &str),
    out: &mut Out,
) -> Result<Exit, Failure> {
    let why = match why {
        Some(why) => why,
        None if many.dry_run => "a dry run", // kept nowhere
        None => {
            return Err(Failure::usage(
                "with a filter --why is needed: it is kept with the act",
            ));
        }
    };
    let filter = json!(CallFilter {
        all: many.every_call.then_some(true),
        ..many.filter.given()
    });
    let (mut matched, mut verdicts, mut cursor) = (0_i64, BTreeMap::new(), None::<String>);
    loop {
        let left = i64::from(many.limit).saturating_sub(matched);
        let limit = if many.all || many.dry_run {
            many.limit
        } else {
            i32::try_from(left).unwrap_or(1)
        };
        let batch = Batch {
            filter: &filter,
            limit,
            dry_run: many.dry_run,
            cursor: cursor.as_deref(),
            by,
            why,
        };
        let batched = verb.batch(calls, &batch).await?;
        matched = matched.saturating_add(batched.matched);
        for (verdict, count) in batched.verdicts {
            *verdicts.entry(verdict).or_insert(0_i64) += count;
        }
        cursor = batched.cursor;
        let is_enough = if many.dry_run {
            !many.all
        } else {
            !many.all && matched >= i64::from(many.limit)
        };
        if cursor.is_none() || is_enough {
            break;
        }
        // Workers can start before the last batch is done.
        calls.send_wakes().await;
    }
    show(many, matched, &verdicts, cursor.is_some(), out)?;
    let refused = verdicts
        .keys()
        .any(|verdict| !verb.wanted().contains(&verdict.as_str()));
    Ok(if refused && !many.dry_run {
        Exit::Failed
    } else {
        Exit::Ok
    })
}

fn show(
    many: &ManyArgs,
    matched: i64,
    verdicts: &BTreeMap<String, i64>,
    more: bool,
    out: &mut Out,
) -> Result<(), Failure> {
    if out.style.json {
        return out.json(&json!({
            "dryRun": many.dry_run, "matched": matched, "verdicts": verdicts, "more": more
        }));
    }
    let rows = verdicts
        .iter()
        .map(|(verdict, count)| vec![verdict.clone(), count.to_string()]);
    out.table(&["verdict", "calls"], rows.collect())?;
    if matched == 0 {
        out.note("no call matches");
    }
    if many.dry_run {
        let at_least = if more { "at least " } else { "" };
        out.note(format!(
            "a dry run: nothing was done; this is what would become of {at_least}{matched} calls"
        ));
    } else if more {
        out.note("there may be more: do it again, or add --all");
    }
    Ok(())
}
