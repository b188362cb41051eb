//! The command line: what to measure, where and how often; prints a table or JSON.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use pgdial::{
    cli::{Exit, Failure, Out, out::Numbers},
    config::{self, Common, Log, Variables},
    db, telemetry,
};
use serde_json::json;

use crate::{
    Measure, Options, Place, SCENARIOS, Scenario, Server,
    measure::{self, figure},
    peers,
};

/// Measure how fast pgdial is on this machine, and how fast plain Postgres is.
#[derive(Debug, Clone, Parser)]
#[command(name = "pgdial-lab", version = db::RELEASE, after_long_help = PLACE, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    common: Common,
    /// Print JSON on stdout.
    #[arg(long)]
    json: bool,
    /// Scenarios to run; see --list. Default: all.
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// Only list the scenarios.
    #[arg(long)]
    list: bool,
    /// Runs per scenario.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    repeats: u16,
    /// Factor on all sizes.
    #[arg(long, value_name = "F", default_value_t = 1.0, value_parser = scale)]
    scale: f64,
    /// Run once at a tenth of the sizes: shows that it works, not how fast.
    #[arg(long, conflicts_with_all = ["repeats", "scale"])]
    quick: bool,
    /// Rows per batch of the bare limit. Default: the scenario's slots.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..))]
    batch: Option<u16>,
    /// How long `held-snapshot` holds its snapshot. Default: 30m if run alone, else 2m.
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    hold: Option<Duration>,
}

/// Where it measures, for `--help`.
const PLACE: &str = "\
Without --database-url and DATABASE_URL it starts a private Postgres, durable, and throws it away
at the end. With one it makes a database `pgdial_lab` beside that one, measures in it and drops
it; the database that the URL names is not touched, and its role needs the right to create another.

CPU is in microseconds per call, of all of Postgres and of each process of pgdial. `of limit` is how
near a figure comes to plain SQL that writes the same in the same run: 1 is as fast.";

fn scale(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(scale) if f64::is_finite(scale) && scale > 0.0 => Ok(scale),
        _ => Err("not a number above 0".to_owned()),
    }
}

impl Cli {
    fn options(&self) -> Options {
        Options {
            repeats: if self.quick { 1 } else { self.repeats.into() },
            scale: if self.quick { 0.1 } else { self.scale },
            batch: self.batch.map(usize::from),
            hold: self.hold.unwrap_or_else(|| self.usual_hold()),
        }
    }

    /// 30 minutes when this scenario is run alone, less when it would dominate the run.
    fn usual_hold(&self) -> Duration {
        let minutes = if self.scenarios.len() == 1 { 30 } else { 2 };
        let scale = if self.quick { 0.1 } else { self.scale };
        Duration::from_mins(minutes).mul_f64(scale.min(1.0))
    }

    fn chosen(&self) -> Result<Vec<&'static Scenario>, Failure> {
        if self.scenarios.is_empty() {
            return Ok(SCENARIOS.iter().collect());
        }
        let find = |name: &String| {
            crate::find(name).ok_or_else(|| {
                Failure::usage(format!("there is no scenario {name:?}"))
                    .hint("`pgdial-lab --list` shows them")
            })
        };
        self.scenarios.iter().map(find).collect()
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    match start(&Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            let mut out = Out::of_process(false, Numbers::Masked, true);
            for line in failure.to_string().lines() {
                out.note(line);
            }
            failure.exit().into()
        }
    }
}

fn start(cli: &Cli) -> Result<Exit, Failure> {
    let variables = Variables::of_process(cli.common.env_file())?;
    // The lab fills pools and runs slow statements on purpose, so only errors are logged by default.
    let log = Log::read(&cli.common, &variables, "error")?;
    telemetry::init(&log.filter, log.format)?;
    let no_color = variables.get("NO_COLOR").is_some();
    let mut out = Out::of_process(cli.json, Numbers::Masked, no_color);
    tokio::runtime::Runtime::new()?.block_on(run(&mut out, cli, &variables))
}

/// Measures. Fails if a scenario could not be run or its result was wrong.
async fn run(out: &mut Out, cli: &Cli, variables: &Variables) -> Result<Exit, Failure> {
    let chosen = cli.chosen()?;
    if cli.list {
        return list(out, &chosen);
    }
    let place = Place {
        database_url: config::database_url_if_set(&cli.common, variables)?,
        environment: variables.private_postgres(),
    };
    let server = Server::start(place).await?;
    let options = cli.options();
    let done = tokio::select! {
        done = measure_all(out, &server, &chosen, &options) => done,
        _ = tokio::signal::ctrl_c() => Err(Failure::failed("the lab was stopped before its end")),
    };
    server.stop().await?;
    done
}

fn list(out: &mut Out, chosen: &[&Scenario]) -> Result<Exit, Failure> {
    if out.style.json {
        let all = chosen.iter();
        let all: Vec<_> = all
            .map(|scenario| json!({ "name": scenario.name, "about": scenario.about }))
            .collect();
        out.json(&all)?;
    } else {
        let rows = chosen.iter();
        let rows = rows.map(|scenario| vec![scenario.name.to_owned(), scenario.about.to_owned()]);
        out.table(&["scenario", "what"], rows.collect())?;
    }
    Ok(Exit::Ok)
}

async fn measure_all(
    out: &mut Out,
    server: &Server,
    chosen: &[&'static Scenario],
    options: &Options,
) -> Result<Exit, Failure> {
    let machine = server.machine();
    for warning in machine.warnings() {
        out.note(format!("WARNING: {warning}"));
    }
    if !out.style.json {
        out.pairs(machine.pairs())?;
        out.line(format!(
            "{} runs each, sizes times {}\n",
            options.repeats, options.scale
        ))?;
    }
    let mut results = Vec::new();
    for scenario in chosen {
        let measured = crate::run(server, scenario, options, |word| out.note(word)).await;
        let measured = measured.map_err(|error| Failure::from(error).to_string());
        if let Err(failure) = &measured {
            out.note(format!("{} FAILED: {failure}", scenario.name));
        }
        results.push((*scenario, measured));
    }
    let failed = results.iter().filter(|(_, done)| done.is_err()).count();
    if out.style.json {
        let scenarios: Vec<_> = results
            .iter()
            .map(|(scenario, measured)| {
                json!({
                    "name": scenario.name,
                    "about": scenario.about,
                    "error": measured.as_ref().err(),
                    "measures": measured.iter().flatten().map(Measure::to_json).collect::<Vec<_>>(),
                })
            })
            .collect();
        out.json(&json!({
            "machine": machine.to_json(),
            "repeats": options.repeats,
            "scale": options.scale,
            "scenarios": scenarios,
        }))?;
    } else {
        let measures: Vec<&Measure> = results
            .iter()
            .flat_map(|(_, measured)| measured.iter().flatten())
            .collect();
        out.table(&HEADER, measures.iter().copied().map(row).collect())?;
        for measure in measures {
            for note in &measure.notes {
                out.line(format!("{}: {note}", measure.name))?;
            }
        }
        for (_, measured) in &results {
            if let Some((header, rows)) = measured.as_deref().ok().and_then(peers::table) {
                out.line("")?;
                out.table(&header, rows)?;
            }
        }
    }
    if failed > 0 {
        return Err(Failure::failed(format!(
            "{failed} of {} scenarios have no figures",
            chosen.len()
        )));
    }
    Ok(Exit::Ok)
}

const HEADER: [&str; 9] = [
    "scenario", "unit", "median", "min-max", "runs", "limit", "of limit", "cpu us", "peak MB",
];

fn row(measure: &Measure) -> Vec<String> {
    let limit = measure
        .limit
        .as_ref()
        .and_then(|limit| measure::median(&limit.samples));
    let spread = measure::spread(&measure.samples);
    let each = |by: &std::collections::BTreeMap<&'static str, Vec<f64>>, unit: f64| {
        let parts = by.iter().filter_map(|(who, samples)| {
            Some(format!(
                "{who} {}",
                figure(measure::median(samples)? / unit)
            ))
        });
        parts.collect::<Vec<_>>().join(", ")
    };
    vec![
        measure.name.clone(),
        measure.unit.to_owned(),
        measure::median(&measure.samples)
            .map(figure)
            .unwrap_or_default(),
        spread
            .map(|(least, most)| format!("{}-{}", figure(least), figure(most)))
            .unwrap_or_default(),
        measure.samples.len().to_string(),
        limit.map(figure).unwrap_or_default(),
        measure
            .ratio()
            .map(|ratio| format!("{ratio:.2}"))
            .unwrap_or_default(),
        if measure.limit_cpu.is_empty() {
            each(&measure.cpu, 1.0)
        } else {
            let (own, limit) = (each(&measure.cpu, 1.0), each(&measure.limit_cpu, 1.0));
            format!("{own} (limit: {limit})")
        },
        each(&measure.peak_rss, 1024.0 * 1024.0),
    ]
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn names_of_scenarios_are_unlike_each_other() {
        for scenario in SCENARIOS {
            let named = SCENARIOS.iter().filter(|other| other.name == scenario.name);
            assert_eq!(named.count(), 1, "{}", scenario.name);
        }
    }

    #[test]
    fn a_scale_is_a_number_above_0() {
        assert_eq!(scale("0.1"), Ok(0.1));
        for bad in ["0", "-1", "inf", "NaN", "much"] {
            assert!(scale(bad).is_err(), "{bad}");
        }
    }
}
