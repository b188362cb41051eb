//! `ops`: the questions of people, each a file of SQL that psql runs as well.

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

/// What is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct OpsArgs {
    /// Which question; none = list them.
    pub name: Option<String>,
    /// The number that `number` asks about, as in +14155550100. Answers show none whole, in JSON neither.
    #[arg(value_name = "NUMBER")]
    pub phone: Option<Number>,
    /// Where it is dialled as it stands, if it has no + and country code, as in US.
    #[arg(long, requires = "phone", value_name = "REGION")]
    pub region: Option<Region>,
    /// List the questions.
    #[arg(long, conflicts_with_all = ["name", "sql"])]
    pub list: bool,
    /// Print the file instead, for psql.
    #[arg(long, requires = "name")]
    pub sql: bool,
}

impl OpsArgs {
    /// Does it need no database?
    pub fn is_about_files(&self) -> bool {
        self.name.is_none() || self.sql
    }
}

/// Lists them, or prints one of them.
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

/// Asks one.
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
