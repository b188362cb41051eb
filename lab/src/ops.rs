//! Queries of people (`pgdial ops`), why, stats and pages of calls, each made as the program makes it, with five
//! million finished calls and two hundred thousand waiting. A person on call waits a second at most: a query that
//! takes longer is a wrong result.

use std::time::Duration;

use pgdial::{
    domain::{CallId, CallState},
    flow::{
        listing::CallFilter,
        ops::{QUESTIONS, Question},
    },
    provider::Stopwatch,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, types::Uuid};

use super::{Bed, Error, Measure, Options, measure::Better};

const FINISHED: usize = 5_000_000;
const WAITING: usize = 200_000;
const EVENTS: usize = 200_000;
/// Measured runs of each query, after one that is not measured.
const TIMES: usize = 3;
/// The number of the first finished call.
const CALLED: &str = "+13000048271";
const PATIENCE: Duration = Duration::from_secs(1);

/// One measured query.
enum Asked {
    Ops(&'static Question),
    Page(Box<CallFilter>),
    Why(CallId),
    Stats,
}

pub(super) async fn ops(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let waiting = options.scaled(WAITING).max(20_000);
    bed.seed_finished(options.scaled(FINISHED).max(60_000))
        .await?;
    bed.seed_waiting(waiting).await?;
    stage(bed, options.scaled(EVENTS).max(2_000)).await?;

    let mut measures = Vec::new();
    for question in QUESTIONS {
        let name = format!("ops {}", question.name);
        let lines = time(bed, &mut measures, name, Asked::Ops(question)).await?;
        if lines.as_array().is_none_or(Vec::is_empty) {
            return Err(Error::Wrong(format!("{} shows nothing", question.name)));
        }
    }
    for (name, filter) in pages() {
        let name = format!("page of {name}");
        time(bed, &mut measures, name, Asked::Page(Box::new(filter))).await?;
    }
    let last = "select id from pgdial.calls where state = 'waiting' and campaign = 'default' \
                order by run_at desc limit 1";
    let (last,): (Uuid,) = sqlx::query_as(last).fetch_one(&bed.pool).await?;
    let (name, why) = ("why of the last in line", Asked::Why(CallId(last)));
    let reasons = time(bed, &mut measures, name.to_owned(), why).await?;
    if reasons.pointer("/0/reason") != Some(&json!("in_line")) {
        return Err(Error::Wrong(format!("the last in line: {reasons}")));
    }
    let stats = time(bed, &mut measures, "stats".to_owned(), Asked::Stats).await?;
    // 20 of them are in flight.
    if stats.pointer("/calls/waiting") != Some(&json!(waiting - 20)) {
        return Err(Error::Wrong(format!("of {waiting} waiting calls: {stats}")));
    }
    Ok(measures)
}

async fn stage(bed: &Bed, events: usize) -> Result<(), Error> {
    let statements = include_str!("ops/stage.sql").replace("$1", &events.to_string());
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(&bed.pool)
        .await?;
    bed.settle_down().await
}

fn pages() -> [(&'static str, CallFilter); 5] {
    let state = |state| CallFilter {
        state: Some(vec![state]),
        ..CallFilter::default()
    };
    [
        ("all calls", CallFilter::default()),
        ("failed ones", state(CallState::Failed)),
        ("a state that no call is in", state(CallState::Expired)),
        ("what waits", state(CallState::Waiting)),
        (
            "one campaign",
            CallFilter {
                campaign: Some("lane_1".to_owned()),
                ..CallFilter::default()
            },
        ),
    ]
}

/// Runs a query several times and keeps the durations in ms. Returns the last answer.
async fn time(
    bed: &Bed,
    measures: &mut Vec<Measure>,
    name: String,
    asked: Asked,
) -> Result<Value, Error> {
    let (mut samples, mut answer) = (Vec::new(), ask(bed, &asked).await?);
    for _ in 0..TIMES {
        let clock = Stopwatch::start();
        answer = ask(bed, &asked).await?;
        let took = clock.elapsed();
        if took > PATIENCE {
            return Err(Error::Wrong(format!("{name} took {took:.1?}")));
        }
        samples.push(took.as_secs_f64() * 1e3);
    }
    measures.push(Measure::of(name, "ms", Better::Lower, samples));
    Ok(answer)
}

async fn ask(bed: &Bed, asked: &Asked) -> Result<Value, Error> {
    Ok(match asked {
        Asked::Ops(question) => {
            let phone = question.takes_phone().then_some(CALLED);
            json!(bed.calls.ask(question, phone).await?)
        }
        Asked::Page(filter) => {
            let listed = bed.calls.list(filter, None, 50).await;
            json!(
                listed
                    .map_err(|error| Error::Wrong(error.to_string()))?
                    .calls
            )
        }
        Asked::Why(id) => json!(bed.calls.why(*id).await?),
        Asked::Stats => json!(bed.calls.stats().await?),
    })
}
