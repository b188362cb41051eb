//! Endpoints that do not get their events.

use serde::Deserialize;
use sqlx::PgConnection;

use super::{Check, Looked, rows};

/// An endpoint without a success for so many minutes deserves a look.
const LASTING: f64 = 15.0;
/// Minutes by which an endpoint that works may lag.
const BEHIND: f64 = 15.0;

#[derive(Deserialize)]
struct Endpoint {
    name: String,
    paused_by: Option<String>,
    paused_why: Option<String>,
    failing_min: Option<f64>,
    last_error: Option<String>,
    lag_min: Option<f64>,
}

/// Whether each endpoint gets its events.
pub(super) async fn look(connection: &mut PgConnection) -> Looked {
    let endpoints: Vec<Endpoint> = rows(
        connection,
        "select e.name, e.paused_by, e.paused_why, p.last_error, \
                extract(epoch from n.now - p.failing_since)::float8 / 60 as failing_min, \
                extract(epoch from n.now - pgdial.undelivered_since(e.id))::float8 / 60 as lag_min \
         from pgdial.endpoints e join pgdial.endpoint_progress p on p.endpoint = e.id, (select pgdial.now()) n (now) \
         order by e.name",
    )
    .await?;
    let found: Vec<Check> = endpoints.iter().filter_map(of).collect();
    if found.is_empty() && !endpoints.is_empty() {
        let message = format!("{} get their events", endpoints.len());
        return Ok(vec![Check::ok("endpoints", message)]);
    }
    Ok(found)
}

fn of(endpoint: &Endpoint) -> Option<Check> {
    let name = &endpoint.name;
    let lag = endpoint.lag_min.unwrap_or_default();
    if let Some(by) = &endpoint.paused_by {
        let why = endpoint.paused_why.as_deref().unwrap_or("no reason given");
        let message =
            format!("{name} is paused by {by}: {why}; its events of {lag:.0} min are kept");
        let repair =
            format!("mend it, then `pgdial endpoints resume {name}`; what it missed is delivered");
        return Some(Check::warn("endpoints", message, repair));
    }
    let failing = endpoint.failing_min.filter(|minutes| *minutes >= LASTING);
    if let Some(minutes) = failing {
        let error = endpoint.last_error.as_deref().unwrap_or("no words");
        let message = format!("nothing was delivered to {name} for {minutes:.0} min: {error}");
        let repair = format!(
            "`pgdial endpoints deliveries {name}` shows the attempts; it is tried for three days, then paused"
        );
        return Some(Check::warn("endpoints", message, repair));
    }
    (lag >= BEHIND).then(|| {
        Check::warn(
            "endpoints",
            format!("{name} has not got an event of {lag:.0} min ago"),
            format!("`pgdial endpoints deliveries {name} --state pending`; without a live worker nothing is delivered"),
        )
    })
}
