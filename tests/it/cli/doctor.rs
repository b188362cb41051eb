//! `doctor`: everything that can break is broken once, and found together with its repair.

use std::time::Duration;

use pgdial::provider::{Capabilities, Idempotency};
use serde_json::Value;

use super::{DONE, REFUSED, Ran};
use crate::support::{number, processes::Machine, run, wire::Wire};

/// Exit code and JSON.
fn examined(machine: &Machine, change: impl FnOnce(&mut std::process::Command)) -> (i32, Value) {
    let mut command = machine.command(&["doctor", "--json"]);
    change(&mut command);
    let ran = Ran::of(command, "");
    let told = serde_json::from_str(&ran.data).unwrap_or_else(|_| panic!("{ran:?}"));
    (ran.code, told)
}

/// Findings of this check with this verdict, as `message | repair`.
fn said(told: &Value, check: &str, verdict: &str) -> Vec<String> {
    let checks = told["checks"].as_array().unwrap().iter();
    let ours = checks.filter(|c| c["check"] == check && c["verdict"] == verdict);
    let words = |c: &Value, name: &str| c[name].as_str().unwrap_or_default().to_owned();
    ours.map(|c| format!("{} | {}", words(c, "message"), words(c, "repair")))
        .collect()
}

/// Names of failing checks.
fn failing(told: &Value) -> Vec<&str> {
    let checks = told["checks"].as_array().unwrap().iter();
    let failing = checks.filter(|check| check["verdict"] == "fail");
    failing
        .map(|check| check["check"].as_str().unwrap())
        .collect()
}

/// After something was broken: asserts that doctor fails, by this check, with these words.
fn finds(machine: &Machine, check: &str, verdict: &str, words: &[&str]) {
    let (code, told) = examined(machine, |_| {});
    let said = said(&told, check, verdict);
    let found = |line: &String| words.iter().all(|word| line.contains(word));
    assert!(said.iter().any(found), "{words:?} in\n{told:#}");
    assert_eq!(
        code,
        if told["verdict"] == "fail" {
            REFUSED
        } else {
            DONE
        }
    );
    if verdict == "fail" {
        assert_eq!(told["verdict"], "fail");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_machine_that_works_only_the_tests_own_server_fails() {
    let machine = Machine::new().await;
    let _provider = machine.start_provider(&[]).await;
    let _worker = machine.start_worker("worker", &[]).await;
    let (code, told) = examined(&machine, |_| {});
    // The tests' server does not survive a crash, which doctor reports.
    let failing = failing(&told);
    assert_eq!(failing, ["durability", "durability"], "{told:#}");
    assert!(said(&told, "durability", "fail")[0].contains("fsync is off"));
    assert_eq!(code, REFUSED);
    for check in [
        "connection",
        "schema",
        "drift",
        "rights",
        "partitions",
        "identity",
        "housekeeping",
        "clock",
        "snapshots",
        "place",
        "workers",
        "slots",
        "inbox",
        "hours",
        "listen",
        "provider",
    ] {
        assert_eq!(said(&told, check, "ok").len(), 1, "{check} in {told:#}");
    }
    assert!(said(&told, "provider", "ok")[0].contains("knows the protocol"));
    // For people: a table, and the same exit code.
    let ran = Ran::of(machine.command(&["doctor"]), "");
    assert_eq!(ran.code, REFUSED, "{ran:?}");
    assert!(
        ran.data.contains("CHECK") && ran.data.contains("listen"),
        "{}",
        ran.data
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_from_this_release_is_found_with_the_line_that_repairs_it() {
    let machine = Machine::new().await;
    for (break_it, words, mend_it) in [
        (
            "drop index pgdial.calls_claimable",
            &[
                "calls_claimable is missing",
                "CREATE INDEX CONCURRENTLY calls_claimable ON pgdial.calls",
            ][..],
            None,
        ),
        (
            "update pg_index set indisvalid = false where indexrelid = 'pgdial.calls_phone'::regclass",
            &[
                "calls_phone is not valid",
                "reindex index concurrently pgdial.calls_phone",
            ],
            None,
        ),
        (
            "create or replace function pgdial.pace(p_trunk pgdial.trunks, p_now timestamptz, \
                 out tokens double precision, out allowed int, out opens_at timestamptz) \
             language plpgsql stable as $$ begin allowed := 1000; end $$",
            &["function pgdial.pace is not as", "`pgdial migrate --again`"],
            None,
        ),
        (
            "alter function pgdial.settle(jsonb, boolean) security invoker",
            &["function pgdial.settle is not as"],
            None,
        ),
        (
            "alter function pgdial.gate() set lock_timeout = '1h'",
            &["function pgdial.gate is not as"],
            Some("alter function pgdial.gate() set lock_timeout = '2s'"),
        ),
        (
            "drop view pgdial.stuck_calls",
            &["view pgdial.stuck_calls is missing"],
            None,
        ),
        (
            "alter table pgdial.calls drop constraint calls_in_flight_is_claimed",
            &["constraint calls_in_flight_is_claimed"],
            None,
        ),
    ] {
        machine.db.sql(break_it).await;
        finds(&machine, "drift", "fail", words);
        if let Some(mend_it) = mend_it {
            machine.db.sql(mend_it).await;
            let (_, told) = examined(&machine, |_| {});
            assert!(
                !said(&told, "drift", "fail")
                    .iter()
                    .any(|line| line.contains(words[0]))
            );
        }
    }
    for (break_it, words) in [
        (
            "alter table pgdial.trunk_pace reset (fillfactor)",
            &[
                "trunk_pace is not set to fillfactor=50",
                "alter table pgdial.trunk_pace set (fillfactor=50)",
            ],
        ),
        (
            "alter table pgdial.trunks disable trigger wake",
            &["trigger wake on pgdial.trunks is not as", "migrate"],
        ),
    ] {
        machine.db.sql(break_it).await;
        finds(&machine, "drift", "warn", words);
    }
    // The repair it names does repair whatever migrate can.
    let mut migrate = machine.command(&["migrate", "--again"]);
    migrate.env("DATABASE_URL", machine.db.url_as("deploy"));
    let ran = Ran::of(migrate, "");
    assert_eq!(ran.code, DONE, "{ran:?}");
    let (_, told) = examined(&machine, |_| {});
    let drift = said(&told, "drift", "fail");
    assert!(
        !drift
            .iter()
            .any(|line| line.contains("function") || line.contains("view")),
        "{drift:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_set_up_around_it_is_found() {
    let machine = Machine::new().await;
    let db = &machine.db;
    db.sql("grant execute on all functions in schema pgdial to public; grant select on pgdial.calls to public")
        .await;
    finds(
        &machine,
        "rights",
        "fail",
        &["PUBLIC", "pgdial.", "`pgdial migrate`"],
    );
    db.sql("alter default privileges for role pgdial_owner grant select on tables to public")
        .await;
    finds(
        &machine,
        "rights",
        "warn",
        &[
            "PUBLIC",
            "tables that pgdial_owner makes later",
            "alter default privileges for role pgdial_owner revoke all on tables from public",
        ],
    );
    db.sql("alter default privileges for role pgdial_owner revoke select on tables from public")
        .await;
    let mut migrate = machine.command(&["migrate"]);
    migrate.env("DATABASE_URL", db.url_as("deploy"));
    let ran = Ran::of(migrate, "");
    assert_eq!(ran.code, DONE, "{ran:?}");
    assert!(
        ran.data.contains("took ") && ran.data.contains("from PUBLIC"),
        "{ran:?}"
    );
    let (_, told) = examined(&machine, |_| {});
    assert_eq!(said(&told, "rights", "fail"), [""; 0], "{told:#}");

    db.sql("alter table pgdial.acts replica identity nothing")
        .await;
    finds(
        &machine,
        "identity",
        "fail",
        &["pgdial.acts", "replica identity default"],
    );
    db.sql("create function public.locked() returns event_trigger language plpgsql as $$ begin end $$; \
            create event trigger locked on ddl_command_end execute function public.locked(); \
            alter table pgdial.calls enable row level security")
        .await;
    finds(
        &machine,
        "row security",
        "fail",
        &[
            "pgdial.calls",
            "dialer",
            "locked",
            "disable row level security",
        ],
    );
    db.sql("alter table pgdial.schema_history enable row level security")
        .await;
    finds(&machine, "schema", "fail", &["row level security"]);
    db.sql(
        "drop event trigger locked; alter table pgdial.calls disable row level security; \
            alter table pgdial.schema_history disable row level security",
    )
    .await;
    // As written by a session in which a backslash escapes.
    db.sql("alter table pgdial.do_not_call drop constraint do_not_call_phone_check; \
            alter table pgdial.do_not_call add constraint do_not_call_phone_check check (phone ~ '^+[1-9][0-9]{6,14}$') not valid")
        .await;
    finds(
        &machine,
        "drift",
        "fail",
        &[
            "do_not_call_phone_check",
            "drop constraint do_not_call_phone_check, add constraint",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_housekeeping_that_fails_is_found_with_what_it_says() {
    let machine = Machine::new().await;
    let db = &machine.db;
    let fail = "update pgdial.housekeeping_steps set failures = failures + 4, failed_at = pgdial.now(), \
        error = 'call_events_2020w01 cannot be dropped: a view' where step = 'drop_partitions'";
    db.sql(fail).await;
    finds(
        &machine,
        "housekeeping",
        "warn",
        &[
            "drop_partitions has failed 4 times in a row",
            "call_events_2020w01",
            "never succeeded",
        ],
    );
    db.sql(fail).await;
    finds(
        &machine,
        "housekeeping",
        "fail",
        &[
            "drop_partitions has failed 8 times",
            "select pgdial.housekeeping(null, 'drop_partitions')",
        ],
    );
    db.sql("update pgdial.housekeeping_steps set failures = 0, done_at = pgdial.now() - interval '1 hour'; \
            insert into pgdial.workers (id, host, pid, release, permits, trunks, started_at, seen_at) \
            select gen_random_uuid(), 'far', 1, '0.1.0', 30, '{default}', n - interval '1 hour', n from (select pgdial.now()) n (n)")
        .await;
    finds(
        &machine,
        "housekeeping",
        "fail",
        &[
            "forget_rest is not done, though a worker is alive",
            "60 min ago",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_say_where_it_runs_is_told() {
    let machine = Machine::new().await;
    let db = &machine.db;
    db.sql("revoke execute on function pg_control_system() from public, pgdial_owner")
        .await;
    finds(
        &machine,
        "place",
        "fail",
        &["pg_control_system", "grant execute on that function"],
    );
    db.sql("update pgdial.cluster set system_identifier = null")
        .await;
    finds(
        &machine,
        "place",
        "warn",
        &["may not be noticed", "pg_control_system", "grant execute"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_cannot_move_is_found() {
    let machine = Machine::new().await;
    finds(
        &machine,
        "workers",
        "warn",
        &["no worker has ever been here"],
    );
    machine.db.enqueue(&number(1)).await;
    finds(
        &machine,
        "workers",
        "fail",
        &["no worker has ever been here"],
    );
    let pause = "select pgdial.pause('trunk', 'default', 'until noon', 'nora')";
    machine.db.sql(pause).await;
    finds(
        &machine,
        "pauses",
        "warn",
        &["the trunk default is paused by nora since", "until noon"],
    );
    let resume = "select pgdial.resume('trunk', 'default')";
    machine.db.sql(resume).await;
    machine
        .db
        .sql(
            "insert into pgdial.workers (id, host, pid, release, permits, trunks, started_at, seen_at) \
             select gen_random_uuid(), 'far', 1, '0.0.1', 30, '{other}', n, n - interval '10 minutes' \
             from (select pgdial.now()) n (n)",
        )
        .await;
    finds(
        &machine,
        "workers",
        "fail",
        &["no worker is alive", "on far, 00:10:0"],
    );
    machine
        .db
        .sql("update pgdial.workers set seen_at = pgdial.now()")
        .await;
    finds(
        &machine,
        "workers",
        "fail",
        &[
            "no live worker knows the trunk default",
            "PGDIAL_PROVIDER_URL",
        ],
    );
    finds(
        &machine,
        "workers",
        "warn",
        &["another release than this one: 0.0.1"],
    );
    // A pause is intended.
    machine
        .db
        .sql("update pgdial.trunks set paused = true")
        .await;
    let (_, told) = examined(&machine, |_| {});
    assert_eq!(said(&told, "workers", "fail"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_without_room_and_a_database_that_moved_are_found() {
    let machine = Machine::new().await;
    machine
        .db
        .sql("insert into pgdial.trunk_breaker (trunk, faults, last_fault, opened_at) values ('default', 9, 'no answer', now())")
        .await;
    finds(
        &machine,
        "provider",
        "fail",
        &["of default fails", "no answer"],
    );
    machine
        .db
        .sql("update pgdial.trunk_breaker set opened_at = null, not_before = pgdial.now() + interval '1 hour'")
        .await;
    finds(
        &machine,
        "slots",
        "warn",
        &["has no room for more, with 0 of 30"],
    );
    machine
        .db
        .sql("delete from pgdial.trunk_breaker; update pgdial.trunks set slots = 0")
        .await;
    finds(&machine, "slots", "warn", &["none of its 0 slots free"]);
    machine.db.sql("update pgdial.trunks set slots = 2").await;
    let doubted = machine.db.dialing(&number(7)).await;
    let doubted = machine.db.calls.doubt(doubted.reference(), "x").await;
    assert!(doubted.unwrap());
    let found = "dials in doubt hold 1 of 2 slots of default";
    finds(&machine, "slots", "warn", &[found]);
    machine
        .db
        .sql(
            "insert into pgdial.call_events_default (at, call_id, claim_no, attempt, kind) \
             values (now() + interval '2 years', gen_random_uuid(), 0, 0, 'waiting')",
        )
        .await;
    finds(&machine, "partitions", "warn", &["call_events_default"]);
    machine
        .db
        .sql("update pgdial.cluster set system_identifier = 1")
        .await;
    finds(
        &machine,
        "place",
        "fail",
        &["nothing is dialled", "pgdial recover"],
    );
    let mut holder = machine.db.session_as("dialer").await;
    run(
        &mut holder,
        "begin; select pg_advisory_xact_lock(x'70676469'::int, 1)",
    )
    .await
    .unwrap();
    finds(
        &machine,
        "gate",
        "fail",
        &["nothing is dialled", "pg_terminate_backend"],
    );
    machine
        .db
        .sql("update pgdial.clock set ahead = '1 hour'")
        .await;
    finds(&machine, "clock", "fail", &["moved by 01:00:00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_and_a_provider_that_is_not_there_are_found() {
    let machine = Machine::new().await;
    // Nothing listens at the provider's address.
    finds(
        &machine,
        "provider",
        "fail",
        &[
            "of default, at http://127.0.0.1:",
            "cannot be asked",
            "PGDIAL_PROVIDER_URL",
        ],
    );
    let provider = machine.start_provider(&[]).await;
    // Something listens there, which is not a provider.
    let (code, told) = examined(&machine, |command| {
        let url = format!("http://{}/nowhere", machine.provider);
        command.env("PGDIAL_PROVIDER_URL", url);
    });
    assert_eq!(failing(&told), ["durability", "durability"], "{told:#}");
    assert_eq!(code, REFUSED);
    assert!(
        said(&told, "provider", "warn")[0].contains("has no list of calls"),
        "{told:#}"
    );
    for (name, text, words) in [
        ("PGDIAL_WEBHOOK_SECRETS", "", "PGDIAL_WEBHOOK_SECRETS"),
        ("PGDIAL_WEBHOOK_SECRETS", "change-me", "placeholder"),
        ("PGDIAL_WEBHOOK_SECRETS", "short", "at least 24"),
        (
            "PGDIAL_PUBLIC_URL",
            "calls.example.com",
            "PGDIAL_PUBLIC_URL is",
        ),
        ("DATABASE_URL", "mysql://x", "must begin with postgres://"),
    ] {
        let (code, told) = examined(&machine, |command| {
            command.env(name, text);
        });
        let said = said(&told, "settings", "fail");
        assert!(
            said.iter().any(|line| line.contains(words)),
            "{name}={text}: {told:#}"
        );
        assert_eq!(code, REFUSED);
    }
    let (code, told) = examined(&machine, |command| {
        command.env(
            "PGDIAL_TRUNK_EU_PROVIDER_URL",
            format!("http://{}", machine.provider),
        );
        command.env(
            "PGDIAL_TRUNK_EU_WEBHOOK_SECRETS",
            "a secret that is long enough",
        );
    });
    let missing = said(&told, "provider", "fail");
    assert!(missing[0].contains("`pgdial trunks create eu`"), "{told:#}");
    assert_eq!(code, REFUSED);
    drop(provider);

    let (code, told) = examined(&machine, |command| {
        command.env("DATABASE_URL", "postgres://pgdial@127.0.0.1:1/pgdial");
    });
    assert_eq!(said(&told, "connection", "fail").len(), 1, "{told:#}");
    assert_eq!(code, REFUSED);
    let (_, told) = examined(&machine, |command| {
        command.env("DATABASE_URL", machine.db.url_as("stranger"));
    });
    assert!(!said(&told, "schema", "fail").is_empty(), "{told:#}");
    let (_, told) = examined(&machine, |command| {
        command.env("DATABASE_URL", machine.db.url_as("ann"));
    });
    assert!(
        said(&told, "rights", "fail")[0].contains("ann may not call"),
        "{told:#}"
    );
}

/// A platform that does not answer is a warning: `doctor` runs where a passing fault must not fail it. `trunks check`
/// is asked about that platform alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_asked_and_its_silence_is_a_warning() {
    let machine = Machine::new().await;
    let _provider = machine.start_provider(&[]).await;
    let checked = |change: &dyn Fn(&mut std::process::Command)| {
        let mut command = machine.command(&["trunks", "check", "default", "--json"]);
        change(&mut command);
        let ran = Ran::of(command, "");
        let told: Value = serde_json::from_str(&ran.data).unwrap_or_else(|_| panic!("{ran:?}"));
        (ran.code, told)
    };
    let (code, told) = checked(&|_| {});
    assert_eq!(
        (code, &told["trunk"]),
        (DONE, &"default".into()),
        "{told:#}"
    );
    let url = told["webhookUrl"].as_str().unwrap();
    assert!(url.ends_with("/callbacks/default"), "{url}");
    let retell = |command: &mut std::process::Command| {
        command.env("PGDIAL_PROVIDER", "retell");
        command.env("PGDIAL_PROVIDER_KEY", "key_0123456789abcdef0123456789");
        command.env("PGDIAL_PROVIDER_URL", "http://127.0.0.1:1");
    };
    let (code, told) = checked(&retell);
    assert_eq!(
        (code, &told["verdict"]),
        (REFUSED, &"warn".into()),
        "{told:#}"
    );
    let first = &told["findings"][0];
    assert_eq!(
        (&first["about"], &first["verdict"]),
        (&"key".into(), &"warn".into())
    );
    assert!(!told.to_string().contains("key_0123"), "{told:#}");
    let (_, told) = examined(&machine, retell);
    let warned = said(&told, "provider", "warn");
    assert!(warned[0].starts_with("trunk default: "), "{told:#}");
    assert!(warned[0].contains("PGDIAL_PROVIDER_URL"), "{told:#}");
    assert_eq!(said(&told, "provider", "fail"), [""; 0], "{told:#}");
}

/// As through a pooler in transaction mode.
#[tokio::test(flavor = "multi_thread")]
async fn a_way_on_which_no_notification_comes_is_found_and_a_worker_refuses_it() {
    let machine = Machine::new().await;
    let wire = Wire::deaf_to(&machine.db).await;
    let (code, told) = examined(&machine, |command| {
        command.env("DATABASE_URL", &wire.url);
    });
    let deaf = said(&told, "listen", "fail");
    assert!(deaf[0].contains("a pooler in transaction mode"), "{told:#}");
    assert_eq!(code, REFUSED);
    // The check at start-up is the same.
    let mut worker = machine.command(&["work"]);
    worker.env("DATABASE_URL", &wire.url);
    let ran = Ran::of(worker, "");
    assert_eq!(ran.code, REFUSED, "{ran:?}");
    assert!(
        ran.words.contains("a pooler in transaction mode"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_said_and_the_adapter_knows_to_be_otherwise_is_told() {
    let machine = Machine::new().await;
    machine
        .db
        .sql("update pgdial.trunks set idempotent = true")
        .await;
    let once = Capabilities {
        idempotency: Some(Idempotency::Honoured(Duration::from_mins(1))),
        ..Capabilities::UNKNOWN
    };
    machine
        .db
        .working("acme voice.example.com 0123", once)
        .await;
    finds(
        &machine,
        "trunk",
        "warn",
        &[
            "keeps a key for 60 s, and 10 minutes are needed",
            "--idempotent declared",
        ],
    );
    finds(
        &machine,
        "trunk",
        "ok",
        &[
            "trunk default at acme voice.example.com 0123",
            "idempotent: no, as set; its adapter declares",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calling_hours_that_cannot_be_judged_are_found() {
    let machine = Machine::new().await;
    let (_, told) = examined(&machine, |_| {});
    assert_eq!(said(&told, "hours", "ok").len(), 1, "{told:#}");
    machine
        .db
        .sql(
            "insert into pgdial.calendars (name, covers) values \
                 ('ends', daterange('2020-01-01', (pgdial.now() + interval '30 days')::date)), ('ended', '[2020-01-01,2021-01-01)'); \
             insert into pgdial.calling_hours (name, week, calendar, timezone) values \
                 ('own@2020-01', '{}', 'ends', null), ('own@2020-02', '{}', null, null), ('mars', '{}', null, 'Mars/Base'); \
             insert into pgdial.calling_hours_regions (hours, region, week, calendar) values ('own@2020-01', 'US-LA', '{}', 'ended'); \
             update pgdial.campaigns set calling_hours = 'own@2020-01'; \
             insert into pgdial.trunk_adapter (trunk, declares, declared_at) values ('default', '{\"callsPerSecond\": 1}', now())",
        )
        .await;
    finds(
        &machine,
        "hours",
        "warn",
        &[
            "does not know the time zone Mars/Base",
            "calling hours mars",
            "tzdata",
        ],
    );
    finds(
        &machine,
        "hours",
        "warn",
        &[
            "calendar ends covers",
            "calling hours own@2020-01 are closed",
            "calendars set ends FILE",
        ],
    );
    finds(
        &machine,
        "hours",
        "fail",
        &["calendar ended covers", "own@2020-01 (US-LA)"],
    );
    finds(
        &machine,
        "hours",
        "warn",
        &[
            "campaign default has calling hours own@2020-01",
            "--calling-hours own@2020-02",
        ],
    );
    finds(
        &machine,
        "hours",
        "warn",
        &["trunk default has no pace", "--calls-per-second 1"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_soon_end_and_those_that_nobody_uses_are_found() {
    let machine = Machine::new().await;
    let (_, told) = examined(&machine, |_| {});
    assert_eq!(said(&told, "keys", "warn"), [""; 0]);
    let db = &machine.db;
    db.sql("select pgdial.create_key(k, '{\"scope\": \"read\"}') from unnest(array['crm', 'desk', 'old', 'gone']) k")
        .await;
    db.sql("update pgdial.keys set expires_at = pgdial.now() + interval '13 days' where name = 'crm'; \
            update pgdial.keys set created_at = pgdial.now() - interval '91 days' where name in ('desk', 'old'); \
            update pgdial.keys set used_at = pgdial.now() - interval '89 days' where name = 'desk'; \
            update pgdial.keys set revoked_at = pgdial.now(), created_at = '2000-01-01' where name = 'gone'")
        .await;
    let (_, told) = examined(&machine, |_| {});
    let found = said(&told, "keys", "warn");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains("the key crm expires at ") && found[0].contains("keys rotate crm"),
        "{found:?}"
    );
    assert!(
        found[1].contains("the key old since it was created")
            && found[1].contains("keys revoke old"),
        "{found:?}"
    );
}
