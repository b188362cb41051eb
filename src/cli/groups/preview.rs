//! `campaigns preview`: what would be dialled, and how long it would take.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{in_words, no_such_group};
use crate::{
    cli::{
        Failure, Out,
        out::{instant, or_empty, or_none},
        values,
    },
    flow::{
        Queue,
        groups::GroupKind,
        view::{Estimate, Preview, PreviewedArea},
    },
};

/// Which campaign, and when.
#[derive(Debug, Clone, clap::Args)]
pub struct PreviewArgs {
    /// Name of the campaign.
    name: String,
    /// The instant to look at, as in 2026-11-27T14:00:00Z. Default: its start, or now.
    #[arg(long, value_name = "INSTANT", value_parser = values::instant)]
    at: Option<DateTime<Utc>>,
}

/// Runs the command.
pub async fn run(args: &PreviewArgs, calls: &Queue, out: &mut Out) -> Result<(), Failure> {
    let preview = calls.preview(&args.name, args.at).await?;
    let preview = preview.ok_or_else(|| no_such_group(GroupKind::Campaign, &args.name))?;
    if out.style.json {
        return out.json(&preview);
    }
    out.pairs(pairs(&preview))?;
    if !preview.areas.is_empty() {
        out.line("")?;
        let header = ["zones", "regions", "calls", "closed because", "opens at"];
        out.table(&header, preview.areas.iter().map(row).collect())?;
    }
    Ok(())
}

fn pairs(preview: &Preview) -> Vec<(&'static str, String)> {
    let closed = preview.closed.iter();
    let closed: Vec<String> = closed
        .map(|(why, calls)| format!("{calls} {why}"))
        .collect();
    vec![
        ("campaign", preview.campaign.clone()),
        ("at", instant(preview.at)),
        ("starts at", or_none(preview.starts_at.map(instant))),
        ("ends at", or_none(preview.ends_at.map(instant))),
        (
            "held by",
            or_none(Some(in_words(&preview.reasons)).filter(|words| !words.is_empty())),
        ),
        ("waiting", preview.waiting.to_string()),
        ("now", preview.now.to_string()),
        ("later", preview.later.to_string()),
        (
            "closed",
            or_none(Some(closed.join(", ")).filter(|closed| !closed.is_empty())),
        ),
        ("capped", preview.capped.to_string()),
        ("suppressed", preview.suppressed.to_string()),
        ("no consent", preview.no_consent.to_string()),
        ("expired", preview.expired.to_string()),
        ("duplicates", preview.duplicates.to_string()),
        ("takes", takes(&preview.estimate)),
    ]
}

/// How long it takes, with what that rests on.
fn takes(estimate: &Estimate) -> String {
    let Some(seconds) = estimate.seconds else {
        return "nothing may be dialled: cap or slots are 0".to_owned();
    };
    let length = Duration::from_secs(seconds.unsigned_abs());
    let pace = estimate
        .calls_per_second
        .map_or_else(String::new, |pace| format!(", {pace} a second at most"));
    let basis = match &*estimate.basis {
        "recent_calls" => "the mean of recent ones",
        _ => "its limits: fewer than 20 were dialled",
    };
    format!(
        "{} of open hours for {} calls, each dialled once, {} at once{pace}; a call takes {}, {basis}",
        humantime::format_duration(length),
        estimate.calls,
        estimate.at_once,
        humantime::format_duration(Duration::from_secs_f64(
            estimate.seconds_per_call.max(0.0).round()
        )),
    )
}

/// At most three, and how many more.
fn few(zones: &[String]) -> String {
    match zones.split_at_checked(3) {
        Some((some, more @ [_, ..])) => format!("{} and {} more", some.join(" "), more.len()),
        _ => zones.join(" "),
    }
}

fn row(area: &PreviewedArea) -> Vec<String> {
    vec![
        few(&area.zones),
        area.regions.join(" "),
        area.calls.to_string(),
        or_empty(area.reason.as_ref()),
        or_empty(area.opens_at.map(instant)),
    ]
}
