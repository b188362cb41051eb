//! The Postgres sessions of one process, each lent to one task at a time.
//!
//! - No wait is unbounded: acquiring a session is limited, and so is each response ([`answered`]). A network
//!   that drops packets silently and a frozen pooler or server look like a long statement, and TCP reports
//!   neither.
//! - A session that missed its limit, broke, or turned out to be read-only is closed and never lent again,
//!   and so are idle ones: what happened to one has usually happened to all.
//! - One whose statement was abandoned is drained first, within the same limit.
//! - A waiting task takes what comes first, a returned session or a new one: behind a full pooler a new one
//!   does not come.
//! - An abandoned statement may still be running on the server. It is asked to end, unless its commit waits
//!   for a standby: a client may learn later that it is durable. While as many of
//!   them are left as the pool may have sessions, no more are opened.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::{
    TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Connection, Either, Error, Execute, Executor, PgConnection, Postgres,
    postgres::{
        PgConnectOptions, PgDatabaseError, PgPool, PgPoolOptions, PgQueryResult, PgRow, PgSeverity,
        PgTypeInfo,
    },
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};

use super::{
    session::{self, Backend, Refusal},
    targets::Targets,
};

/// Limit for a response: the server itself ends a statement after 30 s.
pub(crate) const ANSWER: Duration = Duration::from_secs(35);
/// The same for statements that many callers wait for.
pub(crate) const SHORT_ANSWER: Duration = Duration::from_secs(15);
/// How long an idle session is assumed to be alive. Checking before each statement would cost a round trip
/// each, and prove nothing about the moment after.
const TRUSTED: Duration = Duration::from_secs(1);
/// Limit for a liveness check.
const SIGN: Duration = Duration::from_secs(2);
/// Maximum age of a session: the server's memory grows with what a session has seen.
const LIFETIME: Duration = Duration::from_mins(30);
/// Maximum idle time of a session.
const IDLE: Duration = Duration::from_mins(10);
/// Between two attempts to connect to a server that is starting, or not primary yet.
const PAUSE: Duration = Duration::from_millis(200);
/// Between two checks of abandoned statements.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// A pool. Cheap to clone; sessions end with the last clone.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    targets: Targets,
    application: String,
    most: u32,
    room: Arc<Semaphore>,
    returned: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Idle>,
    /// Index of the target that responded last.
    server: usize,
    given_up: Vec<Backend>,
    /// A task watches the abandoned statements.
    is_looked_after: bool,
    /// Why the latest attempt to open a session failed.
    refusal: Option<Refusal>,
    /// Commits wait for a standby, so abandoned statements do not end.
    awaits_standby: bool,
    is_closed: bool,
}

struct Session {
    connection: PgConnection,
    backend: Backend,
    opened: Instant,
}

struct Idle {
    session: Session,
    since: Instant,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("application", &self.0.application)
            .finish_non_exhaustive()
    }
}

/// Sessions of a pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sessions {
    pub(crate) idle: usize,
    pub(crate) lent: usize,
    pub(crate) most: u32,
}

impl Pool {
    /// Does not open a session yet.
    pub(super) fn new(targets: Targets, application: String, most: u32) -> Self {
        Self(Arc::new(Shared {
            targets: targets.named(&application),
            application,
            most,
            room: Arc::new(Semaphore::new(most as usize)),
            returned: Notify::new(),
            state: Mutex::default(),
        }))
    }

    /// A session, within the time that the URL's servers may take.
    pub async fn acquire(&self) -> Result<Lent, Error> {
        let shared = &self.0;
        let mut failed = None;
        let limit = shared.targets.limit_of_all();
        let acquired = timeout(limit, shared.acquire(&mut failed)).await;
        acquired.unwrap_or_else(|_elapsed| Err(failed.unwrap_or(Error::PoolTimedOut)))
    }

    /// Closes what is idle now, and the rest when it comes back.
    pub async fn close(&self) {
        let idle = {
            let mut state = self.0.state();
            state.is_closed = true;
            std::mem::take(&mut state.idle)
        };
        self.0.room.close();
        for Idle { session, .. } in idle {
            close(session).await;
        }
    }

    /// Application name of its sessions.
    pub(crate) fn application(&self) -> &str {
        &self.0.application
    }

    pub(crate) fn sessions(&self) -> Sessions {
        let most = self.0.most;
        Sessions {
            idle: self.0.state().idle.len(),
            lent: (most as usize).saturating_sub(self.0.room.available_permits()),
            most,
        }
    }

    /// Why no session can be opened at the moment, if the server is there but refuses.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.0.state().refusal.clone()
    }

    /// Whether commits wait for an absent standby.
    pub(crate) fn awaits_standby(&self) -> bool {
        self.0.state().awaits_standby
    }

    /// A session outside the pool, without its settings.
    pub(super) async fn plain(&self) -> Result<PgConnection, Error> {
        let options = self.0.current();
        let limit = self.0.targets.limit();
        answered(limit, PgConnection::connect_with(&options)).await
    }

    /// One for a listener, which the driver takes from a pool of its own.
    pub(crate) fn for_listener(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(self.0.targets.limit())
            .max_lifetime(None)
            .idle_timeout(None)
            .test_before_acquire(false)
            .connect_lazy_with(self.0.current())
    }

    /// The first session, without a second attempt; distinguishes an absent server from one that pgdial does
    /// not work on.
    pub(super) async fn open_first(&self) -> Result<Lent, Error> {
        let permit = Arc::clone(&self.0.room).acquire_owned().await;
        let permit = permit.map_err(|_closed| Error::PoolClosed)?;
        let session = self.0.open_any().await?;
        Ok(self.0.lend(session, permit))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> PgConnectOptions {
        let servers = self.targets.servers();
        let at = self.state().server;
        // There is always one.
        servers
            .get(at)
            .or(servers.first())
            .cloned()
            .unwrap_or_default()
    }

    fn lend(self: &Arc<Self>, session: Session, permit: OwnedSemaphorePermit) -> Lent {
        Lent {
            session: Some(session),
            fate: Fate::Return,
            pool: Arc::clone(self),
            permit: Some(permit),
        }
    }

    /// `failed` receives the latest obstacle, for a caller whose time is up.
    async fn acquire(self: &Arc<Self>, failed: &mut Option<Error>) -> Result<Lent, Error> {
        let permit = Arc::clone(&self.room).acquire_owned().await;
        let permit = permit.map_err(|_closed| Error::PoolClosed)?;
        let mut opening = pin!(self.open(failed));
        loop {
            if let Some(session) = self.alive().await {
                return Ok(self.lend(session, permit));
            }
            tokio::select! {
                opened = &mut opening => return opened.map(|session| self.lend(session, permit)),
                () = self.returned.notified() => {}
            }
        }
    }

    /// An idle session, checked for liveness unless it was just used.
    async fn alive(&self) -> Option<Session> {
        loop {
            let Idle { mut session, since } = self.state().idle.pop()?;
            if session.opened.elapsed() >= LIFETIME {
                start(close(session));
                continue;
            }
            if since.elapsed() < TRUSTED {
                return Some(session);
            }
            match answered(SIGN, session.connection.ping()).await {
                Ok(()) => return Some(session),
                Err(error) => {
                    tracing::debug!(%error, "an idle session was dead");
                    if is_unanswered(&error) {
                        self.state().idle.clear();
                    }
                }
            }
        }
    }

    /// Opens a session on whichever server is available; one that is starting, full, or not primary yet is
    /// asked again.
    async fn open(&self, failed: &mut Option<Error>) -> Result<Session, Error> {
        loop {
            if self.state().given_up.len() >= self.most as usize {
                *failed = Some(unanswered(
                    "statements that were given up are still under way in Postgres",
                ));
            } else {
                match self.open_any().await {
                    Err(error) if may_pass(&error) => *failed = Some(error),
                    done => return done,
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// Tries each server once, beginning with the one that responded last.
    async fn open_any(&self) -> Result<Session, Error> {
        let servers = self.targets.servers();
        let first = self.state().server;
        let mut failed = None;
        for at in (0..servers.len()).map(|turn| (first + turn) % servers.len()) {
            let Some(options) = servers.get(at) else {
                continue;
            };
            // Boxed: the driver's future is large, and would enlarge every future that acquires a session.
            let opening = Box::pin(async {
                let mut connection = PgConnection::connect_with(options).await?;
                let backend = session::prepare(&mut connection, &self.application).await?;
                Ok((connection, backend))
            });
            let opened = answered(self.targets.limit(), opening);
            match opened.await {
                Ok((connection, backend)) => {
                    let mut state = self.state();
                    state.server = at;
                    state.refusal = None;
                    drop(state);
                    return Ok(Session {
                        connection,
                        backend,
                        opened: Instant::now(),
                    });
                }
                // Being a standby is less informative than why another server did not respond.
                Err(error) if failed.is_none() || Refusal::of(&error).is_none() => {
                    failed = Some(error);
                }
                Err(_standby) => {}
            }
        }
        self.state().refusal = failed.as_ref().and_then(Refusal::of);
        Err(failed.unwrap_or(Error::PoolClosed))
    }

    fn give_back(&self, session: Session) {
        let mut state = self.state();
        if !state.is_closed {
            let since = Instant::now();
            state.idle.retain(|idle| idle.since.elapsed() < IDLE);
            state.idle.push(Idle { session, since });
        }
        drop(state);
        self.returned.notify_one();
    }

    /// Closes this session and the idle ones. `under_way`: the server may still run its statement.
    fn give_up(self: &Arc<Self>, session: Session, under_way: bool) {
        let Session {
            backend,
            connection,
            ..
        } = session;
        drop(connection);
        let mut state = self.state();
        state.idle.clear();
        if under_way {
            state.given_up.push(backend);
            if !state.is_looked_after {
                state.is_looked_after = true;
                start(look_after(Arc::downgrade(self)));
            }
        }
    }

    /// Ends abandoned statements that do not wait for a standby, and updates which are left.
    async fn end_given_up(&self) -> Result<(), Error> {
        let given_up = self.state().given_up.clone();
        let (pids, since): (Vec<_>, Vec<_>) = given_up
            .iter()
            .map(|backend| (backend.pid, backend.since))
            .unzip();
        let Session { mut connection, .. } = self.open_any().await?;
        let left: Vec<Left> = answered(SIGN, async {
            sqlx::query_as(
                "select a.pid, a.wait_event is not distinct from 'SyncRep', \
                        case when a.wait_event is distinct from 'SyncRep' then pg_terminate_backend(a.pid) end \
                 from pg_stat_activity a \
                 join unnest($1::int[], $2::timestamptz[]) as g (pid, since) on (a.pid, a.backend_start) = (g.pid, g.since) \
                 where a.state is distinct from 'idle'",
            )
            .bind(pids)
            .bind(since)
            .fetch_all(&mut connection)
            .await
        })
        .await?;
        connection.close().await.unwrap_or_default();
        let mut state = self.state();
        state.awaits_standby = left.iter().any(|(_, awaits, _)| *awaits);
        state.given_up.retain(|backend| {
            !given_up.contains(backend) || left.iter().any(|(pid, ..)| *pid == backend.pid)
        });
        Ok(())
    }
}

/// An abandoned backend: process id, whether it waits for a standby, whether it was asked to end.
type Left = (i32, bool, Option<bool>);

/// Runs until no abandoned statement is left, or the pool is gone.
async fn look_after(shared: Weak<Shared>) {
    loop {
        let Some(pool) = shared.upgrade() else { return };
        if let Err(error) = pool.end_given_up().await {
            tracing::debug!(%error, "what was given up cannot be looked at");
        }
        {
            let mut state = pool.state();
            if state.given_up.is_empty() || state.is_closed {
                state.is_looked_after = false;
                return;
            }
        }
        drop(pool);
        sleep(LOOK_AGAIN).await;
    }
}

/// A session; returns to its pool when dropped.
pub struct Lent {
    session: Option<Session>,
    fate: Fate,
    pool: Arc<Shared>,
    /// Released once the session is returned or gone.
    permit: Option<OwnedSemaphorePermit>,
}

/// What happens to a session when it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is intact.
    Return,
    /// A statement may be running, or a transaction open.
    Drain,
    /// It is closed.
    Close { under_way: bool },
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent")
            .field("fate", &self.fate)
            .finish_non_exhaustive()
    }
}

const HELD: &str = "held until it is dropped";

impl Deref for Lent {
    type Target = PgConnection;

    #[expect(clippy::expect_used, reason = "taken by drop alone")]
    fn deref(&self) -> &PgConnection {
        &self.session.as_ref().expect(HELD).connection
    }
}

impl DerefMut for Lent {
    #[expect(clippy::expect_used, reason = "taken by drop alone")]
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.fate = Fate::Drain;
        &mut self.session.as_mut().expect(HELD).connection
    }
}

/// Error types that may wrap one of the driver.
pub(crate) trait OfDatabase {
    /// The driver's error, if it is one.
    fn of_database(&self) -> Option<&Error>;
}

impl OfDatabase for Error {
    fn of_database(&self) -> Option<&Error> {
        Some(self)
    }
}

impl Lent {
    /// Reports a statement's result, so that the session is not drained, or is closed.
    pub(crate) fn after<T, E: OfDatabase>(&mut self, result: &Result<T, E>) {
        self.fate = match result.as_ref().map_err(OfDatabase::of_database) {
            Ok(_) => Fate::Return,
            Err(Some(error)) if is_unanswered(error) => Fate::Close { under_way: true },
            Err(Some(error)) if is_broken(error) => Fate::Close { under_way: false },
            // A transaction may have been left open.
            Err(_) => Fate::Drain,
        };
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else {
            return;
        };
        match self.fate {
            Fate::Return => self.pool.give_back(session),
            Fate::Close { under_way } => self.pool.give_up(session, under_way),
            Fate::Drain => {
                let (pool, permit) = (Arc::clone(&self.pool), self.permit.take());
                start(async move {
                    match answered(SHORT_ANSWER, session.connection.ping()).await {
                        Ok(()) => pool.give_back(session),
                        Err(error) => pool.give_up(session, is_unanswered(&error)),
                    }
                    drop(permit);
                });
            }
        }
    }
}

/// Bounded, and not awaited: a lost session is replaced.
fn start(task: impl Future<Output = ()> + Send + 'static) {
    // Without a runtime the process is ending, and its sessions with it.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        drop(runtime.spawn(task));
    }
}

async fn close(session: Session) {
    answered(SIGN, session.connection.close())
        .await
        .unwrap_or_default();
}

/// The response to a statement, or an error if it did not come in time; the session must then be closed
/// ([`Lent::after`]).
pub(crate) async fn answered<T, E: From<Error>>(
    limit: Duration,
    statement: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    timeout(limit, statement).await.unwrap_or_else(|_elapsed| {
        let words = format!("Postgres did not answer within {} s", limit.as_secs_f32());
        Err(unanswered(&words).into())
    })
}

fn unanswered(words: &str) -> Error {
    Error::Io(std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        words.to_owned(),
    ))
}

fn is_unanswered(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut)
}

/// Whether the session failed, and not the statement, which may have been applied all the same.
pub(crate) fn is_broken(error: &Error) -> bool {
    match error {
        Error::Database(refusal) => {
            // Poolers report a lost server as FATAL, under codes of their own.
            let said = refusal.try_downcast_ref::<PgDatabaseError>();
            let is_fatal = said.is_some_and(|said| said.severity() == PgSeverity::Fatal);
            let code = refusal.code().unwrap_or_default();
            is_fatal
                || code.starts_with("08")
                || code.starts_with("57P")
                || Refusal::of(error).is_some()
        }
        Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed => true,
        _ => false,
    }
}

/// Whether to ask the same servers again in a moment.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Io(_) => true,
        // Starting, stopping, full.
        Error::Database(refusal) => matches!(
            refusal.code().as_deref(),
            Some("57P01" | "57P02" | "57P03" | "53300" | "08006" | "08P01")
        ),
        _ => Refusal::of(error).is_some_and(|refusal| refusal.may_pass()),
    }
}

/// A single statement, on any free session.
impl<'p> Executor<'p> for &'_ Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        let rows = async move {
            let mut lent = pool.acquire().await?;
            let all = lent.fetch_many(query).try_collect::<Vec<_>>();
            let rows = answered(ANSWER, all).await;
            lent.after(&rows);
            rows.map(|rows| stream::iter(rows.into_iter().map(Ok)))
        };
        Box::pin(stream::once(rows).try_flatten())
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        Box::pin(async move {
            let mut lent = pool.acquire().await?;
            let row = answered(ANSWER, lent.fetch_optional(query)).await;
            lent.after(&row);
            row
        })
    }

    fn prepare_with<'e>(
        self,
        sql: sqlx::SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<sqlx::postgres::PgStatement, Error>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move {
            let mut lent = pool.acquire().await?;
            let prepared = answered(ANSWER, lent.prepare_with(sql, parameters)).await;
            lent.after(&prepared);
            prepared
        })
    }
}
