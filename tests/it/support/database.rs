//! One real Postgres per test process, one migrated database per test. Shared with `tests/model` and `tests/race`, so
//! nothing here depends on the tests next to it.

use std::{
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use pgdial::{
    db::{
        self,
        private::{Environment, Options, PrivatePostgres},
    },
    flow::Queue,
};
use sqlx::{Connection, PgConnection};
use tokio::sync::OnceCell;
use uuid::Uuid;

const TEMPLATE: &str = "pgdial_tpl";

/// Logins of the tests besides the superuser. The program under test always uses `dialer`, so that every test of a
/// verb also shows that the worker's rights suffice.
const LOGINS: &str = "create role deploy login in role pgdial_owner; \
     create role dialer login in role pgdial_worker; \
     create role ann login in role pgdial_reader; \
     create role app login; \
     create role stranger login";

/// What an administrator runs first.
pub(crate) const ROLES: &str = include_str!("../../../sql/setup/roles.sql");

/// The only server of this test process. A static is never dropped: the server's watchdog stops it once the process
/// is gone. For `scripts/mutate-sql` its folder may be left over from an earlier run (`PGDIAL_TEST_DATA`).
fn server() -> &'static PrivatePostgres {
    static SERVER: OnceLock<PrivatePostgres> = OnceLock::new();
    SERVER.get_or_init(|| {
        let kept = std::env::var_os("PGDIAL_TEST_DATA");
        let options = Options {
            folder: kept.map(|kept| Path::new(&kept).join("pg")),
            ..Options::careless(environment())
        };
        PrivatePostgres::start(&options).unwrap()
    })
}

/// Where to look for Postgres's binaries.
pub(crate) fn environment() -> Environment {
    Environment {
        pg_bindir: std::env::var_os("PGDIAL_PG_BINDIR").map(Into::into),
        path: std::env::var_os("PATH"),
    }
}

/// A migrated database; dropped with the server.
#[derive(Clone)]
pub(crate) struct TestDb {
    pub(crate) url: String,
    pub(crate) pool: db::Pool,
    /// As the login `dialer`; everything else here uses the superuser.
    pub(crate) calls: Queue,
}

impl TestDb {
    pub(crate) async fn new() -> Self {
        static TEMPLATE_READY: OnceCell<()> = OnceCell::const_new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        TEMPLATE_READY
            .get_or_init(|| async {
                match std::env::var_os("PGDIAL_TEST_SQL") {
                    None => make_template().await,
                    Some(changed) => put_over(&changed).await,
                }
            })
            .await;
        // A server that is kept has the databases of earlier runs.
        let (run, nth) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let name = format!("t_{run}_{nth}");
        admin(&format!(
            "create database {name} template {TEMPLATE} strategy file_copy"
        ))
        .await;
        let url = server().url_for(&name);
        let pool = db::connect(&url, "test", 12).await.unwrap();
        // As a copy it would dial nothing.
        sqlx::query("select pgdial.note_place()")
            .execute(&pool)
            .await
            .unwrap();
        let dialer = db::connect(&url_as("dialer", &url), "test", 12)
            .await
            .unwrap();
        Self {
            url,
            calls: Queue::new(dialer),
            pool,
        }
    }

    /// An empty database, without the schema.
    pub(crate) async fn bare() -> (String, db::Pool) {
        let name = format!("bare_{}", Uuid::new_v4().simple());
        admin(&format!("create database {name}")).await;
        let url = server().url_for(&name);
        let pool = db::connect(&url, "test", 4).await.unwrap();
        (url, pool)
    }

    /// An empty database prepared by an administrator with these statements, for the same logins as all others.
    pub(crate) async fn prepared(statements: &'static str) -> Self {
        drop(Self::new().await);
        let (url, pool) = Self::bare().await;
        sqlx::raw_sql(statements).execute(&pool).await.unwrap();
        Self {
            calls: Queue::new(pool.clone()),
            url,
            pool,
        }
    }

    /// Takes the stranger off the do-not-call list, for tests that count its entries.
    pub(crate) async fn list_nobody(&self) {
        self.sql("truncate pgdial.do_not_call").await;
    }

    /// Runs statements, to arrange situations that no verb produces.
    pub(crate) async fn sql(&self, sql: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// One value, as text.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let sql = format!("select ({sql})::text");
        let (text,): (Option<String>,) = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .fetch_one(&self.pool)
            .await
            .unwrap();
        text.unwrap_or_default()
    }
}

/// URL of the private server for a login other than its superuser.
pub(crate) fn url_as(login: &str, url: &str) -> String {
    url.replacen("://pgdial@", &format!("://{login}@"), 1)
}

/// The database that all others are copies of.
async fn make_template() {
    admin(&format!("create database {TEMPLATE}")).await;
    let pool = db::connect(&server().url_for(TEMPLATE), "test", 2)
        .await
        .unwrap();
    sqlx::raw_sql(ROLES).execute(&pool).await.unwrap();
    sqlx::raw_sql(LOGINS).execute(&pool).await.unwrap();
    db::migrate(&pool).await.unwrap();
    // Few tests accept a call before claiming the next ones. Done as a replica does it, without an act.
    sqlx::raw_sql(
        "alter table pgdial.campaigns alter column guard set default null; \
         set session_replication_role = replica; \
         update pgdial.campaigns set guard = null; \
         set session_replication_role = origin",
    )
    .execute(&pool)
    .await
    .unwrap();
    // A stranger: what is looked up without the number in question finds this one, and the test fails.
    sqlx::raw_sql(
        "insert into pgdial.do_not_call (phone, reason, by, pending) values ('+442079460000', 'asked', 'ann', false)",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
}

/// Applies a function changed by `scripts/mutate-sql` (`PGDIAL_TEST_SQL`) to the template left by an earlier run.
async fn put_over(file: &std::ffi::OsStr) {
    let changed = std::fs::read_to_string(file).unwrap();
    let mut connection = PgConnection::connect(&server().url_for(TEMPLATE))
        .await
        .unwrap();
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(changed))
        .execute(&mut connection)
        .await;
    assert!(done.is_ok(), "the changed SQL is refused: {done:?}");
    connection.close().await.unwrap();
}

async fn admin(sql: &str) {
    let mut connection = PgConnection::connect(&server().url()).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}
