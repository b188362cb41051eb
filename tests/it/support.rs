//! What tests build on: a real Postgres, one migrated database per test, and short names for the verbs.

pub(crate) mod certificates;
mod database;
pub(crate) mod pages;
pub(crate) mod path;
pub(crate) mod processes;
pub(crate) mod receiver;
pub(crate) mod wire;

pub(crate) use self::database::{ROLES, TestDb, environment, url_as};

use std::{collections::BTreeMap, time::Duration};

use pgdial::{
    domain::{CallId, ClaimedCall, Outcome, Reference, Report, ReportKind},
    flow::{
        Queue,
        enqueue::Enqueued,
        groups::GroupKind,
        heartbeat::Worker,
        settle::Settled,
        shares::Shares,
        sweep::Swept,
        webhook::{Event, Verdict},
    },
    provider::Capabilities,
    trunks::Declared,
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

impl TestDb {
    /// A connection of its own, as psql has.
    pub(crate) async fn session(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// The same for this login.
    pub(crate) async fn session_as(&self, login: &str) -> PgConnection {
        PgConnection::connect(&self.url_as(login)).await.unwrap()
    }

    /// The URL of this database for a login.
    pub(crate) fn url_as(&self, login: &str) -> String {
        url_as(login, &self.url)
    }

    /// Moves the test clock forward by this interval.
    pub(crate) async fn forward(&self, by: &str) {
        self.sql(&format!(
            "update pgdial.clock set ahead = ahead + interval '{by}'"
        ))
        .await;
    }

    /// Stops the clock: from now on only [`TestDb::forward`] moves it, however busy the machine is.
    pub(crate) async fn stop_clock(&self) {
        self.sql(
            "do $do$ begin execute format('create or replace function pgdial.now() returns timestamptz \
             language sql volatile parallel safe as %L', format( \
             'select %L::timestamptz + (select c.ahead from pgdial.clock c)', pgdial.now())); end $do$",
        )
        .await;
        self.sql("update pgdial.clock set ahead = '0'").await;
    }

    /// Enqueues one call to this number.
    pub(crate) async fn enqueue(&self, to: &str) -> CallId {
        self.enqueue_as(json!({ "to": to, "scriptId": "welcome" }))
            .await
    }

    pub(crate) async fn enqueue_as(&self, request: Value) -> CallId {
        match self
            .calls
            .enqueue("tester", &[request])
            .await
            .unwrap()
            .pop()
            .unwrap()
        {
            Enqueued::Created(id) => id,
            other => panic!("not enqueued: {other:?}"),
        }
    }

    /// Forgets breakers and refusals, so that the next claim need not wait.
    pub(crate) async fn let_trunks_dial(&self) {
        self.sql("delete from pgdial.trunk_breaker; delete from pgdial.answers")
            .await;
    }

    /// Claims up to this many calls on the trunk `default`.
    pub(crate) async fn claim(&self, wanted: usize) -> Vec<ClaimedCall> {
        self.calls
            .claim(Uuid::new_v4(), &["default".to_owned()], wanted)
            .await
            .unwrap()
            .calls
    }

    /// A call that was just enqueued and claimed.
    pub(crate) async fn dialing(&self, to: &str) -> ClaimedCall {
        let id = self.enqueue(to).await;
        let claimed = self.claim(1).await.pop().unwrap();
        assert_eq!(claimed.id, id);
        claimed
    }

    /// A call that the provider has accepted as [`provider_id`].
    pub(crate) async fn in_call(&self, to: &str) -> ClaimedCall {
        let call = self.dialing(to).await;
        let dialed = self
            .calls
            .dialed(call.reference(), &provider_id(to))
            .await
            .unwrap();
        assert!(dialed.in_call);
        call
    }

    /// A call that failed as unknown, so that its number is held.
    pub(crate) async fn given_up(&self, to: &str) -> ClaimedCall {
        let call = self.in_call(to).await;
        self.forward("1 hour").await;
        self.sweep().await;
        assert_eq!(self.column(call.id, "outcome").await, "unknown");
        call
    }

    pub(crate) async fn settle(&self, call: &ClaimedCall, outcome: Outcome) -> Settled {
        self.calls
            .settle(call.reference(), outcome, "said so")
            .await
            .unwrap()
    }

    /// Sweeps once; finished calls are kept.
    pub(crate) async fn sweep(&self) -> Swept {
        self.calls
            .sweep(&["default".to_owned()], None)
            .await
            .unwrap()
    }

    /// Creates a campaign on the trunk `default`.
    pub(crate) async fn campaign(&self, name: &str, changes: Value) {
        let kind = GroupKind::Campaign;
        assert!(
            self.calls
                .create_group(kind, name, &changes, "tester", None)
                .await
                .unwrap()
        );
    }

    /// Registers a live worker process that can dial on these trunks.
    pub(crate) async fn worker(&self, trunks: &[&str]) -> Worker {
        let worker = Worker {
            id: Uuid::new_v4(),
            host: "host".to_owned(),
            pid: 7,
            release: "0.1.0",
            permits: 30,
            trunks: trunks.iter().map(ToString::to_string).collect(),
            stopping: false,
        };
        self.calls.heartbeat(&worker).await.unwrap();
        worker
    }

    /// A process whose adapter of the trunk `default` dials at this account.
    pub(crate) fn declaring(&self, account: &str, capabilities: Capabilities) -> Queue {
        let declared = Declared {
            account: Some(account.to_owned()),
            capabilities,
        };
        let trunks = BTreeMap::from([("default".to_owned(), declared)]);
        self.calls.clone().at(trunks)
    }

    /// The same, with a live worker.
    pub(crate) async fn working(&self, account: &str, capabilities: Capabilities) -> Queue {
        let calls = self.declaring(account, capabilities);
        let worker = self.worker(&["default"]).await;
        calls.heartbeat(&worker).await.unwrap();
        calls
    }

    /// One column of a call as text; empty if null.
    pub(crate) async fn column(&self, id: CallId, column: &str) -> String {
        self.text(&format!(
            "select {column} from pgdial.calls where id = '{id}'"
        ))
        .await
    }

    /// The result of a query for a whole number.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.text(sql).await.parse().unwrap()
    }

    /// Detail of the last event of this kind.
    pub(crate) async fn detail(&self, id: CallId, kind: &str) -> Value {
        let text = self
            .text(&format!(
                "select detail from pgdial.call_events where call_id = '{id}' and kind = '{kind}' \
                 order by seq desc limit 1"
            ))
            .await;
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// SQLSTATE and message with which Postgres refuses a statement.
    pub(crate) async fn refusal(&self, sql: &str) -> (String, String) {
        refusal(&mut self.session().await, sql).await
    }

    /// Waits until this condition is true.
    pub(crate) async fn until(&self, sql: &str) {
        eventually(sql, || async { self.text(sql).await == "true" }).await;
    }

    /// Waits until this many sessions of this database wait for a lock.
    pub(crate) async fn until_waiting(&self, sessions: usize) {
        self.until(&format!(
            "select count(*) >= {sessions} from pg_stat_activity \
             where datname = current_database() and wait_event_type = 'Lock'"
        ))
        .await;
    }

    /// Makes transitions of rows with the script `poison` into this state fail.
    pub(crate) async fn poison(&self, state: &str) {
        self.sql(&format!(
            "alter table pgdial.calls add constraint poison \
             check (script_id <> 'poison' or state <> '{state}')"
        ))
        .await;
    }

    /// Enqueues a call whose row cannot be moved, see [`TestDb::poison`].
    pub(crate) async fn enqueue_poison(&self, to: &str) -> CallId {
        self.enqueue_as(json!({ "to": to, "scriptId": "poison" }))
            .await
    }

    pub(crate) async fn state(&self, id: CallId) -> String {
        self.text(&format!("select state from pgdial.calls where id = '{id}'"))
            .await
    }

    /// Kinds of a call's events, in order, separated by spaces.
    pub(crate) async fn story(&self, id: CallId) -> String {
        self.text(&format!(
            "select string_agg(kind, ' ' order by seq) from pgdial.call_events where call_id = '{id}'"
        ))
        .await
    }

    /// Delivers one event of the provider about this dial, as if its signature had been verified.
    pub(crate) async fn event(
        &self,
        call: &ClaimedCall,
        event_id: &str,
        report: Report,
    ) -> Verdict {
        self.event_from("default", Some(call.reference()), event_id, &report)
            .await
    }

    /// Delivers one event on this trunk; without a reference it is matched by the provider's id.
    pub(crate) async fn event_from(
        &self,
        trunk: &str,
        reference: Option<Reference>,
        event_id: &str,
        report: &Report,
    ) -> Verdict {
        let event = Event {
            trunk,
            reference,
            event_id,
            signed_at: None,
            body: event_id.as_bytes(),
            report,
        };
        self.calls.webhook(event).await.unwrap()
    }
}

/// The same share for each of these trunks.
pub(crate) fn each(trunks: &[&str], count: usize) -> Shares {
    let share = |trunk: &&str| (trunk.to_string(), count);
    trunks.iter().map(share).collect()
}

/// SQLSTATE and message with which Postgres refuses a statement.
pub(crate) async fn refusal(session: &mut PgConnection, sql: &str) -> (String, String) {
    let refused = run(session, sql).await.unwrap_err();
    let refused = refused.into_database_error().unwrap();
    (
        refused.code().unwrap().into_owned(),
        refused.message().to_owned(),
    )
}

pub(crate) async fn run(session: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(session)
        .await
        .map(drop)
}

/// A worker that finds nothing to claim does not claim all the time: the second such claim of a session lets it rest. Not
/// if the session remembers heads, because the machine was slow at that moment (`find_heads`): then it walks once more.
pub(crate) async fn assert_rests(session: &mut PgConnection) {
    rest_of_claim(session).await;
    for _ in 0..10 {
        let (wait, remembers) = rest_of_claim(session).await;
        if wait.is_none_or(|ms| ms >= 100) {
            return;
        }
        assert!(remembers, "{wait:?} ms");
        run(session, "set pgdial.known_heads = ''").await.unwrap();
    }
    panic!("ten walks of the heads were slow");
}

/// After a claim that finds nothing: how long to rest, and whether its session remembers heads.
async fn rest_of_claim(session: &mut PgConnection) -> (Option<i64>, bool) {
    let claim = "select count(id), min(wait_ms), coalesce(current_setting('pgdial.known_heads', true), '') <> '' \
                 from pgdial.claim(gen_random_uuid(), '{default}', 100)";
    let (claimed, wait, remembers): (i64, Option<i64>, bool) =
        sqlx::query_as(claim).fetch_one(session).await.unwrap();
    assert_eq!(claimed, 0);
    (wait, remembers)
}

/// One value in this session, as text.
pub(crate) async fn ask(session: &mut PgConnection, sql: &str) -> String {
    let sql = format!("select ({sql})::text");
    let (text,): (Option<String>,) = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .fetch_one(session)
        .await
        .unwrap();
    text.unwrap_or_default()
}

/// A report that carries the provider's id of the call.
pub(crate) fn by_provider(id: &str, report: Report) -> Report {
    Report {
        provider_call_id: Some(id.to_owned()),
        ..report
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

/// A report of this kind, which does not end a call.
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
        answered: false,
        answered_at: None,
        provider_call_id: None,
        reference: None,
        foreign: false,
        event_id: None,
        status: Some(status.to_owned()),
        disposition: None,
        callback_at: None,
        result: json!({}),
    }
}

/// The provider's id of its call to this number.
pub(crate) fn provider_id(to: &str) -> String {
    format!("prov-{}", to.trim_start_matches('+'))
}

/// The n-th test number.
pub(crate) fn number(n: usize) -> String {
    format!("+1415555{n:04}")
}

/// Waits until a condition holds, polling it; fails with its name otherwise. The deadline is for what must happen,
/// and does not measure speed.
pub(crate) async fn eventually<F>(what: &str, mut holds: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let looked = tokio::time::timeout(processes::PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(looked.await.is_ok(), "did not come true: {what}");
}
