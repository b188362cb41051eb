//! What tests stand on: a real Postgres, a migrated database each, and short words
//! for the verbs.

pub(crate) mod processes;

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use pgdial::{
    db::{
        self,
        private::{Environment, Options, PrivatePostgres},
    },
    domain::{CallId, ClaimedCall, Outcome, Report, ReportKind},
    flow::{
        Calls,
        enqueue::Enqueued,
        webhook::{Event, Verdict},
    },
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::OnceCell;
use uuid::Uuid;

const TEMPLATE: &str = "pgdial_tpl";

/// The one server of this test process. A static is never dropped: the server's
/// watchdog ends it when the process is gone.
fn server() -> &'static PrivatePostgres {
    static SERVER: OnceLock<PrivatePostgres> = OnceLock::new();
    SERVER.get_or_init(|| PrivatePostgres::start(&Options::for_tests(environment())).unwrap())
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests find Postgres as the program does"
)]
fn environment() -> Environment {
    Environment {
        pg_bindir: std::env::var_os("PGDIAL_PG_BINDIR").map(Into::into),
        path: std::env::var_os("PATH"),
        home: std::env::var_os("HOME").map(Into::into),
        xdg_data_home: None,
    }
}

/// A database of its own, migrated; dropped with the server.
#[derive(Clone)]
pub(crate) struct TestDb {
    pub(crate) url: String,
    pub(crate) pool: PgPool,
    pub(crate) calls: Calls,
}

impl TestDb {
    pub(crate) async fn new() -> Self {
        static TEMPLATE_READY: OnceCell<()> = OnceCell::const_new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        TEMPLATE_READY
            .get_or_init(|| async {
                admin(&format!("create database {TEMPLATE}")).await;
                let pool = db::connect(&server().url_for(TEMPLATE), "test", 2)
                    .await
                    .unwrap();
                db::migrate(&pool).await.unwrap();
                pool.close().await;
            })
            .await;
        let name = format!("t_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        admin(&format!(
            "create database {name} template {TEMPLATE} strategy file_copy"
        ))
        .await;
        let url = server().url_for(&name);
        let pool = db::connect(&url, "test", 12).await.unwrap();
        Self {
            url,
            calls: Calls::new(pool.clone()),
            pool,
        }
    }

    /// An empty database, without the schema.
    pub(crate) async fn bare() -> (String, PgPool) {
        let name = format!("bare_{}", Uuid::new_v4().simple());
        admin(&format!("create database {name}")).await;
        let url = server().url_for(&name);
        let pool = db::connect(&url, "test", 4).await.unwrap();
        (url, pool)
    }

    /// Runs statements; for arranging situations that no verb makes.
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

    /// A connection of one's own, as an operator with psql has.
    pub(crate) async fn session(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// Moves the clock forward.
    pub(crate) async fn forward(&self, by: &str) {
        self.sql(&format!(
            "update pgdial.clock set ahead = ahead + interval '{by}'"
        ))
        .await;
    }

    /// Enqueues one call to this number.
    pub(crate) async fn enqueue(&self, to: &str) -> CallId {
        self.enqueue_as(json!({ "to": to, "scriptId": "welcome" }))
            .await
    }

    /// Enqueues one request.
    pub(crate) async fn enqueue_as(&self, request: Value) -> CallId {
        match self
            .calls
            .enqueue("tester", &[request])
            .await
            .unwrap()
            .pop()
            .unwrap()
        {
            Enqueued::New(id) => id,
            other => panic!("not enqueued: {other:?}"),
        }
    }

    /// Claims up to this many calls on the trunk `default`.
    pub(crate) async fn claim(&self, wanted: usize) -> Vec<ClaimedCall> {
        self.calls
            .claim(Uuid::new_v4(), &["default".to_owned()], wanted)
            .await
            .unwrap()
            .calls
    }

    /// Enqueues and claims one call: it is dialing.
    pub(crate) async fn dialing(&self, to: &str) -> ClaimedCall {
        let id = self.enqueue(to).await;
        let claimed = self.claim(1).await.pop().unwrap();
        assert_eq!(claimed.id, id);
        claimed
    }

    /// A call that the provider has accepted as `prov-<number>`.
    pub(crate) async fn in_call(&self, to: &str) -> ClaimedCall {
        let call = self.dialing(to).await;
        let dialed = self
            .calls
            .dialed(call.reference(), &format!("prov-{to}"))
            .await
            .unwrap();
        assert!(dialed.in_call);
        call
    }

    /// The state of a call.
    pub(crate) async fn state(&self, id: CallId) -> String {
        self.text(&format!("select state from pgdial.calls where id = '{id}'"))
            .await
    }

    /// The kinds of a call's events, in order, with spaces between.
    pub(crate) async fn story(&self, id: CallId) -> String {
        self.text(&format!(
            "select string_agg(kind, ' ' order by seq) from pgdial.call_events where call_id = '{id}'"
        ))
        .await
    }

    /// One event of the provider about this dial, as if its signature had been checked.
    pub(crate) async fn event(
        &self,
        call: &ClaimedCall,
        event_id: &str,
        report: Report,
    ) -> Verdict {
        let body = event_id.as_bytes();
        let reference = Some(call.reference());
        let event = Event {
            trunk: "default",
            reference,
            event_id,
            signed_at: None,
            body,
            report: &report,
        };
        self.calls.webhook(event).await.unwrap()
    }
}

/// A report that ends a call.
pub(crate) fn ended(outcome: Outcome) -> Report {
    Report {
        kind: ReportKind::Ended,
        outcome: Some(outcome),
        ..report("ENDED")
    }
}

/// A report of this kind that ends nothing.
pub(crate) fn progress(kind: ReportKind) -> Report {
    Report {
        kind,
        ..report("PROGRESS")
    }
}

fn report(status: &str) -> Report {
    Report {
        kind: ReportKind::Unknown,
        outcome: None,
        provider_call_id: None,
        reference: None,
        event_id: None,
        status: Some(status.to_owned()),
        result: json!({}),
    }
}

/// The n-th test number.
pub(crate) fn number(n: usize) -> String {
    format!("+1415555{n:04}")
}

async fn admin(sql: &str) {
    let mut connection = PgConnection::connect(&server().url()).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

/// Waits until a condition holds, looking again and again; fails with its name when it
/// does not come true. A deadline for what must happen, not a measure of how fast.
pub(crate) async fn eventually<F>(what: &str, mut holds: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let looked = tokio::time::timeout(processes::PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    assert!(looked.await.is_ok(), "did not come true: {what}");
}
