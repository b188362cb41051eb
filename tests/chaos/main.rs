//! The chaos suite: separate processes, faults from every side, and the fake providers' ledgers as witnesses.
//! `scripts/chaos` runs it, docs/CHAOS.md explains it.
//!
//! Its sleeps are the faults themselves (how long, with which pauses) and the pace of its callers; no conclusion
//! rests on one having passed.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "it fails by panicking, and its result is what it prints"
)]

mod caller;
mod faults;
mod load;
mod plan;
mod postgres;
mod processes;
mod proxy;
mod recovery;
mod rings;
mod scenarios;
mod setup;
mod stage;
mod standby;
mod storm;
mod verdict;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use pgdial_fake_provider::Speak;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::{JoinSet, LocalSet},
};

use crate::{
    plan::{TRACKS, plan},
    scenarios::Scenario,
    stage::Stage,
    verdict::Verdict,
};

/// Calls while everything breaks, and judges the result.
#[derive(Debug, Clone, Parser)]
#[command(name = "chaos")]
struct Arguments {
    /// How long faults are injected; afterwards everything must come to rest.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1m")]
    duration: Duration,
    /// Seed of an earlier run, to repeat its plan. Default: a new one.
    #[arg(long)]
    seed: Option<u64>,
    /// Run only these scenarios, and no storm.
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<Scenario>,
    /// Run only the storm.
    #[arg(long, conflicts_with = "scenarios")]
    storm: bool,
    /// A few minutes: only scenarios that wait for no lease or deadline, and a storm after which the database's clock
    /// is moved past the deadlines.
    #[arg(long, conflicts_with_all = ["scenarios", "storm"])]
    short: bool,
    /// The storm alone, with providers that speak this platform's protocol, and its adapter.
    #[arg(long, value_enum, value_name = "PLATFORM", default_value_t = Speak::Http, conflicts_with = "scenarios")]
    provider: Speak,
    /// Only print the plan of the seed.
    #[arg(long)]
    plan: bool,
}

// One thread suffices: everything that works hard here is a process of its own.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let everything = LocalSet::new();
    let mut told_to_end = signal(SignalKind::terminate()).unwrap();
    let kept = tokio::select! {
        kept = everything.run_until(run(arguments)) => kept,
        _ = told_to_end.recv() => false,
        _ = tokio::signal::ctrl_c() => false,
    };
    // A return rather than an exit, so that dropping kills whatever is still kept alive.
    if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// False if a promise was broken.
async fn run(arguments: Arguments) -> bool {
    let seed = arguments
        .seed
        .unwrap_or_else(|| rand::random::<u32>().into());
    println!("seed {seed}");
    if arguments.plan {
        print_plan(seed, arguments.duration, arguments.short);
        return true;
    }
    let chosen = match &arguments.scenarios[..] {
        [] if arguments.storm || arguments.provider != Speak::Http => Vec::new(),
        [] if arguments.short => Scenario::SHORT.to_vec(),
        [] => Scenario::ALL.to_vec(),
        chosen => chosen.to_vec(),
    };
    let mut broken = play(chosen, seed).await;
    if arguments.scenarios.is_empty() {
        let (stage, verdict) = storm::storm(
            arguments.provider,
            seed,
            arguments.duration,
            arguments.short,
        )
        .await;
        println!(
            "storm of {} s, seed {seed}\n{verdict}",
            arguments.duration.as_secs()
        );
        broken.extend(report("storm", stage, &verdict));
    }
    for line in &broken {
        println!("BROKEN {line} (seed {seed})");
    }
    if broken.is_empty() {
        println!("every promise was kept (seed {seed})");
    }
    broken.is_empty()
}

/// Plays scenarios concurrently, because most of them wait for leases and deadlines.
async fn play(scenarios: Vec<Scenario>, seed: u64) -> Vec<String> {
    let mut playing = JoinSet::new();
    for scenario in scenarios {
        // A task within a task, so that a panic is attributed to its scenario like a failure.
        let story = tokio::task::spawn_local(scenario.play(seed));
        playing.spawn_local(async move { (scenario, story.await) });
    }
    let mut broken = Vec::new();
    while let Some(ended) = playing.join_next().await {
        let (scenario, story) = ended.unwrap();
        match story.unwrap_or_else(|panic| Err(format!("it could not be played: {panic}"))) {
            Ok(words) => println!("scenario {:<14} kept: {words}", scenario.name()),
            Err(why) => {
                println!("scenario {:<14} BROKEN: {why}", scenario.name());
                broken.push(format!("scenario {}: {why}", scenario.name()));
            }
        }
    }
    broken
}

/// The broken promises. Logs and ledgers of a broken run are kept.
fn report(name: &str, stage: Arc<Stage>, verdict: &Verdict) -> Vec<String> {
    let broken: Vec<String> = verdict
        .broken()
        .into_iter()
        .map(|line| format!("{name}: {line}"))
        .collect();
    if !broken.is_empty()
        && let Some(stage) = Arc::into_inner(stage)
    {
        println!("  logs and ledgers            {}", stage.keep().display());
    }
    broken
}

fn print_plan(seed: u64, duration: Duration, hurry: bool) {
    for (at, track) in TRACKS.iter().enumerate() {
        for injection in plan(seed, at, duration, hurry) {
            println!(
                "{:<10} after {:>5} ms: {} ({} ms)",
                track.name,
                injection.after.as_millis(),
                injection.fault.name(),
                injection.lasts.as_millis()
            );
        }
    }
}
