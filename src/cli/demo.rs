//! `demo`: runs all of pgdial on one machine and checks the promises against the fake provider's ledger.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use pgdial_fake_provider::{Speak, ledger::Verdict};

use super::{Failure, Out};
use crate::{
    config::{self, Common, Variables},
    demo::{
        self, Demo, Place,
        summary::{Summary, percentile},
    },
    lifecycle::Supervisor,
    provider::Stopwatch,
};

/// Longest that the demo's calls may take; beyond it something is wrong.
const PATIENCE: Duration = Duration::from_mins(3);
/// Interval of progress updates.
const LOOK: Duration = Duration::from_millis(200);

/// Ring 100 numbers through a fake provider and check its ledger.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoArgs {
    /// Keep everything running afterwards, and print the addresses.
    #[arg(long)]
    pub stay: bool,
    /// Ring the numbers in this CSV file instead of the built-in ones; columns: to, scriptId, metadata.name,
    /// metadata.note.
    #[arg(long, value_name = "FILE")]
    pub calls: Option<PathBuf>,
    /// Dial through this platform's adapter, at a fake provider that speaks its protocol.
    #[arg(long, value_enum, value_name = "PLATFORM", default_value_t = Speak::Http)]
    pub provider: Speak,
    /// Address of the API. Default: a free port; with --stay 127.0.0.1:8080.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
}

/// Runs the demo; fails if the ledger shows a broken promise.
pub async fn run(
    out: &mut Out,
    args: &DemoArgs,
    common: &Common,
    variables: &Variables,
) -> Result<(), Failure> {
    let list = match &args.calls {
        None => demo::CALLS_CSV.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::failed(format!("cannot read {}: {error}", path.display())))?,
    };
    let default = if args.stay { 8080 } else { 0 };
    let place = Place {
        database_url: config::database_url_if_set(common, variables)?,
        environment: variables.private_postgres(),
        listen: args
            .listen
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], default))),
        ledger: std::env::temp_dir()
            .join(format!("pgdial-demo-{}.ledger.jsonl", uuid::Uuid::new_v4())),
        speak: args.provider,
    };
    let mut supervisor = Supervisor::new()?;
    out.note("starting Postgres, the API, a worker and a fake provider");
    let demo = Box::pin(Demo::start(place, &mut supervisor)).await?;

    let stop = supervisor.stop();
    let mut running = std::pin::pin!(supervisor.run(Duration::from_secs(10)));
    let shown = tokio::select! {
        // A loop died, or the user pressed Ctrl-C.
        ended = &mut running => {
            ended?;
            Err(Failure::failed("the demo was stopped before its end"))
        }
        shown = show(out, args, &demo, &list) => shown,
    };
    if args.stay && shown.is_ok() {
        (&mut running).await?;
    } else {
        stop.cancel();
        (&mut running).await?;
    }
    // Postgres stops last, once nothing uses it.
    drop(demo.stop().await);
    shown
}

async fn show(out: &mut Out, args: &DemoArgs, demo: &Demo, list: &str) -> Result<(), Failure> {
    let clock = Stopwatch::start();
    let count = demo.enqueue(list).await?;
    out.note(format!("enqueued {count} calls; {} slots", demo::SLOTS));
    let summary = until_over(out, demo, count, clock).await?;
    let verdict = demo
        .verdict()
        .map_err(|error| Failure::failed(format!("cannot read the ledger: {error}")))?;
    report(out, &summary, &verdict, clock.elapsed())?;
    let kept =
        verdict.holds(demo::SLOTS) && summary.over() == count && summary.slots_used <= demo::SLOTS;
    out.line(if kept {
        "verdict: every call ended, no reference rang twice, no number had two rings at once, never above the cap"
    } else {
        "verdict: A PROMISE WAS BROKEN"
    })?;
    out.line(format!("ledger: {}", demo.ledger().display()))?;
    if !kept {
        return Err(Failure::failed(
            "a promise was broken; the ledger is the evidence",
        ));
    }
    if args.stay {
        stay(out, demo)?;
    }
    Ok(())
}

/// Shows progress until every call has ended: a bar on a terminal, plain lines elsewhere.
async fn until_over(
    out: &mut Out,
    demo: &Demo,
    count: usize,
    clock: Stopwatch,
) -> Result<Summary, Failure> {
    let bar = out.style.terminal.then(|| progress_bar(count));
    let mut said = Stopwatch::start();
    loop {
        let summary = demo.summary().await?;
        let line = describe(&summary);
        if let Some(bar) = &bar {
            bar.set_position(summary.over() as u64);
            bar.set_message(line);
        } else if said.elapsed() >= Duration::from_secs(1) {
            said = Stopwatch::start();
            out.note(format!("{} of {count} over; {line}", summary.over()));
        }
        if summary.over() >= count {
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
            return Ok(summary);
        }
        if clock.elapsed() > PATIENCE {
            return Err(Failure::failed(format!(
                "only {} of {count} calls ended in time",
                summary.over()
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn progress_bar(count: usize) -> ProgressBar {
    let bar = ProgressBar::new(count as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} over  {msg}") {
        bar.set_style(style);
    }
    bar
}

fn describe(summary: &Summary) -> String {
    format!(
        "{} in flight, {} attempts, {} retries",
        summary.in_flight, summary.attempts, summary.retries
    )
}

fn report(
    out: &mut Out,
    summary: &Summary,
    verdict: &Verdict,
    took: Duration,
) -> Result<(), Failure> {
    let words = |counts: &std::collections::BTreeMap<String, usize>| {
        counts
            .iter()
            .map(|(word, count)| format!("{word} {count}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let latency = |values: &[f64]| match (percentile(values, 0.5), percentile(values, 0.99)) {
        (Some(median), Some(worst)) => format!(
            "p50 {median:.1} ms, p99 {worst:.1} ms ({} times)",
            values.len()
        ),
        _ => "not measured".to_owned(),
    };
    out.pairs(vec![
        (
            "calls",
            format!("{}: {}", summary.calls, words(&summary.ended)),
        ),
        ("outcomes", words(&summary.outcomes)),
        (
            "attempts",
            format!("{} ({} retries)", summary.attempts, summary.retries),
        ),
        (
            "slots used",
            format!("{} of {}", summary.slots_used, demo::SLOTS),
        ),
        ("pickup", latency(&summary.pickup_ms)),
        ("refill", latency(&summary.refill_ms)),
        (
            "rings",
            format!(
                "{} to {} numbers, at most {} at once",
                verdict.rings, verdict.numbers, verdict.peak
            ),
        ),
        ("took", format!("{:.1} s", took.as_secs_f64())),
    ])
}

fn stay(out: &mut Out, demo: &Demo) -> Result<(), Failure> {
    out.pairs(vec![
        ("page", format!("http://{}/", demo.api)),
        ("api", format!("http://{}/api/v1/calls", demo.api)),
        ("docs", format!("http://{}/docs", demo.api)),
        ("metrics", format!("http://{}/metrics", demo.api)),
        ("provider", demo.provider_url()),
        ("psql", demo.psql.clone()),
        (
            "commands",
            format!(
                "export DATABASE_URL='{}'; pgdial calls list",
                demo.database_url
            ),
        ),
    ])?;
    out.note("running until you press ^C");
    Ok(())
}
