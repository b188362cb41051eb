//! Measures the time from the end of a fault until work goes on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::process::Pid;
use sqlx::PgConnection;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{load::lock, postgres, stage::Stage};

/// The lease of a claim, plus time for the sweep.
const AFTER_A_DEATH: Duration = Duration::from_secs(60 + 5);
/// From the first connection that Postgres accepts to the first claim.
pub(crate) const AFTER_POSTGRES: Duration = Duration::from_secs(5);
/// The same, from the return of the primary.
pub(crate) const AFTER_A_STANDBY: Duration = Duration::from_secs(10);
/// From the moment connections hang: nobody is told, so our own limits have to expire.
pub(crate) const AFTER_A_HANG: Duration = Duration::from_secs(45);
/// Limit on every wait.
const PATIENCE: Duration = Duration::from_secs(150);

/// Every slot is taken, most of them by doubts, which only their deadlines end: nothing can be claimed, whatever works.
const FULL_OF_DOUBTS: &str = "not exists (
    select from pgdial.trunks t where t.slots > (
        select count(*) from pgdial.calls c where c.trunk = t.name and c.state in ('dialing', 'unresolved', 'in_call')))
    and (select 2 * count(*) filter (where state = 'unresolved') > count(*) from pgdial.calls
         where state in ('dialing', 'unresolved', 'in_call'))";

/// The worst recovery of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Worst {
    pub(crate) count: usize,
    pub(crate) time: Duration,
    pub(crate) limit: Option<Duration>,
    /// Recoveries beyond the limit.
    pub(crate) over: usize,
}

/// Recoveries of one stage, measured in the background.
#[derive(Debug, Clone)]
pub(crate) struct Recoveries {
    stage: Arc<Stage>,
    worst: Arc<Mutex<BTreeMap<String, Worst>>>,
    /// When Postgres was unusable, because a dead worker's calls cannot move on then.
    outages: Arc<Mutex<Vec<(Instant, Instant)>>>,
    measuring: TaskTracker,
    stop: CancellationToken,
}

impl Recoveries {
    pub(crate) fn new(stage: &Arc<Stage>) -> Self {
        Self {
            stage: Arc::clone(stage),
            worst: Arc::default(),
            outages: Arc::default(),
            measuring: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Measures from a worker's death until none of its claims is dialing any more.
    pub(crate) fn after_death(&self, kind: &str, pid: Pid) {
        let (own, kind, began) = (self.clone(), kind.to_owned(), Instant::now());
        let claims = format!(
            "select count(*) from pgdial.calls where state = 'dialing' and claimed_by =
               (select id from pgdial.workers where pid = {} order by started_at desc limit 1)",
            pid.as_raw_nonzero()
        );
        self.spawn(async move {
            own.until(&claims, "0").await;
            let ended = Instant::now();
            let outage = own.outage_within(began, ended);
            own.record(&kind, ended - began, Some(AFTER_A_DEATH + outage));
        });
    }

    /// Measures from now, when the database is reachable again, until a worker claims. Enqueues a due call per
    /// campaign, so that there is something to claim.
    pub(crate) async fn until_claims(&self, kind: &str, limit: Option<Duration>) {
        let began = Instant::now();
        let Ok(since) = self.probe().await else {
            return;
        };
        let claimed = format!("exists (select from pgdial.calls where claimed_at > '{since}')");
        let either = format!("{claimed} or ({FULL_OF_DOUBTS})");
        let claims = timeout(PATIENCE, self.until(&either, "true")).await;
        if self.asked(&claimed).await.as_deref() != Some("true") && claims.is_ok() {
            return;
        }
        let limit = limit.or(claims.is_err().then_some(AFTER_POSTGRES));
        self.record(kind, began.elapsed(), limit);
    }

    async fn probe(&self) -> Result<String, sqlx::Error> {
        let mut connection = self.stage.postgres.direct().await?;
        let since = postgres::text(&mut connection, "pgdial.now()").await?;
        let due =
            "select pgdial.enqueue('+1416' || lpad(floor(random() * 1e5)::text, 5, '0') || '00',
                       'probe', p_campaign => g.name) from pgdial.campaigns g";
        postgres::run(&mut connection, due).await?;
        Ok(since)
    }

    /// Records that Postgres was unusable from `began` until now.
    pub(crate) fn outage_since(&self, began: Instant) {
        lock(&self.outages).push((began, Instant::now()));
    }

    /// Waits for measurements under way; returns the worst of each kind.
    pub(crate) async fn finish(&self) -> BTreeMap<String, Worst> {
        self.measuring.close();
        if timeout(PATIENCE, self.measuring.wait()).await.is_err() {
            self.stop.cancel();
        }
        lock(&self.worst).clone()
    }

    fn spawn(&self, measuring: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.measuring.spawn_local(async move {
            stop.run_until_cancelled(measuring).await;
        });
    }

    async fn asked(&self, question: &str) -> Option<String> {
        let mut connection = self.stage.postgres.direct().await.ok()?;
        postgres::text(&mut connection, question).await.ok()
    }

    async fn until(&self, question: &str, answer: &str) {
        let mut connection: Option<PgConnection> = None;
        loop {
            if connection.is_none() {
                connection = self.stage.postgres.direct().await.ok();
            }
            if let Some(open) = &mut connection {
                match postgres::text(open, question).await {
                    Ok(said) if said == answer => return,
                    Ok(_) => {}
                    Err(_) => connection = None,
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn outage_within(&self, began: Instant, ended: Instant) -> Duration {
        let outages = lock(&self.outages);
        let parts = outages.iter().map(|(from, to)| {
            (*to)
                .min(ended)
                .saturating_duration_since((*from).max(began))
        });
        parts.sum()
    }

    fn record(&self, kind: &str, time: Duration, limit: Option<Duration>) {
        let mut worst = lock(&self.worst);
        let worst = worst.entry(kind.to_owned()).or_default();
        worst.count += 1;
        worst.over += usize::from(limit.is_some_and(|limit| time > limit));
        if time >= worst.time {
            (worst.time, worst.limit) = (time, limit);
        }
    }
}
