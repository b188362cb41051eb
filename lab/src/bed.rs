//! A fresh database, and ways to fill it.
//!
//! Seeding writes rows and events straight into the tables as if the verbs had, because that is fast enough for
//! millions. Whatever is measured goes through the verbs.

use std::{sync::Arc, time::Duration};

use pgdial::{
    app,
    config::WorkerSettings,
    db,
    flow::Queue,
    lifecycle::{self, Supervisor},
    provider::{Provider, Stopwatch, signature::Secrets},
    trunks::{Trunk, Trunks},
};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    Error, Server,
    usage::{self, Meter},
};

/// Time after which the lab gives up waiting for anything.
pub const PATIENCE: Duration = Duration::from_mins(30);
/// Calls that are seeded in one transaction.
const PORTION: usize = 100_000;

/// A fresh, migrated database.
#[derive(Debug)]
pub struct Bed {
    /// URL of the lab's database.
    pub url: String,
    /// For the lab's own statements: no time limit, `synchronous_commit` as the server has it.
    pub pool: PgPool,
    /// The verbs, over a pool like the API's.
    pub calls: Queue,
    verbs: db::Pool,
    postmaster: Option<u32>,
}

impl Bed {
    pub(super) async fn make(server: &Server) -> Result<Self, Error> {
        server.fresh_database().await?;
        let url = server.url();
        let verbs = db::connect(&url, "lab api", app::API_CONNECTIONS).await?;
        let bed = Self {
            pool: server.pool(40).await?,
            calls: Queue::new(verbs.clone()),
            verbs,
            url,
            postmaster: server.postmaster(),
        };
        // Most scenarios refuse every call, and a campaign on trial dials only a few at once.
        bed.guard("null").await?;
        Ok(bed)
    }

    pub(super) async fn close(self) {
        self.verbs.close().await;
        self.pool.close().await;
    }

    /// Starts measuring time, CPU and memory.
    pub fn meter(&self) -> Meter {
        Meter::start(self.postmaster)
    }

    /// As [`Self::meter`], but names this process `who`, because it is not what is measured.
    pub fn meter_as(&self, who: &'static str) -> Meter {
        Meter::start_as(who, self.postmaster)
    }

    /// Memory of all of Postgres in bytes, what its processes share counted once; `None` where it cannot be seen.
    pub fn server_memory(&self) -> Option<f64> {
        usage::proportional(self.postmaster?)
    }

    /// Runs the lab's own statements.
    pub async fn sql(&self, sql: &str) -> Result<(), Error> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Runs a query for a single number.
    pub async fn number(&self, sql: &str) -> Result<i64, Error> {
        let sql = format!("select ({sql})::bigint");
        let (number,) = sqlx::query_as(AssertSqlSafe(sql))
            .fetch_one(&self.pool)
            .await?;
        Ok(number)
    }

    /// Sets the guard of every campaign; `null` turns it off.
    pub async fn guard(&self, guard: &str) -> Result<(), Error> {
        self.sql(&format!("update pgdial.campaigns set guard = {guard}"))
            .await
    }

    /// Sets the slots of the trunk `default`.
    pub async fn set_slots(&self, slots: usize) -> Result<(), Error> {
        self.sql(&format!(
            "update pgdial.trunks set slots = {slots} where name = 'default'"
        ))
        .await
    }

    /// Adds waiting calls, due now, each to a number of its own, with their events.
    pub async fn seed_waiting(&self, calls: usize) -> Result<(), Error> {
        self.seed_more_waiting(0, calls).await
    }

    /// As [`Self::seed_waiting`], after `already` calls: no number occurs twice. In portions, so that no transaction
    /// gets too long.
    pub async fn seed_more_waiting(&self, already: usize, calls: usize) -> Result<(), Error> {
        let (mut from, end) = (already, already + calls);
        while from < end {
            let to = end.min(from + PORTION);
            sqlx::query(include_str!("bed/seed_waiting.sql"))
                .bind(i64::try_from(from).unwrap_or(i64::MAX))
                .bind(i64::try_from(to).unwrap_or(i64::MAX))
                .execute(&self.pool)
                .await?;
            from = to;
        }
        self.settle_down().await
    }

    /// Adds finished calls of the last day, each with the three events of its life. In portions, so that no
    /// transaction gets too long.
    pub async fn seed_finished(&self, calls: usize) -> Result<(), Error> {
        let mut from = 0;
        while from < calls {
            let to = calls.min(from + PORTION);
            sqlx::query(include_str!("bed/seed_finished.sql"))
                .bind(i64::try_from(from + 1).unwrap_or(i64::MAX))
                .bind(i64::try_from(to).unwrap_or(i64::MAX))
                .execute(&self.pool)
                .await?;
            from = to;
        }
        // Partitions for other weeks' events, which the sweep would create in time.
        self.sql("select pgdial.ensure_partitions(pgdial.now(), 8)")
            .await?;
        self.settle_down().await
    }

    /// Vacuums, analyses, and writes a checkpoint if allowed, so that nothing left by seeding falls into the measured
    /// window.
    pub async fn settle_down(&self) -> Result<(), Error> {
        self.sql("vacuum (analyze)").await?;
        // Needs a superuser or a member of pg_checkpoint; without it figures vary more.
        self.sql("checkpoint").await.ok();
        Ok(())
    }

    /// Starts a worker in this process, with a pool of its own and the provider on the trunk `default`. It has the
    /// same loops as `pgdial work`.
    pub async fn start_worker(
        &self,
        provider: Arc<dyn Provider>,
        permits: usize,
    ) -> Result<Worker, Error> {
        let pool = db::connect(&self.url, "lab worker", app::WORKER_CONNECTIONS).await?;
        let calls = Queue::new(pool.clone());
        let mut supervisor = Supervisor::new()?;
        let settings = WorkerSettings {
            trunks: trunks(provider)?,
            public_url: "http://127.0.0.1:1".to_owned(),
            permits,
            poll: Some(Duration::from_secs(30)),
            keep_finished: None,
            endpoint_networks: pgdial::Networks::default(),
        };
        app::start_worker(&mut supervisor, &calls, settings).await?;
        app::start_notifier(&mut supervisor, calls);
        Ok(Worker::run(supervisor, pool))
    }

    /// Waits until each of these calls has ended.
    pub async fn until_ended(&self, calls: &[Uuid]) -> Result<(), Error> {
        let clock = Stopwatch::start();
        loop {
            let (open,): (i64,) = sqlx::query_as(
                "select count(*) from pgdial.calls where id = any($1) and ended_at is null",
            )
            .bind(calls)
            .fetch_one(&self.pool)
            .await?;
            if open == 0 {
                return Ok(());
            }
            if clock.elapsed() > PATIENCE {
                return Err(Error::Slow("a call"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Checks that there are exactly this many calls, each waiting, with its one event.
    pub async fn check_waiting(&self, calls: usize) -> Result<(), Error> {
        self.check(calls, "waiting", 0, &["waiting"], true).await
    }

    /// Checks that each of `calls` calls is in this state, with exactly these events in this order, and was claimed
    /// once. Seeded finished calls do not count.
    pub async fn check_lives(
        &self,
        calls: usize,
        state: &str,
        events: &[&str],
    ) -> Result<(), Error> {
        self.check(calls, state, 1, events, true).await
    }

    /// As [`Self::check_lives`], but with other events allowed in between.
    pub async fn check_lives_among(
        &self,
        calls: usize,
        state: &str,
        events: &[&str],
    ) -> Result<(), Error> {
        self.check(calls, state, 1, events, false).await
    }

    async fn check(
        &self,
        calls: usize,
        state: &str,
        claims: i64,
        events: &[&str],
        alone: bool,
    ) -> Result<(), Error> {
        let (found, right): (i64, i64) = sqlx::query_as(include_str!("bed/check_lives.sql"))
            .bind(state)
            .bind(claims)
            .bind(
                events
                    .iter()
                    .map(|&event| event.to_owned())
                    .collect::<Vec<_>>(),
            )
            .bind(alone)
            .fetch_one(&self.pool)
            .await?;
        let expected = i64::try_from(calls).unwrap_or(i64::MAX);
        if (found, right) != (expected, expected) {
            return Err(Error::Wrong(format!(
                "of {calls} calls there are {found}, and {right} are {state} after {claims} claims with the events {events:?}"
            )));
        }
        Ok(())
    }
}

/// A single trunk, `default`, with this provider.
pub fn trunks(provider: Arc<dyn Provider>) -> Result<Trunks, Error> {
    let secrets: Secrets = secret()
        .parse()
        .map_err(|_bad| Error::Wrong("the lab's own secret cannot be read".to_owned()))?;
    let trunk = Trunk {
        name: "default".to_owned(),
        provider,
        secrets,
    };
    Ok([trunk].into_iter().collect())
}

/// A new secret for signing webhooks.
pub fn secret() -> String {
    format!("lab-{}-{}", Uuid::new_v4(), Uuid::new_v4())
}

/// A worker inside this process.
#[derive(Debug)]
pub struct Worker {
    stop: tokio_util::sync::CancellationToken,
    running: JoinSet<Result<(), lifecycle::Error>>,
    pool: db::Pool,
}

impl Worker {
    /// Runs these loops; closes their pool at the end.
    pub(super) fn run(supervisor: Supervisor, pool: db::Pool) -> Self {
        let stop = supervisor.stop();
        let mut running = JoinSet::new();
        running.spawn(supervisor.run(Duration::from_secs(30)));
        Self {
            stop,
            running,
            pool,
        }
    }

    /// Returns the error once the worker ends by itself, which means that it died.
    pub async fn died(&mut self) -> Error {
        match self.running.join_next().await {
            Some(Ok(Err(error))) => error.into(),
            Some(Err(error)) => error.into(),
            Some(Ok(Ok(()))) | None => Error::Wrong("the worker ended by itself".to_owned()),
        }
    }

    /// Stops it and waits for its end.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended??;
        }
        self.pool.close().await;
        Ok(())
    }
}
