//! A database made afresh, and what fills it.
//!
//! Seeding writes rows and events straight into the tables, as if the verbs had: a million
//! of them in seconds. What is measured always goes through the verbs.

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

use super::{Error, Server, usage::Meter};

/// How long anything may take before the lab gives up.
pub const PATIENCE: Duration = Duration::from_mins(30);

/// One fresh, migrated database.
#[derive(Debug)]
pub struct Bed {
    /// Its URL.
    pub url: String,
    /// For statements of the lab alone: no time limit, `synchronous_commit` as the server has it.
    pub pool: PgPool,
    /// The verbs, over a pool as the API has it.
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

    /// Starts to measure time, CPU and memory.
    pub fn meter(&self) -> Meter {
        Meter::start(self.postmaster)
    }

    /// The same where this process is not what is measured: its part is named `who`.
    pub fn meter_as(&self, who: &'static str) -> Meter {
        Meter::start_as(who, self.postmaster)
    }

    /// Runs statements of the lab.
    pub async fn sql(&self, sql: &str) -> Result<(), Error> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// One number.
    pub async fn number(&self, sql: &str) -> Result<i64, Error> {
        let sql = format!("select ({sql})::bigint");
        let (number,) = sqlx::query_as(AssertSqlSafe(sql))
            .fetch_one(&self.pool)
            .await?;
        Ok(number)
    }

    /// The guard of the campaigns.
    pub async fn guard(&self, guard: &str) -> Result<(), Error> {
        self.sql(&format!("update pgdial.campaigns set guard = {guard}"))
            .await
    }

    /// How many calls the trunk `default` may have in flight.
    pub async fn set_slots(&self, slots: usize) -> Result<(), Error> {
        self.sql(&format!(
            "update pgdial.trunks set slots = {slots} where name = 'default'"
        ))
        .await
    }

    /// Adds so many waiting calls, due now, each to a number of its own, with their events.
    pub async fn seed_waiting(&self, calls: usize) -> Result<(), Error> {
        self.seed_more_waiting(0, calls).await
    }

    /// The same where so many are there `already`: no number comes twice.
    pub async fn seed_more_waiting(&self, already: usize, calls: usize) -> Result<(), Error> {
        sqlx::query(include_str!("bed/seed_waiting.sql"))
            .bind(i64::try_from(already).unwrap_or(i64::MAX))
            .bind(i64::try_from(already + calls).unwrap_or(i64::MAX))
            .execute(&self.pool)
            .await?;
        self.settle_down().await
    }

    /// Adds so many finished calls of the last day, each with the three events of its life.
    /// A hundred thousand at a time, so that no single transaction gets too long.
    pub async fn seed_finished(&self, calls: usize) -> Result<(), Error> {
        let (mut from, portion) = (0, 100_000);
        while from < calls {
            let to = calls.min(from + portion);
            sqlx::query(include_str!("bed/seed_finished.sql"))
                .bind(i64::try_from(from + 1).unwrap_or(i64::MAX))
                .bind(i64::try_from(to).unwrap_or(i64::MAX))
                .execute(&self.pool)
                .await?;
            from = to;
        }
        // What the sweep would do in a while: a home for events of other weeks.
        self.sql("select pgdial.ensure_partitions(pgdial.now(), 8)")
            .await?;
        self.settle_down().await
    }

    /// Vacuums, analyses, and writes a checkpoint where we may: nothing that seeding left
    /// behind falls into the window that is measured.
    pub async fn settle_down(&self) -> Result<(), Error> {
        self.sql("vacuum (analyze)").await?;
        // Only a superuser or a member of pg_checkpoint may; without it the figures vary more.
        self.sql("checkpoint").await.ok();
        Ok(())
    }

    /// Starts a worker in this process, with a pool of its own, and a provider on the trunk
    /// `default`. The same loops as `pgdial work` has.
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

    /// There are so many calls, each waiting, with its one event.
    pub async fn check_waiting(&self, calls: usize) -> Result<(), Error> {
        self.check(calls, "waiting", 0, &["waiting"], true).await
    }

    /// Every one of `calls` calls is in this state, with these events in this order and no
    /// others, claimed once. Finished calls that were seeded do not count.
    pub async fn check_lives(
        &self,
        calls: usize,
        state: &str,
        events: &[&str],
    ) -> Result<(), Error> {
        self.check(calls, state, 1, events, true).await
    }

    /// The same with other events between them.
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

/// One trunk, `default`, with this provider.
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

/// What signs webhooks in the lab.
pub fn secret() -> String {
    format!("lab-{}-{}", Uuid::new_v4(), Uuid::new_v4())
}

/// A worker in this process.
#[derive(Debug)]
pub struct Worker {
    stop: tokio_util::sync::CancellationToken,
    running: JoinSet<Result<(), lifecycle::Error>>,
    pool: db::Pool,
}

impl Worker {
    /// Runs these loops, whose pool it is.
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

    /// Its end, when it comes by itself: it died.
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
