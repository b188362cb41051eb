//! migrate, `check_schema`: the schema's versions, and who may run against them.

use pgdial::db::{self, Error};

use crate::support::TestDb;

async fn text(pool: &db::Pool, sql: &str) -> String {
    let sql = format!("select ({sql})::text");
    let (text,): (Option<String>,) = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .fetch_one(pool)
        .await
        .unwrap();
    text.unwrap_or_default()
}

async fn run(pool: &db::Pool, sql: &'static str) {
    sqlx::raw_sql(sql).execute(pool).await.unwrap();
}

#[tokio::test]
async fn an_empty_database_is_migrated_once() {
    let (_, pool) = TestDb::bare().await;
    assert!(matches!(
        db::check_schema(&pool).await,
        Err(Error::NoSchema)
    ));
    let first = db::migrate(&pool).await.unwrap();
    assert!(first.functions);
    assert_eq!(first.applied.first().copied(), Some("0001_settings"));
    db::check_schema(&pool).await.unwrap();
    let history = "select count(*) from pgdial.schema_history";
    let rows = text(&pool, history).await;
    let second = db::migrate(&pool).await.unwrap();
    assert_eq!(second, db::Migrated::default());
    assert!(second.to_string().contains("up to date"));
    assert_eq!(text(&pool, history).await, rows);
}

#[tokio::test]
async fn two_migrations_at_once_do_the_work_once() {
    let (_, pool) = TestDb::bare().await;
    let (one, other) = tokio::join!(db::migrate(&pool), db::migrate(&pool));
    let mut applied = [one.unwrap().applied.len(), other.unwrap().applied.len()];
    applied.sort_unstable();
    assert_eq!(applied[0], 0);
    assert!(applied[1] > 0);
    db::check_schema(&pool).await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_development_build_is_refused_and_left_alone() {
    let db = TestDb::new().await;
    db.sql("update pgdial.schema_history set digest = 'other' where kind = 'migration' and version = 2")
        .await;
    let expected = "development build of pgdial: its migration 2 is not the one of this release";
    for refused in [
        db::migrate(&db.pool).await.unwrap_err(),
        db::check_schema(&db.pool).await.unwrap_err(),
    ] {
        assert!(refused.to_string().contains(expected), "{refused}");
    }
}

#[tokio::test]
async fn functions_of_an_older_text_are_replaced() {
    let db = TestDb::new().await;
    db.sql("insert into pgdial.schema_history (kind, version, name, digest, release, compatible_from) \
            select kind, version, name, 'other', '0.0.1', 1 from pgdial.schema_history where kind = 'functions'; \
            create or replace function pgdial.backoff(p_base interval, p_cap interval, p_attempt int) returns interval \
            language sql as $$ select p_cap $$")
        .await;
    assert!(matches!(
        db::check_schema(&db.pool).await,
        Err(Error::SchemaOlder { .. })
    ));
    assert!(db::migrate(&db.pool).await.unwrap().functions);
    db::check_schema(&db.pool).await.unwrap();
    let ours = "pgdial.backoff('1 second', '1 hour', 1) < interval '2 seconds'";
    assert_eq!(db.text(&format!("select {ours}")).await, "true");
}

#[tokio::test]
async fn a_database_without_our_newest_migration_is_older() {
    let db = TestDb::new().await;
    db.sql("delete from pgdial.schema_history where version = (select max(version) from pgdial.schema_history) and kind = 'migration'")
        .await;
    let check = db::check_schema(&db.pool).await;
    assert!(matches!(check, Err(Error::SchemaOlder { .. })), "{check:?}");
}

#[tokio::test]
async fn newer_functions_are_not_overwritten_and_may_be_run_against() {
    let db = TestDb::new().await;
    db.sql("insert into pgdial.schema_history (kind, version, name, digest, release, compatible_from) \
            values ('migration', 999, '0999_later', 'x', '99.0.0', 1), ('functions', 999, 'functions', 'x', '99.0.0', 1)")
        .await;
    db::check_schema(&db.pool).await.unwrap();
    assert_eq!(
        db::migrate(&db.pool).await.unwrap(),
        db::Migrated::default()
    );
}

#[tokio::test]
async fn a_newer_database_that_says_no_is_not_run_against() {
    let db = TestDb::new().await;
    db.sql("insert into pgdial.schema_history (kind, version, name, digest, release, compatible_from) \
            values ('migration', 999, '0999_later', 'x', '99.0.0', 999), ('functions', 999, 'functions', 'x', '99.0.0', 999)")
        .await;
    let check = db::check_schema(&db.pool).await;
    assert!(matches!(check, Err(Error::SchemaNewer { .. })), "{check:?}");
}

#[tokio::test]
async fn everything_stands_in_the_schema_pgdial_and_nothing_elsewhere() {
    let (_, pool) = TestDb::bare().await;
    let others = "select count(*) from pg_depend d where d.refclassid = 'pg_namespace'::regclass and d.deptype = 'n' \
                  and d.refobjid not in (select oid from pg_namespace where nspname = 'pgdial') and d.objid >= 16384";
    let before = text(&pool, others).await;
    let extensions = "select string_agg(extname, ' ') from pg_extension";
    db::migrate(&pool).await.unwrap();
    assert_eq!(text(&pool, others).await, before);
    assert_eq!(text(&pool, extensions).await, "plpgsql");
    run(&pool, "drop schema pgdial cascade").await;
    let left = "select count(*) from pg_class where oid >= 16384 and relnamespace <> 'pg_toast'::regnamespace";
    assert_eq!(text(&pool, left).await, "0");
}

#[tokio::test]
async fn a_stranger_may_run_nothing_and_read_nothing() {
    let db = TestDb::new().await;
    let open = "select string_agg(p.oid::regprocedure::text, ' ') from pg_proc p \
                where p.pronamespace = 'pgdial'::regnamespace and exists \
                (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)";
    assert_eq!(db.text(open).await, "");
    let readable = "select string_agg(c.relname, ' ') from pg_class c where c.relnamespace = 'pgdial'::regnamespace \
                    and exists (select from aclexplode(c.relacl) a where a.grantee = 0)";
    assert_eq!(db.text(readable).await, "");
    let definers = "select string_agg(proname, ' ') from pg_proc where pronamespace = 'pgdial'::regnamespace \
                    and prosecdef and not coalesce(array_to_string(proconfig, ' '), '') ~ 'search_path='";
    assert_eq!(
        db.text(definers).await,
        "",
        "a definer has a fixed search_path"
    );
}

#[tokio::test]
async fn functions_that_a_release_does_not_know_stay_closed_after_the_next_one() {
    let db = TestDb::new().await;
    db.sql(
        "update pgdial.schema_history set digest = 'other' where kind = 'functions'; \
            set role pgdial_owner; create function pgdial.left_over() returns int language sql as 'select 1'; \
            reset role",
    )
    .await;
    db::migrate(&db.pool).await.unwrap();
    let open = "select has_function_privilege('public', 'pgdial.left_over()', 'execute')";
    assert_eq!(db.text(open).await, "false");
}

/// As after `pg_restore --no-acl`, and more.
const OPENED: &str = "grant all on all functions in schema pgdial to public; \
     grant usage, create on schema pgdial to public; \
     grant select on pgdial.calls to public; grant update (metadata) on pgdial.calls to public; \
     grant usage on sequence pgdial.claim_order to public; grant usage on type pgdial.call_state to public; \
     grant select on pgdial.call_overview to public; \
     alter default privileges for role pgdial_owner in schema pgdial grant select on tables to public";

/// Every right of PUBLIC in the schema, straight from the catalogs.
const OPEN: &str = "select string_agg(o.name, ' ') from ( \
         select oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner)) from pg_proc where pronamespace = 'pgdial'::regnamespace \
         union all select relname, relacl from pg_class where relnamespace = 'pgdial'::regnamespace \
         union all select attname, attacl from pg_attribute a join pg_class c on c.oid = a.attrelid where c.relnamespace = 'pgdial'::regnamespace \
         union all select nspname, nspacl from pg_namespace where nspname = 'pgdial' \
         union all select typname, coalesce(typacl, acldefault('T', typowner)) from pg_type t where typnamespace = 'pgdial'::regnamespace \
             and (typtype = 'e' or typtype = 'c' and exists (select from pg_class c where c.oid = t.typrelid and c.relkind = 'c')) \
         union all select 'later', defaclacl from pg_default_acl where defaclnamespace = 'pgdial'::regnamespace \
     ) o (name, acl), aclexplode(o.acl) x where x.grantee = 0";

#[tokio::test]
async fn what_a_restore_without_acls_opens_the_next_migrate_closes() {
    let db = TestDb::new().await;
    assert_eq!(db.text(OPEN).await, "");
    // Migrating again keeps what a person granted to a role.
    db.sql("grant usage on schema pgdial to app; grant execute on function pgdial.enqueue(jsonb) to app")
        .await;
    db.sql(OPENED).await;
    let open = db.text(OPEN).await;
    for name in [
        "forget(",
        "metadata",
        "calls",
        "claim_order",
        "call_state",
        "later",
    ] {
        assert!(open.contains(name), "{name} in {open}");
    }
    let migrated = db::migrate(&db.pool).await.unwrap();
    assert!(!migrated.functions, "nothing else was to be done");
    assert!(migrated.to_string().starts_with("took "), "{migrated}");
    assert_eq!(db.text(OPEN).await, "");
    assert_eq!(
        db::migrate(&db.pool).await.unwrap(),
        db::Migrated::default()
    );
    let may = "select has_function_privilege('app', 'pgdial.enqueue(jsonb)', 'execute')";
    assert_eq!(db.text(may).await, "true");
}

#[tokio::test]
async fn a_database_that_cannot_keep_every_character_is_refused() {
    let db = TestDb::new().await;
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("enc_{}", uuid::Uuid::new_v4().simple());
        db.sql(&format!(
            "create database {name} encoding '{encoding}' lc_collate 'C' lc_ctype 'C' template template0"
        ))
        .await;
        let url = db
            .url
            .replace(&db.text("select current_database()").await, &name);
        let pool = db::connect(&url, "test", 1).await.unwrap();
        for refused in [
            db::migrate(&pool).await.map(drop),
            db::check_schema(&pool).await,
        ] {
            let refused = refused.unwrap_err();
            assert!(matches!(refused, Error::Encoding { .. }), "{refused:?}");
            let words = refused.to_string();
            assert!(
                words.contains(encoding) && words.contains("encoding 'UTF8'"),
                "{words}"
            );
        }
    }
}

#[tokio::test]
async fn where_a_backslash_escapes_the_same_schema_is_made_and_works() {
    let (_, pool) = TestDb::bare().await;
    run(&pool, "do $$ begin execute format('alter database %I set standard_conforming_strings = off', current_database()); end $$").await;
    let (url,) = sqlx::query_as::<_, (String,)>("select current_database()::text")
        .fetch_one(&pool)
        .await
        .unwrap();
    let db = TestDb::new().await;
    let url = db
        .url
        .replace(&db.text("select current_database()").await, &url);
    let pool = db::connect(&url, "test", 1).await.unwrap();
    run(&pool, "set standard_conforming_strings = off").await;
    db::migrate(&pool).await.unwrap();
    run(&pool, "set standard_conforming_strings = off").await;
    // As an application does in sessions of its own.
    run(
        &pool,
        "select pgdial.enqueue('+14155550101', 'welcome', p_metadata => '{\"a\": 1}')",
    )
    .await;
    run(&pool, "select pgdial.do_not_call_add('+14155550102', 'asked'); select pgdial.housekeeping('1 day')").await;
    let masked = text(&pool, "pgdial.masked('call +14155550101 now')").await;
    assert_eq!(masked, "call +141***01 now");
    let read = "pgdial.read_timestamp('2030-01-01T00:00:00.5Z') is not null";
    assert_eq!(text(&pool, read).await, "true");
    let failed = "select count(*) from pgdial.housekeeping_steps where failures > 0";
    assert_eq!(text(&pool, failed).await, "0");
    let ours = "select string_agg(pg_get_constraintdef(oid), ' ' order by conname) from pg_constraint \
                where connamespace = 'pgdial'::regnamespace and contype = 'c' and conparentid = 0";
    run(&pool, "set standard_conforming_strings = on").await;
    assert_eq!(text(&pool, ours).await, db.text(ours).await);
}

/// As an event trigger does that enables it on every new table.
#[tokio::test]
async fn row_level_security_is_named_where_it_hides_the_schema() {
    let db = TestDb::new().await;
    db.sql("alter table pgdial.schema_history enable row level security")
        .await;
    db::check_schema(&db.pool).await.unwrap();
    let worker = db::connect(&db.url_as("dialer"), "test", 1).await.unwrap();
    let refused = db::check_schema(&worker).await.unwrap_err();
    assert!(matches!(refused, Error::RowSecurity), "{refused:?}");
    assert!(refused.to_string().contains("disable row level security"));
}

#[tokio::test]
async fn commits_are_durable_where_the_server_says_otherwise_and_stronger_where_it_says_so() {
    for (server, ours) in [("off", "on"), ("remote_apply", "remote_apply")] {
        let database = TestDb::new().await;
        let name = database.text("select current_database()").await;
        database
            .sql(&format!(
                "alter database {name} set synchronous_commit = {server}"
            ))
            .await;
        let pool = db::connect(&database.url, "test", 1).await.unwrap();
        let (setting,): (String,) = sqlx::query_as("select current_setting('synchronous_commit')")
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(setting, ours);
    }
}
