//! Roles: each can do its work and nothing else. All other tests show that the worker's rights suffice for every
//! verb, because their program always uses the login `dialer`.

use std::{collections::BTreeSet, fs, path::Path};

use pgdial::db::{self, Error};
use sqlx::PgConnection;

use crate::support::{ROLES, TestDb, ask, number, refusal, run, url_as};

const DENIED: &str = "42501";

/// What only the owner may do.
const OWNERS: [&str; 48] = [
    "update pgdial.clock set ahead = '1 day'",
    "insert into pgdial.schema_history (kind, version, name, digest, release, compatible_from) \
     values ('functions', 99, 'functions', '', '99.0.0', 99)",
    "delete from pgdial.schema_history",
    "insert into pgdial.calls (id) values (gen_random_uuid())",
    "update pgdial.calls set state = 'waiting'",
    "delete from pgdial.calls",
    "truncate pgdial.calls",
    "select from pgdial.calls for update",
    "do $$ begin lock table pgdial.calls in row exclusive mode; end $$",
    "insert into pgdial.call_events (at) values (now())",
    "update pgdial.call_events set detail = '{}'",
    "delete from pgdial.call_events",
    "delete from pgdial.call_events_default",
    "truncate pgdial.call_events",
    "update pgdial.webhook_events set verdict = 'applied'",
    "delete from pgdial.webhook_events",
    "update pgdial.trunks set slots = 1000",
    "update pgdial.trunks set paused = false",
    "update pgdial.campaigns set paused = false",
    "delete from pgdial.campaigns",
    "delete from pgdial.trunk_breaker",
    "update pgdial.trunk_pace set tokens = 1000",
    "delete from pgdial.do_not_call",
    "update pgdial.do_not_call set pending = false",
    "delete from pgdial.workers",
    "update pgdial.live_calls set phone = '+14155550000'",
    "select nextval('pgdial.call_events_seq')",
    "select setval('pgdial.call_events_seq', 1)",
    "select pgdial.grant_roles()",
    "select pgdial.ensure_partitions(now(), 1)",
    "select pgdial.drop_partitions(now(), '0')",
    "select pgdial.note(null, 'completed', now())",
    "select pgdial.end_attempt(null, 'answered', '{}', null, now())",
    "select pgdial.lock_calls('{}', false)",
    "select pgdial.each('cancel_one', '[]', false)",
    "select pgdial.each_alone('settle_all', '[]', false)",
    "select pgdial.gate()",
    "alter table pgdial.calls disable trigger all",
    "alter table pgdial.calls drop constraint calls_in_flight_is_claimed",
    "drop index pgdial.calls_one_in_flight_per_phone",
    "drop table pgdial.calls",
    "drop function pgdial.now()",
    "alter function pgdial.claim(uuid, text[], int, int[], text[], int[], boolean) reset all",
    "create or replace function pgdial.now() returns timestamptz language sql as 'select now()'",
    "create function pgdial.mine() returns int language sql as 'select 1'",
    "create table pgdial.mine ()",
    "create schema mine",
    "set role pgdial_owner",
];

/// What the worker may do and a reader may not.
const VERBS: [&str; 12] = [
    "select pgdial.enqueue('+14155550101', 'welcome')",
    "select pgdial.enqueue_many('{x}', '[]')",
    "select pgdial.claim(gen_random_uuid(), array['default'], 1)",
    "select pgdial.settle('[]')",
    "select pgdial.webhook('[]')",
    "select pgdial.sweep(array['default'], '0')",
    "select pgdial.housekeeping('0')",
    "select pgdial.cancel(gen_random_uuid())",
    "select pgdial.pause('trunk', 'default', 'why')",
    "select pgdial.set_trunk('default', '{\"slots\": 0}')",
    "select pgdial.do_not_call_remove('+14155550101')",
    "select pgdial.wake()",
];

async fn assert_denied(login: &str, session: &mut PgConnection, statements: &[&str]) {
    for statement in statements {
        let (code, message) = refusal(session, statement).await;
        assert_eq!(code, DENIED, "{login}: {statement}: {message}");
    }
}

#[tokio::test]
async fn the_worker_writes_by_verbs_and_in_no_other_way() {
    let db = TestDb::new().await;
    db.in_call(&number(1)).await;
    let mut session = db.session_as("dialer").await;
    for verb in VERBS {
        run(&mut session, verb).await.unwrap();
    }
    assert_denied("dialer", &mut session, &OWNERS).await;
}

#[tokio::test]
async fn a_reader_reads_everything_and_writes_nothing() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let mut session = db.session_as("ann").await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/ops");
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let question = fs::read_to_string(&path).unwrap();
        // As psql substitutes its variable.
        let question = question.replace(":'phone'", "'+14155550001'");
        let answered = run(&mut session, &question).await;
        assert!(answered.is_ok(), "{}: {answered:?}", path.display());
    }
    let relations = "select string_agg(c.relname, ' ' order by c.relname) from pg_class c \
         where c.relnamespace = 'pgdial'::regnamespace and c.relkind in ('r', 'p', 'v') and not c.relispartition \
           and c.relname <> 'endpoint_secrets'";
    for relation in ask(&mut session, relations).await.split(' ') {
        let read = run(&mut session, &format!("select * from pgdial.{relation}")).await;
        assert!(read.is_ok(), "{relation}: {read:?}");
    }
    let why = format!("select reason from pgdial.why('{}')", call.id);
    assert_eq!(ask(&mut session, &why).await, "in_call");
    assert_denied("ann", &mut session, &OWNERS).await;
    assert_denied("ann", &mut session, &VERBS).await;
}

#[tokio::test]
async fn a_stranger_sees_nothing() {
    let db = TestDb::new().await;
    let mut session = db.session_as("stranger").await;
    let reads = [
        "select * from pgdial.calls",
        "select * from pgdial.call_overview",
        "select * from pgdial.clock",
        "select pgdial.now()",
        "select * from pgdial.why(gen_random_uuid())",
        "select pgdial.normal_phone('+14155550101')",
    ];
    assert_denied("stranger", &mut session, &reads).await;
    assert_denied("stranger", &mut session, &OWNERS).await;
    assert_denied("stranger", &mut session, &VERBS).await;
}

#[tokio::test]
async fn an_application_that_may_only_enqueue_does_so_in_its_own_transaction() {
    let db = TestDb::new().await;
    db.sql(
        "grant usage on schema pgdial to app; grant execute on function pgdial.enqueue(jsonb), \
         pgdial.enqueue(text, text, jsonb, text, text, int, timestamptz, timestamptz, int, text, text) to app",
    )
    .await;
    let mut session = db.session_as("app").await;
    for end in ["rollback", "commit"] {
        run(&mut session, "begin").await.unwrap();
        ask(
            &mut session,
            "pgdial.enqueue('+14155550101', 'welcome', p_idempotency_key => 'one')",
        )
        .await;
        run(&mut session, end).await.unwrap();
    }
    let owners = "select string_agg(owner, ' ') from pgdial.calls";
    assert_eq!(db.text(owners).await, "app", "the login, not the definer");
    assert_denied("app", &mut session, &OWNERS).await;
    assert_denied("app", &mut session, &VERBS[1..]).await;
    let hidden = ["select * from pgdial.calls", "select pgdial.now()"];
    assert_denied("app", &mut session, &hidden).await;
    // Migrating again keeps what a person granted.
    db::migrate(&db.pool).await.unwrap();
    run(&mut session, VERBS[0]).await.unwrap();
}

#[tokio::test]
async fn a_dashboard_can_see_counts_and_no_number() {
    let db = TestDb::new().await;
    db.in_call(&number(1)).await;
    db.sql("grant usage on schema pgdial to app; grant select on pgdial.call_overview to app")
        .await;
    let mut session = db.session_as("app").await;
    let counted = "select state || ' ' || calls from pgdial.call_overview";
    assert_eq!(ask(&mut session, counted).await, "in_call 1");
    let hidden = [
        "select * from pgdial.calls",
        "select * from pgdial.live_calls",
    ];
    assert_denied("app", &mut session, &hidden).await;
}

#[tokio::test]
async fn who_did_it_is_the_login_and_not_the_owner() {
    let db = TestDb::new().await;
    db.list_nobody().await;
    let held = db.given_up(&number(1)).await;
    let waits = db.enqueue(&number(2)).await;
    let mut session = db.session_as("dialer").await;
    for statement in [
        format!("select pgdial.release('{}', 'she called back')", held.id),
        format!("select pgdial.redrive('{}')", held.id),
        format!("select pgdial.cancel('{waits}')"),
        "select pgdial.pause('campaign', 'default', 'lunch')".to_owned(),
        "select pgdial.do_not_call_add('+14155550199', 'asked')".to_owned(),
    ] {
        run(&mut session, &statement).await.unwrap();
    }
    for (id, kind) in [
        (held.id, "released"),
        (held.id, "redriven"),
        (waits, "canceled"),
    ] {
        assert_eq!(db.detail(id, kind).await["by"], "dialer", "{kind}");
    }
    let paused = "select paused_by from pgdial.campaigns where name = 'default'";
    assert_eq!(db.text(paused).await, "dialer");
    assert_eq!(db.text("select by from pgdial.do_not_call").await, "dialer");
    // A plain UPDATE is attributed to the login, even if it acts as the owner.
    let mut deploy = db.session_as("deploy").await;
    let update = "set role pgdial_owner; update pgdial.trunks set paused = true";
    run(&mut deploy, update).await.unwrap();
    assert_eq!(
        db.text("select paused_by from pgdial.trunks").await,
        "deploy"
    );
}

#[tokio::test]
async fn whichever_member_migrates_everything_has_one_owner() {
    let (url, superuser) = TestDb::bare().await;
    TestDb::new().await; // the logins are there
    sqlx::raw_sql(ROLES).execute(&superuser).await.unwrap();
    for login in ["stranger", "dialer"] {
        let pool = db::connect(&url_as(login, &url), "test", 1).await.unwrap();
        let refused = db::migrate(&pool).await;
        assert!(
            matches!(&refused, Err(Error::NotOwner { owner }) if owner == "pgdial_owner"),
            "{login}: {refused:?}"
        );
    }
    let deploy = db::connect(&url_as("deploy", &url), "test", 2)
        .await
        .unwrap();
    db::migrate(&deploy).await.unwrap();
    assert_one_owner(&superuser).await;
    let dialer = db::connect(&url_as("dialer", &url), "test", 1)
        .await
        .unwrap();
    db::check_schema(&dialer).await.unwrap();
    let refused = db::migrate(&dialer).await;
    assert!(
        matches!(refused, Err(Error::NotOwner { .. })),
        "{refused:?}"
    );
    // The superuser is a member of every role.
    assert_eq!(
        db::migrate(&superuser).await.unwrap(),
        db::Migrated::default()
    );
    assert_one_owner(&superuser).await;
}

/// From Postgres 16 on, the creator of a role may grant it to others without being able to act as it.
#[tokio::test]
async fn whoever_made_the_roles_and_may_not_act_as_the_owner_is_told_the_line() {
    let db = TestDb::new().await;
    let (url, superuser) = TestDb::bare().await;
    let login = format!("creator_{}", uuid::Uuid::new_v4().simple());
    let prepare = format!(
        "create role {login} login createrole; \
         do $$ begin execute format('alter database %I owner to {login}', current_database()); end $$"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(prepare))
        .execute(&superuser)
        .await
        .unwrap();
    let creator = db::connect(&url_as(&login, &url), "test", 1).await.unwrap();
    // The roles already exist, so another login made them: pretend that this one did.
    let set = db
        .number("select current_setting('server_version_num')::int / 10000")
        .await
        >= 16;
    let made = if set {
        format!("grant pgdial_owner to {login} with admin true, inherit false, set false")
    } else {
        format!("grant pgdial_owner to {login} with admin option")
    };
    sqlx::raw_sql(sqlx::AssertSqlSafe(made))
        .execute(&superuser)
        .await
        .unwrap();
    sqlx::raw_sql(ROLES).execute(&creator).await.unwrap();
    let migrated = db::migrate(&creator).await;
    if set {
        let refused = migrated.unwrap_err();
        assert!(matches!(&refused, Error::MayNotAct { .. }), "{refused:?}");
        let words = refused.to_string();
        let line = words.split('`').nth(1).unwrap().to_owned();
        assert_eq!(line, format!("grant pgdial_owner to {login}"));
        sqlx::raw_sql(sqlx::AssertSqlSafe(line))
            .execute(&creator)
            .await
            .unwrap();
        db::migrate(&creator).await.unwrap();
    } else {
        migrated.unwrap();
    }
    assert_one_owner(&superuser).await;
}

#[tokio::test]
async fn a_schema_from_before_the_roles_changes_hands() {
    TestDb::new().await;
    let (url, superuser) = TestDb::bare().await;
    db::migrate(&superuser).await.unwrap();
    let dialer = db::connect(&url_as("dialer", &url), "test", 1)
        .await
        .unwrap();
    // A single login for everything needs no roles, and gives rights to none.
    assert_denied_on(&dialer, "select pgdial.now()").await;
    for _ in 0..2 {
        sqlx::raw_sql(ROLES).execute(&superuser).await.unwrap();
        assert_one_owner(&superuser).await;
    }
    let deploy = db::connect(&url_as("deploy", &url), "test", 2)
        .await
        .unwrap();
    db::migrate(&deploy).await.unwrap();
    db::check_schema(&dialer).await.unwrap();
    assert_denied_on(&dialer, OWNERS[0]).await;
}

async fn assert_denied_on(pool: &db::Pool, statement: &str) {
    let mut session = pool.acquire().await.unwrap();
    assert_denied("dialer", &mut session, &[statement]).await;
}

async fn assert_one_owner(pool: &db::Pool) {
    let foreign: Vec<(String,)> = sqlx::query_as(
        "select o.what || ' ' || o.name from ( \
             select 'relation', relname::text, relowner from pg_class where relnamespace = 'pgdial'::regnamespace \
             union all select 'function', proname, proowner from pg_proc where pronamespace = 'pgdial'::regnamespace \
             union all select 'type', typname, typowner from pg_type where typnamespace = 'pgdial'::regnamespace \
             union all select 'schema', nspname, nspowner from pg_namespace where nspname = 'pgdial') as o (what, name, owner) \
         where o.owner <> 'pgdial_owner'::regrole",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert_eq!(foreign, []);
}

/// Every right on every relation and function of the schema that anyone but its owner has, one line per object.
/// Partitions are reached through their parent.
const RIGHTS: &str = "with object (kind, name, acl) as ( \
        select case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end, c.relname::text, c.relacl \
        from pg_class c \
        where c.relnamespace = 'pgdial'::regnamespace and c.relkind in ('r', 'p', 'v', 'S', 'f', 'm') \
          and (not c.relispartition or c.relname = 'call_events_default') \
        union all \
        select 'function', p.proname::text, coalesce(p.proacl, acldefault('f', p.proowner)) \
        from pg_proc p where p.pronamespace = 'pgdial'::regnamespace \
        union all \
        select 'schema', n.nspname::text, n.nspacl from pg_namespace n where n.nspname = 'pgdial' \
        union all \
        select 'column', c.relname || '.' || a.attname, a.attacl \
        from pg_attribute a join pg_class c on c.oid = a.attrelid \
        where c.relnamespace = 'pgdial'::regnamespace and a.attacl is not null \
    ), granted as ( \
        select o.kind, o.name, coalesce(r.rolname::text, 'public') as grantee, lower(x.privilege_type) as can \
        from object o, aclexplode(o.acl) x left join pg_roles r on r.oid = x.grantee \
        where coalesce(r.rolname, '') <> 'pgdial_owner' \
    ) \
    select g.kind || ' ' || g.name || ': ' || string_agg(g.grantee || ' ' || g.can, ', ' order by g.grantee, g.can) \
    from granted g group by g.kind, g.name order by 1";

#[tokio::test]
async fn every_right_is_one_that_somebody_decided_on() {
    let db = TestDb::new().await;
    let rights: Vec<(String,)> = sqlx::query_as(RIGHTS).fetch_all(&db.pool).await.unwrap();
    let rights: Vec<String> = rights.into_iter().map(|row| row.0).collect();
    insta::assert_snapshot!(rights.join("\n"));
}

/// With the owner's rights, the search path decides whose operators and functions run.
#[tokio::test]
async fn what_runs_with_the_owners_rights_finds_nothing_of_the_callers() {
    let db = TestDb::new().await;
    let exposed = "select string_agg(proname, ' ') from pg_proc where pronamespace = 'pgdial'::regnamespace \
         and prosecdef and not coalesce(proconfig, '{}') @> array['search_path=pg_catalog, pg_temp']";
    assert_eq!(db.text(exposed).await, "");
    // A callable function that is not security definer must write nothing the role could not write itself.
    let callers = "select string_agg(proname, ' ' order by proname) from pg_proc p where pronamespace = 'pgdial'::regnamespace \
         and not prosecdef and has_function_privilege('pgdial_worker', p.oid, 'execute')";
    assert_eq!(
        db.text(callers).await,
        "account_is_gone basis_of breaker callee_regions callee_zones caller_ids_left calls_beginning campaign_conflicts \
         can_hang_up capped_calls closed_rules cluster_changed consent_problem consent_words counts counts_until \
         covers delivered_event delivery_id dial_terms dialled dials_from dials_in_words doubts due_before end_in_words error_words \
         estimate_of event_filter event_kinds event_named event_place events_after events_at events_horizon \
         events_withheld_ms evidence evidence_of from_hex gate_holder has_twin_elsewhere heads held hours_named \
         hours_of_day hours_on hours_over_lease hours_state hours_text in_flight in_flight_from in_utc \
         is_its_account is_normal_phone is_open is_open_at is_put_aside is_trusted is_valid_key iso_8601 lanes \
         lanes_of lease listed local_time local_times located_phone longest_lease longest_reach look_up_after \
         look_up_due main_plan masked may_be_in minute_of newest_event next_number next_open next_step normal_phone \
         now number_taken oldest_live one_or_none open_areas opening own_deadline pace period_in_words phone_area \
         phone_heads phone_in_ascii phone_length phone_plans place_in_line place_rules place_state plain_hours \
         present_cap present_number preview_campaign ramp_steps ramps_since read_event_cursor read_hours read_phone \
         read_slots region_rules repeat_problem rivals row_holder rule_opens run_of_campaign session_name \
         shared_numbers shifted slots_text special_days_of spelled_phone spent_caller_ids suspect_words suspects tried \
         trunk_conflicts trunk_of_claim trunk_terms turned_down turns_before twin_before undelivered_since usable_caller_ids \
         users_of_calendar version_of wake why why_breaker why_closed why_doubts why_groups why_hours why_in_flight why_itself why_lane why_later why_limits why_nobody why_over why_reasons \
         why_waiting with_code_alone with_place without_trunk_prefix write_event_cursor zones_of_region"
    );
}

/// A verb that the program starts to call needs a line in sql/rules/grants.sql.
#[tokio::test]
async fn every_function_that_the_program_calls_is_the_workers() {
    let db = TestDb::new().await;
    let mut called = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![root.join("src/flow"), root.join("sql/read")];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let inside = fs::read_dir(path).unwrap();
            paths.extend(inside.map(|file| file.unwrap().path()));
        } else {
            called.extend(functions_in(&fs::read_to_string(path).unwrap()));
        }
    }
    assert!(called.contains("claim") && called.contains("lanes"));
    for function in called {
        let may = format!(
            "select bool_and(has_function_privilege('pgdial_worker', oid, 'execute')) from pg_proc \
             where pronamespace = 'pgdial'::regnamespace and proname = '{function}'"
        );
        assert_eq!(db.text(&may).await, "true", "{function}");
    }
}

/// Names in `pgdial.name(`.
fn functions_in(text: &str) -> impl Iterator<Item = String> {
    text.split("pgdial.").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_')?;
        rest[end..].starts_with('(').then(|| rest[..end].to_owned())
    })
}
