//! `hours`: when people may be rung.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{
    Exit, Failure, Out,
    calendars::{refused, there_is},
    out::{instant, or_empty, or_none},
    values::{self, Limit},
};
use crate::{
    domain::Why,
    flow::{
        Queue,
        hours::{Callee, RulesKind},
        view::CallingHours,
    },
};

/// Calling hours.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum HoursCommand {
    /// List all, presets and your own.
    List,
    /// Show one: of dated ones, as in us-tcpa@2026-11, the name alone is the newest.
    Show {
        /// Name of the calling hours.
        name: String,
    },
    /// Create calling hours, or change them from the next claim on. What is not given stays as it is.
    Set(Box<SetArgs>),
    /// Delete calling hours that no campaign has.
    Delete {
        /// Name of the calling hours.
        name: String,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
    /// Say whether somebody may be rung at an instant, why not, and when. Exit code 1 if not.
    Check(CheckArgs),
}

/// What can be set of calling hours.
#[derive(Debug, Clone, clap::Args)]
pub struct SetArgs {
    /// Name: lower-case letters, digits and any of - _ . @.
    name: String,
    /// Begin with these, such as a preset, instead of what is there.
    #[arg(long, value_name = "NAME")]
    copy: Option<String>,
    /// Hours of the local week, as in "mon-fri 09:00-20:00, sat 09:00-17:00"; several slots of a day follow one
    /// another.
    #[arg(long, value_name = "HOURS")]
    week: Option<String>,
    /// Time zone whose clock counts instead of the callee's, or none.
    #[arg(long, value_name = "ZONE|none", value_parser = values::text_or_none)]
    timezone: Option<Limit<String>>,
    /// Calendar of days with hours of their own, or none.
    #[arg(long, value_name = "NAME|none", value_parser = values::text_or_none)]
    calendar: Option<Limit<String>>,
    /// What tells where the callee may be: `given_or_number`, `given_and_number` or `given`.
    #[arg(long, value_name = "BASIS")]
    basis: Option<String>,
    /// Where the rule was read.
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// Hours of callees who may be in a region, as in US-FL="mon-sun 08:00-20:00", with "; calendar NAME" or
    /// "; timezone ZONE" behind them; US-FL=none takes them away. May be repeated.
    #[arg(long, value_name = "REGION=HOURS|none", value_parser = region)]
    region: Vec<(String, Value)>,
    /// Reason, kept in the audit log.
    #[arg(long, value_name = "TEXT")]
    why: Option<Why>,
}

/// A question to calling hours.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// Name of the calling hours.
    name: String,
    /// The instant, as in 2026-11-27T14:00:00Z. Default: now.
    #[arg(long, value_name = "INSTANT", value_parser = values::instant)]
    at: Option<DateTime<Utc>>,
    /// Number to ring.
    #[arg(long, value_name = "NUMBER")]
    to: Option<String>,
    /// Time zone of the callee, as a caller would give it. May be repeated.
    #[arg(long, value_name = "ZONE")]
    timezone: Vec<String>,
    /// Region of the callee, as in US-FL, or of the number, as in US.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// What tells where the callee may be, instead of what the hours say.
    #[arg(long, value_name = "BASIS")]
    basis: Option<String>,
}

/// `US-FL=mon-sun 08:00-20:00; calendar us-florida`. What the parts may be the database says.
fn region(text: &str) -> Result<(String, Value), String> {
    let usage =
        || "write REGION=HOURS, as in US-FL=\"mon-sun 08:00-20:00\", or REGION=none".to_owned();
    let (region, rule) = text.split_once('=').ok_or_else(usage)?;
    let region = region.trim().to_ascii_uppercase();
    if rule.trim() == "none" {
        return Ok((region, Value::Null));
    }
    let mut parts = rule.split(';').map(str::trim);
    let mut fields = Map::new();
    fields.insert("week".to_owned(), parts.next().unwrap_or_default().into());
    for part in parts {
        let (name, value) = part.split_once(' ').ok_or_else(usage)?;
        if !["calendar", "timezone"].contains(&name) {
            return Err(usage());
        }
        fields.insert(name.to_owned(), value.trim().into());
    }
    Ok((region, fields.into()))
}

/// Runs one `hours` command.
pub async fn run(
    command: &HoursCommand,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    match command {
        HoursCommand::List => list(&calls.calling_hours(None).await?, out)?,
        HoursCommand::Show { name } => show(name, calls, out).await?,
        HoursCommand::Set(args) => set(args, calls, by, out).await?,
        HoursCommand::Delete { name, why } => {
            let deletion = calls.delete_rules(RulesKind::CallingHours, name, by, why.as_deref());
            there_is(
                deletion.await?,
                "calling hours",
                name,
                "`pgdial campaigns set CAMPAIGN --calling-hours none` takes them off",
            )?;
            out.note(format!("calling hours {name} are gone"));
        }
        HoursCommand::Check(args) => return check(args, calls, out).await,
    }
    Ok(Exit::Ok)
}

fn list(all: &[CallingHours], out: &mut Out) -> Result<(), Failure> {
    if out.style.json {
        return out.json(&all);
    }
    let row = |hours: &CallingHours| {
        vec![
            hours.name.clone(),
            hours.week.clone(),
            or_empty(hours.calendar.as_ref()),
            hours.regions.len().to_string(),
            hours.campaigns.join(", "),
        ]
    };
    let header = ["hours", "week", "calendar", "regions", "campaigns"];
    out.table(&header, all.iter().map(row).collect())
}

async fn show(name: &str, calls: &Queue, out: &mut Out) -> Result<(), Failure> {
    let all = calls.calling_hours(Some(name)).await?;
    let hours = all.first().ok_or_else(|| no_such(name))?;
    if out.style.json {
        return out.json(hours);
    }
    let mut pairs = vec![
        ("hours", hours.name.clone()),
        ("week", hours.week.clone()),
        (
            "timezone",
            hours
                .timezone
                .clone()
                .unwrap_or_else(|| "the callee's".to_owned()),
        ),
        ("calendar", or_none(hours.calendar.as_ref())),
        ("zone basis", hours.zone_basis.clone()),
        ("source", or_none(hours.source.as_ref())),
        ("campaigns", hours.campaigns.join(", ")),
    ];
    for (region, rule) in &hours.regions {
        let with = |name: &str, value: &Option<String>| {
            value
                .as_ref()
                .map_or_else(String::new, |value| format!("; {name} {value}"))
        };
        let calendar = with("calendar", &rule.calendar);
        let timezone = with("timezone", &rule.timezone);
        let source = with("source", &rule.source);
        pairs.push((
            "region",
            format!("{region}={}{calendar}{timezone}{source}", rule.week),
        ));
    }
    out.pairs(pairs)
}

fn no_such(name: &str) -> Failure {
    Failure::failed(format!("there are no calling hours {name:?}"))
        .hint("`pgdial hours list` shows those there are")
}

async fn set(args: &SetArgs, calls: &Queue, by: &str, out: &mut Out) -> Result<(), Failure> {
    let name = &args.name;
    let from = args.copy.as_ref().unwrap_or(name);
    let found = calls.calling_hours(Some(from)).await?;
    let found = found
        .into_iter()
        .find(|hours| args.copy.is_some() || hours.name == *name);
    if args.copy.is_some() && found.is_none() {
        return Err(no_such(from));
    }
    let rules = args.over(found.as_ref());
    let why = args.why.as_deref();
    let set = calls.set_rules(RulesKind::CallingHours, name, &rules, by, why);
    set.await.map_err(refused)?;
    show(name, calls, out).await
}

impl SetArgs {
    /// What was given, over what there is.
    fn over(&self, found: Option<&CallingHours>) -> Value {
        let mut rules = found.map_or_else(Map::new, |hours| {
            let fields = json!({
                "week": hours.week, "timezone": hours.timezone, "calendar": hours.calendar,
                "zoneBasis": hours.zone_basis, "source": hours.source,
            });
            match fields {
                Value::Object(fields) => fields,
                _ => Map::new(),
            }
        });
        let given = [
            ("week", self.week.clone().map(Value::from)),
            ("timezone", self.timezone.clone().map(Limit::into_json)),
            ("calendar", self.calendar.clone().map(Limit::into_json)),
            ("zoneBasis", self.basis.clone().map(Value::from)),
            ("source", self.source.clone().map(Value::from)),
        ];
        rules.extend(
            given
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?))),
        );
        let mut regions: BTreeMap<String, Value> = BTreeMap::new();
        for (region, rule) in found.into_iter().flat_map(|hours| &hours.regions) {
            regions.insert(region.clone(), json!(rule));
        }
        regions.extend(self.region.iter().cloned());
        regions.retain(|_, rule| !rule.is_null());
        rules.insert("regions".to_owned(), json!(regions));
        rules.into()
    }
}

async fn check(args: &CheckArgs, calls: &Queue, out: &mut Out) -> Result<Exit, Failure> {
    let callee = Callee {
        to: args.to.as_deref(),
        timezone: (!args.timezone.is_empty()).then_some(args.timezone.as_slice()),
        region: args.region.as_deref(),
    };
    let answer = calls.hours_for(&args.name, args.basis.as_deref(), &callee, args.at);
    let answer = answer.await.map_err(refused)?;
    if out.style.json {
        out.json(&answer)?;
    } else {
        let open = if answer.open { "yes" } else { "no" };
        out.pairs(vec![
            ("hours", answer.hours.clone()),
            ("at", instant(answer.at)),
            ("zones", answer.zones.join(", ")),
            ("regions", answer.regions.join(", ")),
            ("open", open.to_owned()),
            ("reason", or_empty(answer.reason.as_ref())),
            ("because", or_empty(answer.message.as_ref())),
            ("opens at", or_empty(answer.opens_at.map(instant))),
        ])?;
    }
    Ok(if answer.open { Exit::Ok } else { Exit::Failed })
}
