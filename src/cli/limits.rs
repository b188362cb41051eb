//! `limits`: how often a number may be rung.

use serde_json::{Map, Value, json};

use super::{
    Exit, Failure, Out,
    calendars::{refused, there_is},
    out::{or_none, yes},
    values::{self, Interval},
};
use crate::{
    domain::Why,
    flow::{Queue, view::ContactLimit},
};

/// `limits`: how often a number may be rung.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum LimitsCommand {
    /// List all: those of the presets and your own.
    List,
    /// Show one, with the campaigns that have it.
    Show {
        /// Name of the limit.
        name: String,
    },
    /// Create one, or replace it as a whole: options not given take their defaults.
    Set(SetArgs),
    /// Delete one that no campaign has.
    Delete {
        /// Name of the limit.
        name: String,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
}

/// The limit as a whole.
#[derive(Debug, Clone, clap::Args)]
pub struct SetArgs {
    /// Name of the limit: lower-case letters, digits and _@.-
    pub name: String,
    /// What it counts: attempts, conversations, voicemails, or an outcome or disposition, as in `not_interested`.
    #[arg(long, value_name = "WHAT")]
    pub counts: String,
    /// How many of them there may be within the period, 1 to 1000. A cooldown: 1.
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        default_value_t = 1
    )]
    pub at_most: i64,
    /// How long a dial counts, 1m to 400d.
    #[arg(long, value_name = "TIME", value_parser = values::interval)]
    pub period: Interval,
    /// The period before now (rolling), or today and the days before it by the callee's clock (`local_day`).
    #[arg(long, value_name = "WHERE", default_value = "rolling")]
    pub boundary: String,
    /// Which dials of a number count together: number (all), `number_and_topic` or `number_and_campaign`.
    #[arg(long, value_name = "WHAT", default_value = "number")]
    pub per: String,
    /// Only for callees who may be in these regions, as in US-FL, comma-separated. Default: for all.
    #[arg(long, value_name = "REGION,...", value_delimiter = ',')]
    pub regions: Option<Vec<String>>,
    /// For every campaign, whether or not it names the limit.
    #[arg(long)]
    pub all_campaigns: bool,
    /// Where the rule comes from.
    #[arg(long, value_name = "TEXT")]
    pub source: Option<String>,
    /// Reason, kept in the audit log.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<Why>,
}

impl SetArgs {
    /// The limit, as the verb takes it.
    fn given(&self) -> Value {
        let mut fields = Map::new();
        for (name, value) in [
            ("counts", json!(self.counts)),
            ("atMost", json!(self.at_most)),
            ("period", json!(self.period.to_sql())),
            ("boundary", json!(self.boundary)),
            ("per", json!(self.per)),
            ("regions", json!(self.regions)),
            ("allCampaigns", json!(self.all_campaigns)),
            ("source", json!(self.source)),
        ] {
            fields.insert(name.to_owned(), value);
        }
        fields.into()
    }
}

/// Runs one `limits` command.
pub async fn run(
    command: &LimitsCommand,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    match command {
        LimitsCommand::List => list(&calls.contact_limits(None).await?, out)?,
        LimitsCommand::Show { name } => show(name, calls, out).await?,
        LimitsCommand::Set(args) => {
            let (limit, why) = (args.given(), args.why.as_deref());
            let set = calls.set_contact_limit(&args.name, &limit, by, why).await;
            set.map_err(refused)?;
            show(&args.name, calls, out).await?;
        }
        LimitsCommand::Delete { name, why } => {
            let deletion = calls.delete_contact_limit(name, by, why.as_deref());
            there_is(
                deletion.await?,
                "contact limit",
                name,
                "`pgdial campaigns set CAMPAIGN --contact-limits ...` takes it off",
            )?;
            out.note(format!("contact limit {name} is gone"));
        }
    }
    Ok(Exit::Ok)
}

fn list(limits: &[ContactLimit], out: &mut Out) -> Result<(), Failure> {
    if out.style.json {
        return out.json(&limits);
    }
    let row = |limit: &ContactLimit| {
        vec![
            limit.name.clone(),
            limit.at_most.to_string(),
            limit.counts.clone(),
            limit.period.to_string(),
            limit.boundary.clone(),
            limit.per.clone(),
            regions(limit),
            campaigns(limit),
        ]
    };
    let header = [
        "limit",
        "at most",
        "counts",
        "period",
        "boundary",
        "per",
        "regions",
        "campaigns",
    ];
    out.table(&header, limits.iter().map(row).collect())
}

async fn show(name: &str, calls: &Queue, out: &mut Out) -> Result<(), Failure> {
    let limits = calls.contact_limits(Some(name)).await?;
    let limit = limits.first().ok_or_else(|| no_such(name))?;
    if out.style.json {
        return out.json(limit);
    }
    out.pairs(vec![
        ("limit", limit.name.clone()),
        ("at most", limit.at_most.to_string()),
        ("counts", limit.counts.clone()),
        ("period", limit.period.to_string()),
        ("boundary", limit.boundary.clone()),
        ("per", limit.per.clone()),
        ("regions", regions(limit)),
        ("all campaigns", yes(limit.all_campaigns).to_owned()),
        ("campaigns", campaigns(limit)),
        ("presets", limit.presets.join(", ")),
        ("source", or_none(limit.source.as_ref())),
    ])
}

fn regions(limit: &ContactLimit) -> String {
    let regions = limit.regions.as_ref().map(|regions| regions.join(", "));
    regions.unwrap_or_else(|| "all".to_owned())
}

fn campaigns(limit: &ContactLimit) -> String {
    if limit.all_campaigns {
        "all".to_owned()
    } else {
        limit.campaigns.join(", ")
    }
}

fn no_such(name: &str) -> Failure {
    Failure::failed(format!("there is no contact limit {name:?}"))
        .hint("`pgdial limits list` shows those there are")
}
