//! housekeeping: every step stands alone, and its result is recorded; on a database that is published, watched and
//! subscribed to (P8).

use std::time::Duration;

use pgdial::{
    db::{
        self,
        private::{Options, PrivatePostgres},
    },
    domain::{Outcome, Phone},
    flow::forget::{Forget, ForgetDoNotCall, ForgetVerdict},
};
use serde_json::Value;

use crate::{
    partitions::{IN_DEFAULT, assert_weeks_are_whole},
    support::{TestDb, environment, number, run},
};

const DAY: Option<Duration> = Some(Duration::from_hours(24));

async fn keep_house(db: &TestDb) -> Value {
    db.calls.housekeeping(DAY).await.unwrap()
}

/// Recorded result of a step: `failures error`.
async fn noted(db: &TestDb, step: &str) -> String {
    let noted = format!(
        "select concat_ws(' ', failures, error) from pgdial.housekeeping_steps where step = '{step}'"
    );
    db.text(&noted).await
}

async fn forget(db: &TestDb, to: &str) -> ForgetVerdict {
    let phone: Phone = to.parse().unwrap();
    let wish = Forget {
        phone: &phone,
        dry_run: false,
        on_the_list: ForgetDoNotCall::Keep,
        by: "ann",
        why: "letter",
    };
    db.calls.forget(&wish).await.unwrap().verdict
}

#[tokio::test]
async fn a_database_that_is_published_is_kept_and_forgets() {
    for publication in ["for all tables", "for tables in schema pgdial"] {
        let db = TestDb::new().await;
        db.sql(&format!("create publication everything {publication}"))
            .await;
        assert_eq!(forget(&db, &number(9)).await, ForgetVerdict::Forgotten);
        let call = db.in_call(&number(1)).await;
        db.event(&call, "1", crate::support::ended(Outcome::Answered))
            .await;
        assert_eq!(forget(&db, &number(1)).await, ForgetVerdict::Forgotten);
        // In a week of its own, and in the default partition.
        for ahead in ["7 days", "100 days"] {
            db.forward(ahead).await;
            let late = db.in_call(&number(2)).await;
            db.settle(&late, Outcome::Answered).await;
            assert_eq!(forget(&db, &number(2)).await, ForgetVerdict::Forgotten);
            let done = keep_house(&db).await;
            assert_eq!(done.get("failed"), None, "{publication}: {done}");
        }
        assert_eq!(db.number(IN_DEFAULT).await, 0);
        db.calls.sweep(&["default".to_owned()], DAY).await.unwrap();
        assert_weeks_are_whole(&db).await;
    }
}

/// Including tables added later.
#[tokio::test]
async fn every_table_can_be_published_and_changed() {
    let db = TestDb::new().await;
    let without = "select string_agg(relname, ' ') from pg_class k where relnamespace = 'pgdial'::regnamespace \
         and relkind in ('r', 'p') and (relreplident <> 'd' or not exists \
         (select from pg_index i where i.indrelid = k.oid and i.indisprimary))";
    assert_eq!(db.text(without).await, "");
}

/// A subscriber that has only the tables `migrate` creates receives no others.
#[tokio::test]
async fn a_subscriber_follows_through_every_week() {
    let options = Options {
        settings: vec![("wal_level".to_owned(), "logical".to_owned())],
        ..Options::careless(environment())
    };
    let server = PrivatePostgres::start(&options).unwrap();
    let admin = db::connect(&server.url(), "test", 2).await.unwrap();
    for database in ["here", "there"] {
        let create = format!("create database {database}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(create))
            .execute(&admin)
            .await
            .unwrap();
    }
    let open = async |name: &str| {
        let url = server.url_for(name);
        let pool = db::connect(&url, "test", 4).await.unwrap();
        db::migrate(&pool).await.unwrap();
        TestDb {
            calls: pgdial::flow::Queue::new(pool.clone()),
            url,
            pool,
        }
    };
    let (here, there) = (open("here").await, open("there").await);
    let parents = "select string_agg(oid::regclass::text, ', ') from pg_class \
         where relnamespace = 'pgdial'::regnamespace and relkind in ('r', 'p') and not relispartition";
    let truncate = format!("truncate {}", there.text(parents).await);
    there.sql(&truncate).await;
    here.sql(
        "create publication everything for all tables with (publish_via_partition_root = true)",
    )
    .await;
    here.sql("select pg_create_logical_replication_slot('follower', 'pgoutput')")
        .await;
    let (socket, user) = (server.socket_dir().display().to_string(), "pgdial");
    // `create subscription` cannot run in a transaction.
    run(
        &mut there.session().await,
        &format!(
            "create subscription follower connection 'host={socket} port=5432 dbname=here user={user}' \
             publication everything with (create_slot = false, slot_name = 'follower')"
        ),
    )
    .await
    .unwrap();
    there
        .until("select count(*) > 0 and bool_and(srsubstate = 'r') from pg_subscription_rel")
        .await;
    here.forward("100 days").await;
    let call = here.in_call(&number(1)).await;
    here.settle(&call, Outcome::Answered).await;
    assert!(here.number(IN_DEFAULT).await > 0);
    let done = here.calls.housekeeping(None).await.unwrap();
    assert_eq!(done["ensure_partitions"], 9, "{done}");
    assert_eq!(here.number(IN_DEFAULT).await, 0);
    assert_eq!(forget(&here, &number(1)).await, ForgetVerdict::Forgotten);
    let last = here.enqueue(&number(2)).await;
    there
        .until(&format!(
            "select exists (select from pgdial.call_events where call_id = '{last}') \
                and exists (select from pgdial.calls where id = '{last}')"
        ))
        .await;
    let history = "select md5(string_agg(e::text, ' ' order by e.seq)) from pgdial.call_events e";
    assert_eq!(here.text(history).await, there.text(history).await);
    // The subscriber takes over: no sequence number in use is given out again.
    there
        .sql("alter subscription follower disable; alter subscription follower set (slot_name = none)")
        .await;
    there.sql("drop subscription follower").await;
    assert!(there.claim(1).await.is_empty(), "it is another database");
    there
        .calls
        .recover_begin(None, "moved", "me")
        .await
        .unwrap();
    there.calls.recover_end("me").await.unwrap();
    there.sql("select pgdial.resume('trunk', 'default')").await;
    let taken = there.claim(2).await;
    assert_eq!(taken.len(), 1);
    there
        .event(&taken[0], "x", crate::support::ended(Outcome::Answered))
        .await;
    here.sql("select pg_drop_replication_slot('follower')")
        .await;
}

const BROKEN: [(&str, &str, &str, &str); 4] = [
    (
        "drop_partitions",
        "call_events_2020w01 cannot be dropped: cannot drop table pgdial.call_events_2020w01 because other objects depend on it: \
         view public.september depends on table pgdial.call_events_2020w01",
        "create view public.september as select call_id, kind from pgdial.call_events_2020w01",
        "drop view public.september",
    ),
    (
        "drop_acts",
        "not the acts",
        "create function public.no() returns trigger language plpgsql as $$ begin raise exception 'not the acts'; end $$; \
         create trigger no before delete on pgdial.acts for each statement execute function public.no()",
        "drop trigger no on pgdial.acts",
    ),
    (
        "forget_workers",
        "worker of +141***00 stays",
        "create function public.stays() returns trigger language plpgsql as $$ begin raise exception 'worker of +14155550100 stays'; end $$; \
         create trigger stays before delete on pgdial.workers for each statement execute function public.stays()",
        "drop trigger stays on pgdial.workers",
    ),
    (
        "ensure_partitions",
        "is there already",
        "create table pgdial.call_events_next (like pgdial.call_events)",
        "drop table pgdial.call_events_next",
    ),
];

#[tokio::test]
async fn a_step_that_fails_stops_no_other_and_is_told() {
    for (step, why, break_it, mend_it) in BROKEN {
        let db = TestDb::new().await;
        let steps = db
            .number("select count(*) from pgdial.housekeeping_steps")
            .await;
        db.sql(
            "create table pgdial.call_events_2020w01 (like pgdial.call_events including defaults including indexes); \
             alter table pgdial.call_events attach partition pgdial.call_events_2020w01 \
                 for values from ('2019-12-30 00:00Z') to ('2020-01-06 00:00Z'); \
             create table pgdial.call_events_2020w02 (like pgdial.call_events including defaults including indexes); \
             alter table pgdial.call_events attach partition pgdial.call_events_2020w02 \
                 for values from ('2020-01-06 00:00Z') to ('2020-01-13 00:00Z')",
        )
        .await;
        let in_the_way = if step == "ensure_partitions" {
            // A week that someone detached by hand, or created beside the others.
            let week = "select 'call_events_' || to_char((pgdial.now() + interval '9 weeks') at time zone 'UTC', 'IYYY\"w\"IW')";
            let week = db.text(week).await;
            db.forward("9 weeks").await;
            format!("{break_it}; alter table pgdial.call_events_next rename to {week}")
        } else {
            break_it.to_owned()
        };
        db.sql(&in_the_way).await;
        for times in 1..=2 {
            let done = keep_house(&db).await;
            assert!(
                done["failed"][step].as_str().unwrap().contains(why),
                "{done}"
            );
            assert_eq!(done["failed"].as_object().unwrap().len(), 1, "{done}");
            let noted = noted(&db, step).await;
            assert!(
                noted.starts_with(&format!("{times} ")) && noted.contains(why),
                "{noted}"
            );
        }
        let done = "select count(*) from pgdial.housekeeping_steps where done_at is not null and failures = 0";
        assert_eq!(db.number(done).await, steps - 1);
        let old = "select to_regclass('pgdial.call_events_2020w02') is null";
        assert_eq!(db.text(old).await, "true", "the other week went: {step}");
        if step == "ensure_partitions" {
            assert!(
                db.text("select count(*) from pgdial.call_events_default")
                    .await
                    == "0"
            );
            continue;
        }
        db.sql(mend_it).await;
        assert_eq!(keep_house(&db).await.get("failed"), None);
        assert!(
            noted(&db, step).await.starts_with("0 "),
            "what it last said stays"
        );
    }
}

#[tokio::test]
async fn an_event_trigger_that_keeps_every_table_stops_no_other_step() {
    let db = TestDb::new().await;
    db.forward("7 days").await;
    db.sql(
        "create table pgdial.call_events_2020w01 (like pgdial.call_events including defaults including indexes); \
         alter table pgdial.call_events attach partition pgdial.call_events_2020w01 \
             for values from ('2019-12-30 00:00Z') to ('2020-01-06 00:00Z'); \
         create function public.keep() returns event_trigger language plpgsql as $$ begin raise exception 'nothing is dropped here'; end $$; \
         create event trigger keep on sql_drop execute function public.keep()",
    )
    .await;
    let done = keep_house(&db).await;
    assert_eq!(done["ensure_partitions"], 1, "{done}");
    let failed = done["failed"]["drop_partitions"].as_str().unwrap();
    assert!(failed.contains("call_events_2020w01") && failed.contains("nothing is dropped here"));
}

#[tokio::test]
async fn a_step_that_takes_too_long_ends_alone_and_is_told() {
    let db = TestDb::new().await;
    // It waits for longer than any statement may take.
    db.sql(
        "alter role dialer set statement_timeout = '1s'; \
         create function public.slow() returns trigger language plpgsql as $$ begin perform pg_sleep(60); return null; end $$; \
         create trigger slow before delete on pgdial.workers for each statement execute function public.slow()",
    )
    .await;
    let mut session = db.session_as("dialer").await;
    run(&mut session, "set statement_timeout = '1s'")
        .await
        .unwrap();
    let done = crate::support::ask(
        &mut session,
        "pgdial.housekeeping('1 day', 'forget_workers')",
    )
    .await;
    db.sql("alter role dialer reset statement_timeout").await;
    assert!(done.contains("statement timeout"), "{done}");
    assert!(
        noted(&db, "forget_workers")
            .await
            .starts_with("1 canceling statement")
    );
    db.sql("drop trigger slow on pgdial.workers").await;
    let done = keep_house(&db).await;
    assert_eq!(done.get("failed"), None, "{done}");
}

#[tokio::test]
async fn a_person_who_holds_the_notes_stops_no_step() {
    let db = TestDb::new().await;
    let mut person = db.session().await;
    run(
        &mut person,
        "begin; select from pgdial.housekeeping_steps for update",
    )
    .await
    .unwrap();
    db.forward("7 days").await;
    let done = keep_house(&db).await;
    assert_eq!(done["ensure_partitions"], 1, "{done}");
    assert_eq!(done.get("failed"), None, "{done}");
}

/// A new week is as restricted as the others, whatever default privileges its owner has.
#[tokio::test]
async fn a_new_week_is_open_to_nobody() {
    let db = TestDb::new().await;
    db.sql("alter default privileges for role pgdial_owner grant all on tables to public")
        .await;
    db.forward("7 days").await;
    assert_eq!(keep_house(&db).await["ensure_partitions"], 1);
    db.sql("alter default privileges for role pgdial_owner revoke all on tables from public")
        .await;
    let open = "select count(*) from pg_class c, aclexplode(c.relacl) a where c.relnamespace = 'pgdial'::regnamespace and a.grantee = 0";
    assert_eq!(db.number(open).await, 0);
}
