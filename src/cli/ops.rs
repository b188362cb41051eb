//! `ops`: prepared queries, each an SQL file that psql runs as well.

use serde_json::json;

use super::{
    Exit, Failure, Out,
    out::{instant, text},
    values::Number,
};
use crate::{
    domain::{Phone, Region},
    flow::{
        Queue,
        ops::{self, QUESTIONS, Question},
    },
};

/// Which query to run, or print.
#[derive(Debug, Clone, clap::Args)]
pub struct OpsArgs {
    /// The query. Default: list them.
    pub name: Option<String>,
    /// The number that the query `number` is about, as in +14155550100. Numbers in results are masked, in JSON too.
    #[arg(value_name = "NUMBER")]
    pub phone: Option<Number>,
    /// Region whose national format the number is in, if it lacks + and country code, as in US.
    #[arg(long, requires = "phone", value_name = "REGION")]
    pub region: Option<Region>,
    /// List the queries.
    #[arg(long, conflicts_with_all = ["name", "sql"])]
    pub list: bool,
    /// Print the query's file, for psql, instead of running it.
    #[arg(long, requires = "name")]
    pub sql: bool,
}

impl OpsArgs {
    /// Whether it only lists or prints files and so needs no database.
    pub fn is_about_files(&self) -> bool {
        self.name.is_none() || self.sql
    }
}

/// Lists the queries, or prints one.
pub fn show(args: &OpsArgs, out: &mut Out) -> Result<Exit, Failure> {
    if let Some(name) = &args.name {
        out.line(known(name)?.sql.trim_end())?;
        return Ok(Exit::Ok);
    }
    if out.style.json {
        let all = QUESTIONS.iter();
        let all: Vec<_> = all
            .map(|question| {
                json!({ "name": question.name, "asks": question.asks(), "takesPhone": question.takes_phone() })
            })
            .collect();
        out.json(&all)?;
    } else {
        let name = |question: &Question| {
            if question.takes_phone() {
                format!("{} NUMBER", question.name)
            } else {
                question.name.to_owned()
            }
        };
        let rows = QUESTIONS.iter();
        let rows = rows.map(|question| vec![name(question), question.asks()]);
        out.table(&["name", "question"], rows.collect())?;
    }
    Ok(Exit::Ok)
}

fn known(name: &str) -> Result<&'static Question, Failure> {
    ops::find(name).ok_or_else(|| {
        Failure::usage(format!("there is no question {name:?}"))
            .hint("`pgdial ops` lists them with what they ask")
    })
}

/// Runs one query and prints its rows.
pub async fn run(args: &OpsArgs, calls: &Queue, out: &mut Out) -> Result<Exit, Failure> {
    let Some(name) = &args.name else {
        return show(args, out);
    };
    let question = known(name)?;
    if question.takes_phone() != args.phone.is_some() {
        let name = question.name;
        return Err(Failure::usage(if question.takes_phone() {
            format!("{name} asks about one number: pgdial ops {name} +14155550100")
        } else {
            format!("{name} takes no number")
        }));
    }
    let phone = args.phone.as_ref();
    let phone = phone.map(|number| number.dialled_in(args.region));
    let phone = phone.transpose()?;
    let lines = calls
        .ask(question, phone.as_ref().map(Phone::as_e164))
        .await?;
    if out.style.json {
        out.json(&lines)?;
        return Ok(Exit::Ok);
    }
    let Some(first) = lines.first() else {
        out.note("nothing to show");
        return Ok(Exit::Ok);
    };
    let header = first.0.iter().map(|(name, _)| name.replace('_', " "));
    let header: Vec<String> = header.collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let rows = lines.iter().map(|line| {
        let values = line.0.iter().map(|(_, value)| value);
        values
            .map(|value| {
                let at = value.as_str().and_then(|text| text.parse().ok());
                at.map_or_else(|| text(value), instant)
            })
            .collect()
    });
    out.table(&header, rows.collect())?;
    Ok(Exit::Ok)
}
