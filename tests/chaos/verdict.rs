//! What a run has shown: the ledgers according to the independent script, and the rest by asking the database past
//! every proxy.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{load::Known, plan::Fault, recovery::Worst, rings::Rings, stage::Stage};

/// Everything counted in one run.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) faults: BTreeMap<Fault, usize>,
    pub(crate) marked: BTreeMap<&'static str, usize>,
    pub(crate) recoveries: BTreeMap<String, Worst>,
    pub(crate) rings: Rings,
    pub(crate) calls: usize,
    pub(crate) accepted: usize,
    pub(crate) canceled: usize,
    pub(crate) absent: Vec<String>,
    /// Requests without a key that became several calls.
    pub(crate) doubled: Vec<String>,
    pub(crate) open: Vec<String>,
    pub(crate) above_cap: usize,
    pub(crate) in_flight: BTreeMap<String, usize>,
    pub(crate) events: usize,
    pub(crate) events_lost: Vec<String>,
    pub(crate) endings: String,
    pub(crate) deaths: Vec<String>,
    pub(crate) drained_in: Duration,
    pub(crate) broken: Vec<String>,
}

impl Verdict {
    /// Asks the database and the ledgers. `most` is the largest number of calls seen in flight, by trunk.
    pub(crate) async fn of(stage: &Stage, known: &Known, most: BTreeMap<String, usize>) -> Self {
        let mut verdict = Self {
            calls: stage
                .text("select count(*) from pgdial.calls")
                .await
                .parse()
                .unwrap(),
            accepted: known.accepted.len(),
            canceled: known.cancels,
            marked: known.marked.clone(),
            events: known.events.len(),
            rings: Rings::judge(stage.trunks.iter().map(|trunk| trunk.ledger.as_path())),
            endings: stage.text(ENDINGS).await,
            in_flight: most,
            ..Self::default()
        };
        verdict.absent = missing(stage, &known.accepted, "select id::text from pgdial.calls").await;
        verdict.open = lines(&stage.text(OPEN).await);
        verdict.doubled = lines(&stage.text(DOUBLED).await);
        verdict.events_lost = missing(
            stage,
            &known.events,
            "select event_id from pgdial.webhook_events",
        )
        .await;
        for trunk in &stage.trunks {
            let peak = Rings::judge([trunk.ledger.as_path()].into_iter()).peak;
            let seen = verdict.in_flight.entry(trunk.name.to_owned()).or_default();
            verdict.above_cap += peak.max(*seen).saturating_sub(trunk.slots);
        }
        for keeper in stage.apis.iter().chain(&stage.workers) {
            // Processes started without a database end at once, which is expected.
            let lived = keeper
                .ends()
                .into_iter()
                .filter(|end| end.lived > Duration::from_secs(10));
            verdict.deaths.extend(lived.map(|end| {
                format!(
                    "{} ended by itself after {} s: {}",
                    keeper.name,
                    end.lived.as_secs(),
                    end.status
                )
            }));
        }
        verdict.broken = known.broken.clone();
        verdict
    }

    /// The broken promises, one per line.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = self.rings.check();
        let mut say = |is_broken: bool, line: String| {
            if is_broken {
                broken.push(line);
            }
        };
        let (absent, open, lost) = (self.absent.len(), self.open.len(), self.events_lost.len());
        say(
            absent > 0,
            format!(
                "P2: {absent} accepted calls are absent: {:?}",
                self.absent.first()
            ),
        );
        say(
            open > 0,
            format!("P2: calls are not terminal at the end: {:?}", self.open),
        );
        say(
            !self.doubled.is_empty(),
            format!("P1: requested once, enqueued twice: {:?}", self.doubled),
        );
        say(
            lost > 0,
            format!(
                "P2: {lost} webhooks answered 2xx are not kept: {:?}",
                self.events_lost.first()
            ),
        );
        say(
            self.above_cap > 0,
            format!("P3: {} above the cap: {:?}", self.above_cap, self.in_flight),
        );
        for (kind, worst) in self.recoveries.iter().filter(|(_, worst)| worst.over > 0) {
            let limit = worst.limit.unwrap_or_default().as_secs_f64();
            let time = worst.time.as_secs_f64();
            say(
                true,
                format!(
                    "recovery after {kind} took {time:.1} s, more than {limit:.1} s ({} times)",
                    worst.over
                ),
            );
        }
        broken.extend(self.broken.iter().cloned());
        broken
    }
}

/// Accepted ids that the query does not return. Reads all of them: there are a few thousand.
async fn missing(
    stage: &Stage,
    wanted: &std::collections::BTreeSet<String>,
    sql: &str,
) -> Vec<String> {
    let mut connection = stage.postgres.direct().await.unwrap();
    let found: Vec<(String,)> = sqlx::query_as(sqlx::AssertSqlSafe(sql.to_owned()))
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let found: std::collections::BTreeSet<String> = found.into_iter().map(|(id,)| id).collect();
    wanted.difference(&found).cloned().collect()
}

fn lines(text: &str) -> Vec<String> {
    let lines = text.split(';').filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

const DOUBLED: &str = "select string_agg(d.once, ';') from (
    select metadata ->> 'once' as once from pgdial.calls where metadata ? 'once' group by 1 having count(*) > 1) d";
const OPEN: &str = "select string_agg(o.line, ';') from (
    select concat_ws(' ', id, state, claim_no, last_error) line from pgdial.calls where ended_at is null limit 5) o";
const ENDINGS: &str = "select string_agg(n || ' ' || what, ', ' order by n desc)
    from (select count(*) n, state || coalesce('/' || outcome, '') what from pgdial.calls group by 2) e";

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, name: &str, value: String| {
            writeln!(f, "  {name:<28}{value}")
        };
        writeln!(f, "  {:<28}{:>5}   worst recovery", "fault", "times")?;
        for (fault, count) in &self.faults {
            let name = fault.name();
            let worst = self.recoveries.get(&name);
            let worst = worst
                .map(|w| format!("{:6.1} s", w.time.as_secs_f64()))
                .unwrap_or_default();
            writeln!(f, "  {name:<28}{count:>5}   {worst}")?;
        }
        let total: usize = self.faults.values().sum();
        writeln!(
            f,
            "  {:<28}{total:>5}   of {} kinds",
            "all",
            self.faults.len()
        )?;
        let marked: Vec<String> = self
            .marked
            .iter()
            .map(|(rule, n)| format!("{n} {rule}"))
            .collect();
        row(f, "provider faults by number", marked.join("; "))?;
        row(
            f,
            "calls accepted",
            format!("{} (in the database: {})", self.accepted, self.calls),
        )?;
        row(f, "cancels agreed", self.canceled.to_string())?;
        row(
            f,
            "rings",
            format!("{} of {} numbers", self.rings.count, self.rings.numbers),
        )?;
        row(
            f,
            "double rings",
            format!(
                "{} by reference, {} overlapping",
                self.rings.twice, self.rings.overlapping
            ),
        )?;
        row(
            f,
            "lost",
            format!(
                "{} absent, {} not terminal",
                self.absent.len(),
                self.open.len()
            ),
        )?;
        row(f, "doubled", self.doubled.len().to_string())?;
        row(
            f,
            "above the cap",
            format!("{} (most in flight: {:?})", self.above_cap, self.in_flight),
        )?;
        row(
            f,
            "webhooks acknowledged",
            format!(
                "{} of ours, {} of them not kept",
                self.events,
                self.events_lost.len()
            ),
        )?;
        row(f, "endings", self.endings.clone())?;
        row(
            f,
            "drained in",
            format!("{:.0} s", self.drained_in.as_secs_f64()),
        )?;
        for death in &self.deaths {
            row(f, "died", death.clone())?;
        }
        Ok(())
    }
}
