use pgdial::domain::{CallId, Outcome};
use serde_json::{Value, json};

use super::{DONE, NOBODY, REFUSED, USAGE, pgdial, row};
use crate::support::{TestDb, ended, number, processes::Machine};

/// A call that was answered and completed.
async fn completed(db: &TestDb, to: &str) -> CallId {
    let call = db.in_call(to).await;
    db.event(&call, "end", ended(Outcome::Answered)).await;
    assert_eq!(db.state(call.id).await, "completed");
    call.id
}

/// Runs `pgdial calls <verb> <ids>`; returns the code and the verdicts.
fn verdicts(machine: &Machine, args: &[&str], ids: &[&str]) -> (i32, Vec<Value>) {
    let ran = pgdial(machine, &[args, ids, &["--json"]].concat());
    let answers: Vec<Value> = serde_json::from_str(&ran.data).unwrap();
    for (answer, id) in answers.iter().zip(ids) {
        assert_eq!(answer["id"], *id);
    }
    let verdicts = answers.iter().map(|answer| answer["verdict"].clone());
    (ran.code, verdicts.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_the_newest_first_page_by_page_with_masked_numbers() {
    let machine = Machine::new().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.insert(0, machine.db.enqueue(&number(n)).await.to_string());
    }
    let (mut seen, mut below) = (Vec::new(), Vec::new());
    loop {
        let page = pgdial(
            &machine,
            &[&["calls", "list", "--limit", "2"][..], &below].concat(),
        );
        assert_eq!(page.code, DONE, "{page:?}");
        let lines = page.data.lines().skip(1).map(row);
        seen.extend(lines.map(|cells| cells[0].to_owned()));
        assert!(page.data.contains("+141******0") && !page.data.contains("+1415555"));
        assert!(seen.len() <= ids.len(), "the pages go in circles: {seen:?}");
        let Some((_, last)) = page.words.split_once("more: add --below ") else {
            break;
        };
        assert_eq!(Some(last.trim()), seen.last().map(String::as_str));
        let last = ids.iter().find(|id| *id == last.trim()).unwrap();
        below = vec!["--below", last];
    }
    assert_eq!(seen, ids);
    let full = pgdial(&machine, &["calls", "list", "--full-numbers"]).done();
    assert!(full.contains("+14155550004"), "{full}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_only_what_was_asked_for() {
    let machine = Machine::new().await;
    let db = &machine.db;
    db.sql("select pgdial.create_campaign('spring')").await;
    let twin = db.enqueue(&number(1)).await;
    let spring = db
        .enqueue_as(json!({ "to": number(2), "scriptId": "welcome", "campaign": "spring" }))
        .await;
    db.calls.cancel(twin, "tester", None).await.unwrap();
    let table: [(&[&str], &[CallId]); 8] = [
        (&[], &[spring, twin]),
        (&["--state", "canceled"], &[twin]),
        (&["--to", "+1 415 555 0002"], &[spring]),
        (&["--campaign", "spring"], &[spring]),
        (&["--state", "waiting", "--campaign", "default"], &[]),
        (&["--state", "waiting,canceled"], &[spring, twin]),
        (&["--trunk", "default", "--metadata", "lead=1"], &[]),
        (&["--run-before", "2001-01-01T00:00:00Z"], &[]),
    ];
    for (filter, want) in table {
        let page = pgdial(&machine, &[&["calls", "list", "--json"], filter].concat()).json();
        let ids: Vec<&str> = page
            .as_array()
            .unwrap()
            .iter()
            .map(|call| call["id"].as_str().unwrap())
            .collect();
        let want: Vec<String> = want.iter().map(ToString::to_string).collect();
        assert_eq!(ids, want, "{filter:?}");
    }
    for (filter, words) in [
        (["--state", "ringing"], "possible values: waiting, dialing"),
        (["--to", "555"], "not an E.164 number"),
        (["--limit", "0"], "0 is not in 1..=1000"),
        (["--below", "lead"], "not the id of a call"),
        (["--run-after", "noon"], "as in 2026-01-02T03:04:05Z"),
    ] {
        pgdial(&machine, &[&["calls", "list"], &filter[..]].concat()).refused(USAGE, words);
    }
    for (filter, words) in [
        (["--campaign", "nope"], "there is no campaign \"nope\""),
        (["--trunk", "nope"], "there is no trunk \"nope\""),
    ] {
        pgdial(&machine, &[&["calls", "list"], &filter[..]].concat()).refused(REFUSED, words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_found_by_what_names_it_and_taken_by_the_beginning_of_its_id() {
    let machine = Machine::new().await;
    let db = &machine.db;
    let older = db.enqueue(&number(1)).await;
    db.forward("1 hour").await;
    let wanted = json!({ "to": number(2), "scriptId": "s", "idempotencyKey": "order-7", "metadata": {"lead": 7} });
    let newer = db.enqueue_as(wanted).await.to_string();
    let beginning = &newer[..13];
    for what in ["order-7", "lead=7", "+1 (415) 555-0002", beginning] {
        let found = pgdial(&machine, &["calls", "find", what, "--json"]).json();
        assert_eq!(found[0]["id"], newer, "{what}");
        let shown = pgdial(&machine, &["calls", "show", what, "--json"]).json();
        assert_eq!(shown["id"], newer, "{what}");
    }
    pgdial(&machine, &["calls", "show", "nobody"]).refused(REFUSED, "there is no call nobody");
    let both = pgdial(&machine, &["calls", "show", &newer[..4]]);
    assert_eq!(both.code, REFUSED);
    assert!(
        both.data.contains(&newer) && both.words.contains("2 calls are named so"),
        "{both:?}"
    );
    pgdial(&machine, &["calls", "cancel", &newer[..4]])
        .refused(REFUSED, "several calls begin with");
    pgdial(&machine, &["calls", "why", beginning]).done();
    pgdial(&machine, &["calls", "cancel", beginning]).done();
    assert_eq!(db.state(newer.parse().unwrap()).await, "canceled");
    assert_eq!(db.state(older).await, "waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_shown_with_its_attempts_and_its_history() {
    let machine = Machine::new().await;
    let id = completed(&machine.db, &number(1)).await.to_string();
    let shown = pgdial(&machine, &["calls", "show", &id]).done();
    for words in ["+141******01", "1 of 3", "prov-", "ATTEMPT  CLAIM  TO "] {
        assert!(shown.contains(words), "{words} is not in {shown}");
    }
    let kinds: Vec<&str> = shown
        .lines()
        .skip_while(|line| !line.contains("EVENT"))
        .skip(1)
        .map(|line| row(line)[2])
        .collect();
    assert_eq!(kinds, ["waiting", "active", "in_call", "completed"]);
    let json = pgdial(&machine, &["calls", "show", &id, "--json"]).json();
    assert_eq!(
        (&json["to"], &json["outcome"]),
        (&json!("+14155550001"), &json!("answered"))
    );
    assert_eq!(json["attempts"].as_array().unwrap().len(), 1);
    pgdial(&machine, &["calls", "show", NOBODY])
        .refused(REFUSED, "hint: `pgdial calls list` shows the newest");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_answers_for_each_call() {
    let machine = Machine::new().await;
    let db = &machine.db;
    let live = db.in_call(&number(1)).await.id;
    let over = completed(db, &number(2)).await;
    let waiting = db.enqueue(&number(3)).await;
    let ids = [waiting, live, over].map(|id| id.to_string());
    let [waiting_id, live_id, over_id] = ids.each_ref().map(String::as_str);
    let cancel = ["calls", "cancel", "--why", "wrong list"];
    assert_eq!(
        verdicts(&machine, &cancel, &[waiting_id, live_id, over_id, NOBODY]),
        (
            REFUSED,
            vec![
                json!("canceled"),
                json!("requested"),
                json!("already_over"),
                json!("not_found")
            ]
        )
    );
    assert_eq!(db.state(waiting).await, "canceled");
    let wish = format!(
        "select concat_ws(' ', state, cancel_requested_by, cancel_requested_why) from pgdial.calls where id = '{live}'"
    );
    assert_eq!(db.text(&wish).await, "in_call tester wrong list");
    let ran = pgdial(&machine, &["calls", "cancel", live_id]);
    assert!(ran.done().contains("the provider is asked to end it"));
    pgdial(&machine, &["calls", "cancel"]).refused(USAGE, "which calls?");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_somebody_holds_is_named_and_the_others_are_done() {
    let machine = Machine::new().await;
    let (locked, free) = (
        machine.db.enqueue(&number(1)).await,
        machine.db.enqueue(&number(2)).await,
    );
    let mut psql = machine.db.session().await;
    let hold = format!("begin; select from pgdial.calls where id = '{locked}' for update");
    sqlx::raw_sql(sqlx::AssertSqlSafe(hold))
        .execute(&mut psql)
        .await
        .unwrap();
    let ids = [locked.to_string(), free.to_string()];
    assert_eq!(
        verdicts(&machine, &["calls", "cancel"], &[&ids[0], &ids[1]]),
        (REFUSED, vec![json!("locked_out"), json!("canceled")])
    );
    assert_eq!(machine.db.state(locked).await, "waiting");
    assert_eq!(machine.db.state(free).await, "canceled");
}

#[tokio::test(flavor = "multi_thread")]
async fn redrive_puts_back_what_is_over_and_asks_twice_for_what_was_answered() {
    let machine = Machine::new().await;
    let db = &machine.db;
    let answered = completed(db, &number(1)).await;
    let canceled = db.enqueue(&number(2)).await;
    db.calls.cancel(canceled, "tester", None).await.unwrap();
    let barred = db.enqueue(&number(3)).await;
    db.calls.cancel(barred, "tester", None).await.unwrap();
    db.sql("select pgdial.do_not_call_add('+14155550003', 'a letter', 'tester')")
        .await;
    let ids = [canceled, answered, barred].map(|id| id.to_string());
    let [canceled_id, answered_id, barred_id] = ids.each_ref().map(String::as_str);
    assert_eq!(
        verdicts(
            &machine,
            &["calls", "redrive"],
            &[canceled_id, answered_id, barred_id, NOBODY]
        ),
        (
            REFUSED,
            vec![
                json!("waiting"),
                json!("needs_force"),
                json!("suppressed"),
                json!("not_found")
            ]
        )
    );
    assert_eq!(db.state(canceled).await, "waiting");
    assert_eq!(db.state(answered).await, "completed");
    let ran = pgdial(&machine, &["calls", "redrive", answered_id]);
    assert!(ran.data.contains("add --force to call again"), "{ran:?}");
    assert_eq!(
        verdicts(&machine, &["calls", "redrive", "--force"], &[answered_id]),
        (DONE, vec![json!("waiting")])
    );
    assert_eq!(db.state(answered).await, "waiting");
    assert_eq!(
        verdicts(&machine, &["calls", "redrive"], &[answered_id]),
        (REFUSED, vec![json!("not_over")])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn why_says_what_a_call_waits_for() {
    let machine = Machine::new().await;
    let id = machine.db.enqueue(&number(1)).await.to_string();
    let why = pgdial(&machine, &["calls", "why", &id]).done();
    assert!(
        why.contains("no live worker can dial on trunk default: start `pgdial serve`"),
        "{why}"
    );
    pgdial(
        &machine,
        &["campaigns", "pause", "default", "--why", "lunch"],
    )
    .done();
    let why = pgdial(&machine, &["calls", "why", &id, "--json"]).json();
    assert_eq!(why[0]["reason"], "campaign_paused");
    assert!(
        why[0]["message"].as_str().unwrap().ends_with(": lunch"),
        "{why}"
    );
    let table = pgdial(&machine, &["calls", "why", &id]).done();
    let reasons: Vec<&str> = table.lines().map(|line| row(line)[0]).collect();
    assert_eq!(reasons, ["REASON", "campaign_paused", "no_worker"]);
    machine.db.worker(&["default"]).await;
    pgdial(&machine, &["campaigns", "resume", "default"]).done();
    let next = pgdial(&machine, &["calls", "why", &id]).done();
    assert!(
        next.contains("1st of 1 due calls of campaign default"),
        "{next}"
    );
    pgdial(&machine, &["calls", "why", NOBODY]).refused(REFUSED, "there is no call");
}

#[tokio::test(flavor = "multi_thread")]
async fn amend_changes_what_was_given_of_a_call_that_waits() {
    let machine = Machine::new().await;
    let db = &machine.db;
    let id = db.enqueue(&number(1)).await;
    let amend = |more: &[&str]| {
        pgdial(
            &machine,
            &[&["calls", "amend", &id.to_string()], more].concat(),
        )
    };
    let ran = amend(&[
        "--script",
        "second",
        "--metadata",
        r#"{"a":1}"#,
        "--priority",
        "9",
        "--max-attempts",
        "2",
    ]);
    assert_eq!(
        (ran.code, ran.data.as_str(), ran.words.as_str()),
        (DONE, "", "amended\n")
    );
    amend(&["--expires-at", "2099-01-01T00:00:00Z"]).done();
    let row = format!(
        "select concat_ws(' ', phone, script_id, metadata, priority, max_attempts, expires_at is not null) from pgdial.calls where id = '{id}'"
    );
    assert_eq!(db.text(&row).await, r#"+14155550001 second {"a": 1} 9 2 t"#);
    amend(&["--expires-at", "never"]).done();
    assert!(db.text(&row).await.ends_with(" f"));
    amend(&["--run-at", "tomorrow"])
        .refused(REFUSED, "not amended: \"runAt\" must be an RFC 3339 time");
    let ran = amend(&["--run-at", "tomorrow", "--json"]);
    let printed: Value = serde_json::from_str(&ran.data).unwrap();
    assert_eq!(printed["verdict"], "invalid");
    assert!(
        printed["detail"]
            .as_str()
            .unwrap()
            .starts_with("\"runAt\" must be"),
        "{ran:?}"
    );
    amend(&[]).refused(USAGE, "--script <ID>|--metadata <JSON>");
    amend(&["--to", "+14155550002"]).refused(USAGE, "unexpected argument '--to'");
    db.claim(1).await;
    amend(&["--priority", "1"]).refused(REFUSED, "the call no longer waits: it cannot be changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn resolve_ends_a_doubt_by_what_a_person_knows() {
    let machine = Machine::new().await;
    let db = &machine.db;
    let (doubted, live) = (db.dialing(&number(1)).await, db.in_call(&number(2)).await);
    db.calls.doubt(doubted.reference(), "x").await.unwrap();
    let ids = [&*doubted.id.to_string(), &live.id.to_string(), NOBODY];
    let resolve = [
        "calls",
        "resolve",
        "--as",
        "not_placed",
        "--why",
        "they say so",
    ];
    let (code, answers) = verdicts(&machine, &resolve, &ids);
    assert_eq!(
        (code, answers),
        (
            REFUSED,
            vec![json!("resolved"), json!("not_in_doubt"), json!("not_found")]
        )
    );
    assert_eq!(db.state(doubted.id).await, "waiting");
    assert_eq!(db.detail(doubted.id, "resolved").await["as"], "not_placed");
    pgdial(
        &machine,
        &["calls", "resolve", ids[0], "--as", "capacity", "--why", "x"],
    )
    .refused(USAGE, "possible values: not_placed, answered");
    pgdial(&machine, &["calls", "resolve", ids[0], "--as", "busy"])
        .refused(USAGE, "--why is missing");
    let dry = [
        "calls",
        "resolve",
        "--as",
        "busy",
        "--campaign",
        "default",
        "--dry-run",
    ];
    assert!(pgdial(&machine, &dry).words.contains("no call matches"));
}
