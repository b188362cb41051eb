//! How each fault is inflicted on a stage, and undone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    load::lock,
    plan::{Fault, Injection},
    postgres::{self, Postgres},
    processes::Keeper,
    proxy::{Mode, Proxy, Upstream},
    recovery::{AFTER_A_HANG, AFTER_A_STANDBY, AFTER_POSTGRES, Recoveries},
    stage::Stage,
};

/// How long connections are reset before they lead elsewhere, so that everyone notices.
pub(crate) const RESET: Duration = Duration::from_millis(200);

/// How long a process may take to reach a crash point.
const TO_COME_BY: Duration = Duration::from_secs(8);

/// Not 503, by which the protocol says that there is no call.
const ERROR: &str =
    "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const GATEWAY: &str = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const FULL: &str =
    "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const FULL_FOR: &str = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 2\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Injects faults, and counts those that really took place.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    pub(crate) stage: Arc<Stage>,
    pub(crate) recoveries: Recoveries,
    pub(crate) done: Arc<Mutex<BTreeMap<Fault, usize>>>,
}

impl Faults {
    pub(crate) fn new(stage: &Arc<Stage>) -> Self {
        Self {
            stage: Arc::clone(stage),
            recoveries: Recoveries::new(stage),
            done: Arc::default(),
        }
    }

    /// Runs one track of the plan. A fault that has begun is undone before this returns.
    pub(crate) async fn follow(&self, track: Vec<Injection>, stop: CancellationToken) {
        for injection in track {
            if stop
                .run_until_cancelled(sleep(injection.after))
                .await
                .is_none()
            {
                return;
            }
            if self.inject(&injection, &stop).await {
                *lock(&self.done).entry(injection.fault).or_default() += 1;
            }
        }
    }

    /// False if there was no opportunity, so that nothing was done.
    async fn inject(&self, injection: &Injection, stop: &CancellationToken) -> bool {
        let Injection {
            fault,
            lasts,
            which,
            bytes,
            ..
        } = *injection;
        let stage = &self.stage;
        let provider = &stage.trunks[which % stage.trunks.len()].proxy;
        match fault {
            Fault::PostgresRestart
            | Fault::PostgresCrash
            | Fault::BackendCrash
            | Fault::BackendsTerminated
            | Fault::PoolFull => self.hit_postgres(fault, lasts, which).await,
            Fault::DatabaseCut => {
                self.spoil_database(fault, Mode::CutAfter(bytes), lasts)
                    .await
            }
            Fault::CommitReplyLost => self.spoil_database(fault, Mode::LoseReply, lasts / 8).await,
            Fault::DatabaseBlackHole => {
                self.spoil_database(fault, Mode::BlackHole, lasts * 2).await
            }
            Fault::DatabaseRefused => self.spoil_database(fault, Mode::Refuse, lasts).await,
            Fault::DatabaseHung => self.hang(fault, lasts).await,
            Fault::BackendsStopped => self
                .stop_backends(fault, lasts, which)
                .await
                .is_ok_and(|stopped| stopped),
            Fault::StandbyInstead => self.stand_in(fault, lasts * 2).await,
            Fault::RowsLocked => self.hold_rows(lasts).await.is_ok(),
            Fault::WorkerKilled => self.kill(pick(without_last(&stage.workers), which), fault),
            Fault::ApiKilled => self.kill(pick(&stage.apis, which), fault),
            Fault::Crash(point) => self.crash_at(point, which).await,
            Fault::WorkerStopped => {
                stop_for(pick(without_last(&stage.workers), which), lasts, stop).await
            }
            // The last worker is reserved for this track, so that a long sleep meets no kill.
            Fault::WorkerStoppedLong => {
                stop_for(&stage.workers[stage.workers.len() - 1], lasts, stop).await
            }
            Fault::ProviderErrorAfter => spoil(provider, Mode::ReplyInstead(ERROR), lasts).await,
            Fault::ProviderReplyLost => spoil(provider, Mode::LoseReply, lasts).await,
            Fault::ProviderSlow => {
                spoil(provider, Mode::Delay(Duration::from_secs(20)), lasts / 2).await
            }
            Fault::ProviderRefused => spoil(provider, Mode::Refuse, lasts).await,
            Fault::ProviderGateway => spoil(provider, Mode::Instead(GATEWAY), lasts / 4).await,
            Fault::RateLimited => spoil(provider, Mode::Instead(FULL), lasts).await,
            Fault::RateLimitedFor => spoil(provider, Mode::Instead(FULL_FOR), lasts).await,
            Fault::WebhookReplyLost => spoil(&stage.door, Mode::LoseReply, lasts).await,
            Fault::WebhookRefused => spoil(&stage.door, Mode::Refuse, lasts).await,
            Fault::WebhookBlackHole => spoil(&stage.door, Mode::BlackHole, lasts * 2).await,
        }
    }

    /// Faults that the server must recover from by itself.
    async fn hit_postgres(&self, fault: Fault, lasts: Duration, which: usize) -> bool {
        let (postgres, began) = (&self.stage.postgres, Instant::now());
        let done = match fault {
            Fault::PostgresRestart => {
                postgres.restart().await;
                true
            }
            Fault::PostgresCrash => {
                postgres.crash().await;
                true
            }
            Fault::BackendCrash => kill_backend(postgres, which)
                .await
                .is_ok_and(|killed| killed),
            Fault::BackendsTerminated => terminate_ours(postgres).await.is_ok(),
            _ => fill(postgres, lasts).await.is_ok(),
        };
        if done {
            while postgres.direct().await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
            self.recoveries.outage_since(began);
            self.recoveries
                .until_claims(&fault.name(), Some(AFTER_POSTGRES))
                .await;
        }
        done
    }

    async fn spoil_database(&self, fault: Fault, mode: Mode, lasts: Duration) -> bool {
        let began = Instant::now();
        spoil(&self.stage.network, mode, lasts).await;
        self.recoveries.outage_since(began);
        self.recoveries.until_claims(&fault.name(), None).await;
        true
    }

    /// Nobody is told, so the database counts as unavailable until the next claim.
    async fn hang(&self, fault: Fault, lasts: Duration) -> bool {
        let (began, name) = (Instant::now(), fault.name());
        self.stage.network.set(Mode::Hang);
        let claims = self.recoveries.until_claims(&name, Some(AFTER_A_HANG));
        tokio::join!(claims, async {
            sleep(lasts).await;
            self.stage.network.set(Mode::Pass);
        });
        self.recoveries.outage_since(began);
        true
    }

    /// One of them may hold the gate, so during this time nothing is certain to go on.
    async fn stop_backends(
        &self,
        fault: Fault,
        lasts: Duration,
        which: usize,
    ) -> Result<bool, sqlx::Error> {
        let began = Instant::now();
        let all = backends(&self.stage.postgres).await?;
        let half: Vec<Pid> = all.into_iter().skip(which % 2).step_by(2).collect();
        for pid in &half {
            // It may have ended meanwhile.
            kill_process(*pid, Signal::STOP).unwrap_or_default();
        }
        sleep(lasts).await;
        for pid in &half {
            kill_process(*pid, Signal::CONT).unwrap_or_default();
        }
        self.recoveries.outage_since(began);
        self.recoveries
            .until_claims(&fault.name(), Some(AFTER_POSTGRES))
            .await;
        Ok(!half.is_empty())
    }

    /// Sessions opened to the standby stay open afterwards: nobody is told that it was not the primary.
    async fn stand_in(&self, fault: Fault, lasts: Duration) -> bool {
        let (network, postgres) = (&self.stage.network, &self.stage.postgres);
        let Some(standby) = postgres.standby_socket().await else {
            return false;
        };
        let began = Instant::now();
        network.lead_to(Upstream::Unix(standby));
        network.set(Mode::Refuse);
        sleep(RESET).await;
        network.set(Mode::Pass);
        sleep(lasts).await;
        network.lead_to(Upstream::Unix(postgres.socket()));
        self.recoveries.outage_since(began);
        self.recoveries
            .until_claims(&fault.name(), Some(AFTER_A_STANDBY))
            .await;
        true
    }

    fn kill(&self, keeper: &Keeper, fault: Fault) -> bool {
        let killed = keeper.signal(Signal::KILL);
        if let Some(pid) = killed.filter(|_| fault == Fault::WorkerKilled) {
            self.recoveries.after_death(&fault.name(), pid);
        }
        killed.is_some()
    }

    async fn crash_at(&self, point: &'static str, which: usize) -> bool {
        let of_workers = !point.starts_with("webhook");
        let keepers = if of_workers {
            without_last(&self.stage.workers)
        } else {
            &self.stage.apis[..]
        };
        let keeper = pick(keepers, which);
        let Some(pid) = keeper.pid() else {
            return false;
        };
        let crashed = keeper.order(point, "kill", TO_COME_BY).await;
        if crashed && of_workers {
            self.recoveries
                .after_death(&Fault::Crash(point).name(), pid);
        }
        crashed
    }

    /// A person's open transaction, on rows of every kind.
    async fn hold_rows(&self, lasts: Duration) -> Result<(), sqlx::Error> {
        let mut person = self.stage.postgres.direct().await?;
        postgres::run(&mut person, "begin").await?;
        for state in ["waiting", "dialing", "in_call", "unresolved"] {
            let sql = format!(
                "select from pgdial.calls where state = '{state}' order by random() limit 15 for update skip locked"
            );
            postgres::run(&mut person, &sql).await?;
        }
        sleep(lasts).await;
        postgres::run(&mut person, "rollback").await
    }
}

fn pick(keepers: &[Keeper], which: usize) -> &Keeper {
    &keepers[which % keepers.len()]
}

/// All but the last worker, which is reserved for the long sleep.
fn without_last(keepers: &[Keeper]) -> &[Keeper] {
    &keepers[..keepers.len() - 1]
}

async fn spoil(proxy: &Proxy, mode: Mode, lasts: Duration) -> bool {
    proxy.set(mode);
    sleep(lasts).await;
    proxy.set(Mode::Pass);
    true
}

async fn stop_for(keeper: &Keeper, lasts: Duration, stop: &CancellationToken) -> bool {
    let Some(pid) = keeper.signal(Signal::STOP) else {
        return false;
    };
    stop.run_until_cancelled(sleep(lasts)).await;
    kill_process(pid, Signal::CONT).is_ok()
}

async fn kill_backend(postgres: &Postgres, which: usize) -> Result<bool, sqlx::Error> {
    let pids = backends(postgres).await?;
    let pid = pids.get(which % pids.len().max(1));
    Ok(pid.is_some_and(|pid| kill_process(*pid, Signal::KILL).is_ok()))
}

/// Backends of our own processes.
async fn backends(postgres: &Postgres) -> Result<Vec<Pid>, sqlx::Error> {
    let mut admin = postgres.direct().await?;
    let pids: Vec<(i32,)> = sqlx::query_as(
        "select pid from pg_stat_activity where application_name like 'pgdial%' order by pid",
    )
    .fetch_all(&mut admin)
    .await?;
    let pids = pids.into_iter();
    Ok(pids.filter_map(|(pid,)| Pid::from_raw(pid)).collect())
}

pub(crate) async fn terminate_ours(postgres: &Postgres) -> Result<(), sqlx::Error> {
    let mut admin = postgres.direct().await?;
    let ours = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'pgdial%'";
    postgres::run(&mut admin, ours).await
}

/// Foreign sessions take every connection, including ours, and keep them.
async fn fill(postgres: &Postgres, lasts: Duration) -> Result<(), sqlx::Error> {
    let mut foreign: Vec<PgConnection> = Vec::new();
    for terminated in [false, true] {
        if terminated {
            terminate_ours(postgres).await?;
        }
        while let Ok(session) = postgres.as_the_role().await {
            foreign.push(session);
            if foreign.len() > usize::try_from(postgres::CONNECTIONS).unwrap_or(usize::MAX) {
                break;
            }
        }
    }
    sleep(lasts).await;
    for session in foreign {
        // A session that was terminated meanwhile is as good as closed.
        session.close().await.unwrap_or_default();
    }
    Ok(())
}
