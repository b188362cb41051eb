//! After every step: whether the database equals the model, and whether its rows keep the promises no matter what the
//! model says.

use pgdial::{domain::CallState, flow::Queue};
use serde_json::{Map, Value, json};
use sqlx::types::Json;

use crate::{
    database::TestDb,
    model::{CAMPAIGNS, Call, Due, Forbidden, Kept, Model, NUMBERS, SECOND, TRUNKS, Trunk},
};

/// The world begins here, and its clock moves only by what a step adds, so that moments in the model are exact and a
/// story can be repeated.
const PREPARE: &str = "
    create or replace function pgdial.now() returns timestamptz language sql volatile parallel safe
    as $$ select timestamptz '2030-01-01 00:00:00+00' + (select c.ahead from pgdial.clock c) $$;
    create function public.since(p_at timestamptz) returns bigint language sql immutable
    as $$ select (extract(epoch from p_at - timestamptz '2030-01-01 00:00:00+00') * 1000000)::bigint $$;";

const EMPTY: &str = "
    delete from pgdial.calls; delete from pgdial.call_events; delete from pgdial.webhook_events;
    delete from pgdial.do_not_call; delete from pgdial.trunk_breaker;
    delete from pgdial.answers; delete from pgdial.campaign_trust;
    delete from pgdial.campaigns where name <> 'default'; delete from pgdial.trunks where name <> 'default';
    update pgdial.clock set ahead = '0'; select setseed(0.5);";

/// A database with a stopped clock, over one connection, so that its random draws are the same for the same story.
pub(crate) async fn prepare() -> TestDb {
    let db = TestDb::new().await;
    db.sql(PREPARE).await;
    let pool = pgdial::db::connect(&db.url, "model", 1).await.unwrap();
    TestDb {
        url: db.url,
        calls: Queue::new(pool.clone()),
        pool,
    }
}

/// Removes the previous story.
pub(crate) async fn empty(db: &TestDb) {
    db.sql(EMPTY).await;
}

/// Compares, and copies into the model what Postgres may choose.
pub(crate) async fn check(db: &TestDb, model: &mut Model) -> Result<(), String> {
    let (found,): (Json<Value>,) = sqlx::query_as(include_str!("check.sql"))
        .fetch_one(&db.pool)
        .await
        .map_err(|error| error.to_string())?;
    let mut problems = Vec::new();
    if let Some(broken) = found.0["broken"].as_array() {
        problems.extend(broken.iter().map(Value::to_string));
    }
    for (index, call) in model.calls.iter_mut().enumerate() {
        let row = &found.0["calls"][call.id.to_string()];
        take_draw(call, row);
        compare(
            &format!("call {}", index + 1),
            &call_as_row(call),
            row,
            &mut problems,
        );
    }
    let rows = found.0["calls"].as_object().map_or(0, Map::len);
    compare(
        "calls",
        &json!(model.calls.len()),
        &json!(rows),
        &mut problems,
    );
    let events: Vec<Value> = model.kept.iter().map(kept_as_row).collect();
    compare(
        "webhook events",
        &or_null(json!(events)),
        &found.0["webhook_events"],
        &mut problems,
    );
    for (name, trunk) in TRUNKS.iter().zip(&model.trunks) {
        let row = &found.0["trunks"][name];
        compare(
            &format!("trunk {name}"),
            &trunk_as_row(trunk),
            row,
            &mut problems,
        );
    }
    for (name, lane) in CAMPAIGNS.iter().zip(&model.campaigns) {
        let (row, what) = (
            &found.0["campaigns"][name],
            format!("campaign {name}: paused"),
        );
        compare(&what, &json!(lane.paused), row, &mut problems);
    }
    let entry = |entry: &Forbidden| (NUMBERS[entry.number].to_owned(), json!(entry.pending));
    let forbidden: Map<String, Value> = model.forbidden.iter().map(entry).collect();
    compare(
        "do-not-call list",
        &or_null(json!(forbidden)),
        &found.0["do_not_call"],
        &mut problems,
    );
    model.now += crate::model::MILLISECOND;
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n"))
    }
}

/// Aggregates over nothing are null.
fn or_null(value: Value) -> Value {
    let empty =
        value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
    if empty { Value::Null } else { value }
}

/// Copies the jitter that Postgres drew if it is allowed; otherwise the comparison of rows fails.
fn take_draw(call: &mut Call, row: &Value) {
    if let Some(drawn) = row["run_at"].as_i64()
        && (call.run_at.earliest..=call.run_at.latest).contains(&drawn)
    {
        call.run_at = Due::at(drawn);
    }
}

fn compare(what: &str, model: &Value, found: &Value, problems: &mut Vec<String>) {
    match (model, found) {
        (Value::Object(model), Value::Object(found)) => {
            let differing = model
                .iter()
                .filter(|(key, value)| found.get(*key) != Some(value));
            problems.extend(differing.map(|(key, value)| {
                let found = found.get(key).unwrap_or(&Value::Null);
                format!("{what}: {key} is {found}, expected {value}")
            }));
        }
        (model, found) if model != found => {
            problems.push(format!("{what}: {found}, expected {model}"));
        }
        _ => {}
    }
}

fn call_as_row(call: &Call) -> Value {
    json!({
        "state": call.state,
        "number": NUMBERS[call.request.number],
        "campaign": CAMPAIGNS[call.request.campaign],
        "priority": call.priority,
        "run_at": call.run_at.earliest,
        "expires_at": call.expires_at,
        "attempt": call.attempt,
        "max_attempts": call.max_attempts,
        "deferrals": call.deferrals,
        "claim_no": call.claim_no(),
        "lease_until": call.lease_until,
        "deadline_at": call.deadline_at,
        "hold_until": call.hold_until,
        "trunk": call.trunk.map(|trunk| TRUNKS[trunk]),
        "provider_call_id": call.provider_id,
        "answered_at": call.answered_at,
        "ended_at": call.ended_at,
        "outcome": call.outcome,
        "cancel_requested": call.cancel_requested,
        "look_up_at": call.look_up_at,
        "not_found": call.not_found,
        "answered_before": call.answered_before,
        "told": call.dials.last().map_or([60, 1800], |dial| {
            [dial.ring_timeout / SECOND, dial.max_duration / SECOND]
        }),
        "events": call.events.join(" "),
    })
}

fn kept_as_row(kept: &Kept) -> Value {
    let verdict = format!("{:?}", kept.verdict);
    let verdict = match verdict.as_str() {
        "LateAnswer" => "late_answer".to_owned(),
        word => word.to_lowercase(),
    };
    json!([kept.delivery.event_id, verdict, kept.deliveries])
}

fn trunk_as_row(trunk: &Trunk) -> Value {
    json!({
        "paused": trunk.paused,
        "faults": trunk.breaker.faults,
        "open": trunk.breaker.open,
        "not_before": trunk.breaker.not_before(),
    })
}

/// P2: every call that has not ended names a reason.
pub(crate) async fn every_open_call_says_why(db: &TestDb, model: &Model) -> Result<(), String> {
    for (index, call) in model.calls.iter().enumerate() {
        let why = format!("select count(*) from pgdial.why('{}')", call.id);
        if !call.state.is_terminal() && db.text(&why).await == "0" {
            let state: CallState = call.state;
            return Err(format!(
                "call {} is {state}, and nothing says why",
                index + 1
            ));
        }
    }
    Ok(())
}
