//! Screens about calls: the list, one call and its acts, failures, upload, do-not-call and forget.

use reqwest::RequestBuilder;
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::{
    page::{HOSTILE, ask, between, form, get, guarded, sign_in, with},
    support::{Answer, Send, World},
};

/// Sends the form of an act.
async fn send(world: &World, path: &str, fields: &[(&str, &str)]) -> Answer {
    form(ask(world, "POST", path), fields).answer().await
}

async fn page(world: &World, path: &str) -> Answer {
    ask(world, "GET", path).answer().await
}

/// Text without the tags.
fn said(html: &str) -> String {
    let mut said = String::new();
    let mut is_tag = false;
    for c in html.chars() {
        match c {
            '<' => is_tag = true,
            '>' => is_tag = false,
            c if !is_tag => said.push(c),
            _ => {}
        }
    }
    said
}

async fn text(world: &World, sql: &str) -> String {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

/// A call that has failed of this.
async fn failed(world: &World, phone: &str, outcome: &str, error: &str) -> String {
    let error = error.replace('\'', "''");
    text(
        world,
        &format!(
            "insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, attempt, state, outcome, \
                 last_error, owner, request_hash, created_at, ended_at) \
             values (pgdial.uuid_v7(pgdial.now()), '{phone}', 'default', 's', pgdial.now(), 3, 3, 'failed', '{outcome}', '{error}', \
                 'crm', '', pgdial.now(), pgdial.now()) returning id::text"
        ),
    )
    .await
}

#[tokio::test]
async fn the_list_is_what_its_address_selects() {
    let world = World::new().await;
    let first = world.enqueue("+14155550101").await;
    let second = world.enqueue("+14155550102").await;
    let busy = failed(&world, "+14155550103", "busy", "it is busy").await;
    let all = page(&world, "/ui/calls").await.text;
    for id in [&first, &second, &busy] {
        assert!(all.contains(&format!("./calls/{id}")), "{id}: {all}");
    }
    assert!(!all.contains("4155550101"), "{all}");
    for (query, found) in [
        ("state=failed", &busy),
        ("state=failed,canceled&outcome=busy", &busy),
        ("to=%2B14155550102", &second),
        ("to=415-555-0102&region=US", &second),
        ("error=it+is+busy&campaign=default", &busy),
        ("endedAfter=2020-01-31T09:00", &busy),
    ] {
        let text = page(&world, &format!("/ui/calls?{query}")).await.text;
        for id in [&first, &second, &busy] {
            let is_shown = text.contains(&format!("./calls/{id}"));
            assert_eq!(is_shown, id == found, "{query}: {text}");
        }
    }
    for (query, words) in [
        ("state=bogus", "bogus"),
        ("campaign=nowhere", "there is no campaign"),
        ("endedAfter=tomorrow", "Calls"),
        ("to=%3Cscript%3E", "is not a number"),
    ] {
        let answer = page(&world, &format!("/ui/calls?{query}")).await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.text);
        assert!(answer.text.contains(words), "{query}: {}", answer.text);
        assert!(!answer.text.contains("<script>"), "{query}");
    }
}

#[tokio::test]
async fn pages_show_every_call_once() {
    let world = World::new().await;
    let requests: Vec<_> = (0..120)
        .map(|n| json!({"to": format!("+1415555{:04}", 100 + n), "scriptId": "s"}))
        .collect();
    world.calls.enqueue("crm", &requests).await.unwrap();
    let (mut path, mut seen) = ("/ui/calls?state=waiting".to_owned(), Vec::new());
    loop {
        let text = page(&world, &path).await.text;
        let rows = text.split("<a class=\"mono\" href=\"./calls/").skip(1);
        seen.extend(rows.map(|row| row.split('"').next().unwrap().to_owned()));
        if !text.contains("rel=\"next\"") {
            break;
        }
        let next = between(&text, "rel=\"next\" href=\"./", "\"").replace("&amp;", "&");
        assert!(next.contains("state=waiting"), "{next}");
        path = format!("/ui/{next}");
    }
    assert_eq!(seen.len(), 120);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 120);
}

#[tokio::test]
async fn the_box_finds_a_call_by_whatever_names_it() {
    let world = World::new().await;
    let body = json!({"to": "+14155550101", "scriptId": "s", "metadata": {"lead": "4711"}, "idempotencyKey": "order-7"});
    let id = world.send("POST", "/api/v1/calls", &body).await.body["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let other = world.enqueue("+14155550102").await;
    for sought in [
        "%2B1+(415)+555-0101",
        "lead%3D4711",
        "order-7",
        &id,
        id.get(..23).unwrap(),
    ] {
        let answer = page(&world, &format!("/ui/calls?q={sought}")).await;
        let to = (answer.status.as_u16(), answer.header("location"));
        assert_eq!(to, (303, format!("./calls/{id}").as_str()), "{sought}");
    }
    let none = page(&world, "/ui/calls?q=%3Cscript%3E").await;
    assert_eq!(none.status, 200);
    assert!(
        none.text.contains("Look for a whole number"),
        "{}",
        none.text
    );
    assert!(!none.text.contains("<script>") && !none.text.contains(&other));
}

#[tokio::test]
async fn one_call_tells_how_it_stands_and_what_has_happened() {
    let world = World::new().await;
    let call = world.dialing("+14155550101").await;
    let id = call.id.to_string();
    world
        .sql(&format!(
            "update pgdial.calls set metadata = '{{\"name\": \"Ada\"}}', result = '{{\"said\": \"yes\"}}' where id = '{id}'"
        ))
        .await;
    let text = page(&world, &format!("/ui/calls/{id}")).await.text;
    let words = said(&text);
    for expected in [
        "How it stands",
        "Attempts",
        "Timeline",
        "active",
        "Webhooks received",
        "Why each dial was allowed",
        "claim 1",
    ] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
    // As `why` says it.
    let why = world.get(&format!("/api/v1/calls/{id}/why")).await;
    let reason = why.body["reasons"][0]["message"].as_str().unwrap();
    let reason = reason.get(1..20).unwrap().replace('"', "&quot;");
    assert!(text.contains(&reason), "{reason}: {words}");
    for hidden in ["4155550101", "Ada", "yes\""] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    let missing = page(&world, "/ui/calls/0197f5e0-0000-7000-8000-00000000ffff").await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn numbers_are_shown_whole_for_a_reason_that_is_kept() {
    let world = guarded().await;
    let id = world
        .calls
        .enqueue(
            "crm",
            &[json!({"to": "+14155550101", "scriptId": "s", "metadata": {"name": "Ada"}})],
        )
        .await;
    let id = id.unwrap().remove(0).call().unwrap();
    let path = format!("/ui/calls/{id}/unmask");
    let kept = "select count(*) from pgdial.acts where act = 'unmask'";
    let unmask =
        |key: &str, why: &str| with(form(ask(&world, "POST", &path), &[("why", why)]), key);
    let answer = unmask("configured", "").answer().await;
    assert!(
        answer.text.contains("the reason is empty"),
        "{}",
        answer.text
    );
    assert!(!answer.text.contains("4155550101") && world.number(kept).await == 0);
    let answer = unmask("configured", "she rang us").answer().await;
    assert!(
        answer.text.contains("+14155550101") && answer.text.contains("Ada"),
        "{}",
        answer.text
    );
    assert!(
        !answer.text.contains("data-live"),
        "it would be read again, masked"
    );
    assert_eq!(
        world
            .number(&format!("{kept} and why = 'she rang us'"))
            .await,
        1
    );
    // Once.
    let again = get(&world, &format!("/ui/calls/{id}")).await.text;
    assert!(!again.contains("4155550101"), "{again}");
    let masked = json!({"scope": "admin", "numbers": "masked"});
    let key = world
        .calls
        .create_key("night", &masked, "cli:ann", None)
        .await;
    let key = key.unwrap().unwrap();
    let answer = unmask(key.expose_secret(), "please").answer().await;
    assert_eq!(answer.status, 403, "{}", answer.text);
    assert!(!answer.text.contains("4155550101") && world.number(kept).await == 1);
}

#[tokio::test]
async fn one_call_is_changed_canceled_and_rung_again() {
    let world = World::new().await;
    let id = world.enqueue("+14155550101").await;
    let path = |act: &str| format!("/ui/calls/{id}/{act}");
    let amend = |priority: &'static str, why: &'static str| {
        let fields = [("priority", priority), ("maxAttempts", "3"), ("why", why)];
        form(ask(&world, "POST", &path("amend")), &fields)
    };
    let answer = amend("7", "").answer().await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    let answer = amend("70", "she is waiting").answer().await;
    assert_eq!(answer.status, 422);
    assert!(
        answer.text.contains("priority") && answer.text.contains("value=\"70\""),
        "{}",
        answer.text
    );
    let answer = amend("7", "she is waiting").answer().await;
    let to = (answer.status.as_u16(), answer.header("location"));
    assert_eq!(to, (303, format!("../../calls/{id}?done=amended").as_str()));
    let amended = "select count(*) from pgdial.call_events e join pgdial.calls c on c.id = e.call_id \
                   where e.kind = 'amended' and e.detail ->> 'why' = 'she is waiting' and c.priority = 7";
    assert_eq!(world.number(amended).await, 1);
    assert_eq!(
        amend("7", "again").answer().await.status,
        422,
        "nothing is changed"
    );

    let answer = send(&world, &path("cancel"), &[("why", "she rang us")]).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert_eq!(world.state(&id).await, "canceled");
    let answer = send(&world, &path("cancel"), &[("why", "she rang us")]).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("the call is over"), "{}", answer.text);
    let asked = async || said(&page(&world, &path("redrive")).await.text);
    world
        .sql("select pgdial.do_not_call_add('+14155550101', 'a letter', 'ann')")
        .await;
    let words = asked().await;
    assert!(
        words.contains("cannot be rung again now")
            && words.contains("do-not-call")
            && !words.contains("consent"),
        "{words}"
    );
    assert!(!words.contains("Ring it again"), "{words}");
    world
        .sql(
            "select pgdial.do_not_call_remove('+14155550101', 'a mistake', 'ann'); \
              update pgdial.campaigns set require_consent = true",
        )
        .await;
    let words = asked().await;
    assert!(
        words.contains("its campaign requires consent") && !words.contains("do-not-call"),
        "{words}"
    );
    world
        .sql("update pgdial.campaigns set require_consent = false")
        .await;
    assert!(asked().await.contains("Ring it again"));
    let answer = send(&world, &path("redrive"), &[("why", "a mistake")]).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert_eq!(world.state(&id).await, "waiting");
    let words = asked().await;
    assert!(words.contains("the call is not over yet"), "{words}");
}

#[tokio::test]
async fn a_doubt_is_resolved_as_a_person_says() {
    let world = World::new().await;
    let call = world.dialing("+14155550101").await;
    let id = call.id.to_string();
    let path = format!("/ui/calls/{id}/resolve");
    let early = send(
        &world,
        &path,
        &[("as", "not_placed"), ("claim", "1"), ("why", "x")],
    )
    .await;
    assert_eq!(early.status, 422, "{}", early.text);
    world
        .sql("update pgdial.calls set claimed_at = claimed_at - interval '1 day', deadline_at = pgdial.now()")
        .await;
    let shown = page(&world, &format!("/ui/calls/{id}")).await.text;
    assert!(shown.contains("Resolve the doubt"), "{shown}");
    for fields in [
        &[("as", "bogus"), ("claim", "1"), ("why", "x")][..],
        &[("as", "busy"), ("claim", "7"), ("why", "x")],
        &[("as", "busy"), ("claim", "1")],
    ] {
        let answer = send(&world, &path, fields).await;
        assert_eq!(answer.status, 422, "{fields:?}: {}", answer.text);
    }
    let answer = send(
        &world,
        &path,
        &[
            ("as", "not_placed"),
            ("claim", "1"),
            ("why", "its console says"),
        ],
    )
    .await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert_eq!(world.state(&id).await, "waiting");
}

#[tokio::test]
async fn calls_that_failed_alike_are_one_group_and_are_acted_on_together() {
    let world = World::new().await;
    let mut alike = Vec::new();
    for (n, call) in ["9f2c11d8a0", "77aa01bb9c", "1d2e3f4a5b"]
        .iter()
        .enumerate()
    {
        let error = format!("call {call} to +1415555010{n}: 503 after {} ms", 1200 + n);
        alike.push(failed(&world, &format!("+1415555010{n}"), "provider_fault", &error).await);
    }
    let other = failed(&world, "+14155550109", "provider_fault", HOSTILE).await;
    let text = page(&world, "/ui/failures").await.text;
    assert!(text.contains("call … to …: 503 after …"), "{text}");
    assert!(text.contains("3 of 4 failed calls"), "{text}");
    assert!(
        !text.contains("<script>alert") && !text.contains("+1415555"),
        "{text}"
    );
    // The largest comes first.
    let link = |to: &str| {
        let link = between(&text, &format!("href=\"./{to}?"), "\"").replace("&amp;", "&");
        format!("/ui/{to}?{link}")
    };
    let listed = page(&world, &link("calls")).await.text;
    for id in &alike {
        assert!(listed.contains(id.as_str()), "{listed}");
    }
    assert!(!listed.contains(&other), "{listed}");

    let redrive = link("calls/redrive");
    let asked = page(&world, &redrive).await.text;
    assert!(said(&asked).contains("wait again3"), "{}", said(&asked));
    let answer = send(&world, &redrive, &[("why", "")]).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    let waiting = "select count(*) from pgdial.calls where state = 'waiting'";
    assert_eq!(world.number(waiting).await, 0);
    let answer = send(&world, &redrive, &[("why", "the provider is mended")]).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert!(
        answer.header("location").contains("done=redriven-3"),
        "{answer:?}"
    );
    assert_eq!(world.number(waiting).await, 3);
    assert_eq!(world.state(&other).await, "failed");
    let asked = page(&world, &redrive).await.text;
    assert!(
        said(&asked).contains("there is nothing to do") && !asked.contains("name=\"why\""),
        "{}",
        said(&asked)
    );
    let refused = page(&world, "/ui/calls/redrive").await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains("an empty filter"), "{}", refused.text);
}

#[tokio::test]
async fn the_words_of_an_error_are_those_that_do_not_differ() {
    let world = World::new().await;
    for (error, words) in [
        (
            "call 9f2c11d8a0 to +1 (415) 555-0100: 503 after 3012 ms",
            "call … to …: 503 after …",
        ),
        ("error 21211: no such number", "error 21211: no such number"),
        ("no answer within 30 s", "no answer within …"),
        ("0197f5e0-0000-7000-8000-000000000001 is gone", "… is gone"),
        ("the provider reports BUSY", "the provider reports BUSY"),
        ("", "no words"),
    ] {
        let read = format!("select pgdial.error_words('{error}')");
        assert_eq!(text(&world, &read).await, words);
    }
}

const BOUNDARY: &str = "----boundary";

/// A form with a file, as a browser sends it; the first field is the token.
fn upload(
    ask: RequestBuilder,
    token: &str,
    fields: &[(&str, &str)],
    file: Option<&[u8]>,
) -> RequestBuilder {
    let mut body = Vec::new();
    let mut field = |about: &str, value: &[u8]| {
        body.extend_from_slice(
            format!("--{BOUNDARY}\r\ncontent-disposition: form-data; {about}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    };
    field("name=\"csrf\"", token.as_bytes());
    if let Some(file) = file {
        field("name=\"file\"; filename=\"list.csv\"", file);
    }
    for (name, value) in fields {
        field(&format!("name=\"{name}\""), value.as_bytes());
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    ask.header(
        "content-type",
        format!("multipart/form-data; boundary={BOUNDARY}"),
    )
    .body(body)
}

const LIST: &str = "Name,Phone Number\r\n\
                    Ada <script>alert(1)</script>,+1 415 555 0101\r\n\
                    Bo,415-555-0102\r\n\
                    Cy,nonsense\r\n\
                    Ada again,+14155550101\r\n";

#[tokio::test]
async fn a_list_is_looked_at_first_and_every_row_is_accounted_for() {
    let world = World::new().await;
    let all = "select count(*) from pgdial.calls";
    let send = |fields: Vec<(&'static str, &'static str)>| {
        upload(ask(&world, "POST", "/ui/upload"), "", &fields, None)
    };
    let settings = |step: &'static str| {
        vec![
            ("list", LIST),
            ("script", "welcome"),
            ("region", "US"),
            ("name", "spring"),
            ("step", step),
        ]
    };
    let text = send(settings("look")).answer().await.text;
    let words = said(&text);
    assert!(words.contains("2 of 4 rows can be enqueued"), "{words}");
    assert!(
        words.contains("line 4")
            && words.contains("line 5")
            && words.contains("the number of line 2"),
        "{words}"
    );
    assert!(text.contains("<option value=\"to\" selected>"), "{text}");
    assert!(!text.contains("<script>alert"), "{text}");
    assert_eq!(world.number(all).await, 0);

    // Nothing names a script: the field is marked, and says so.
    let mut bare = settings("look");
    bare.retain(|(name, _)| *name != "script");
    let text = send(bare).answer().await.text;
    let words = said(&text);
    assert!(
        words.contains("Rows that name no script: 4.") && words.contains("it names no script"),
        "{words}"
    );
    assert!(!words.contains("scriptId"), "{words}");
    let field = between(&text, "<input id=\"script\"", ">");
    assert!(
        field.contains("required") && field.contains("aria-invalid=\"true\""),
        "{field}"
    );

    world
        .sql("select pgdial.pause('trunk', 'default', 'the bill is open', 'ann')")
        .await;
    let words = said(&send(settings("look")).answer().await.text);
    assert!(
        words.contains("is paused by ann") && words.contains("At any hour of the callee's day"),
        "{words}"
    );

    let words = said(&send(settings("enqueue")).answer().await.text);
    assert!(
        words.contains("Enqueued2") && words.contains("Not taken2") && words.contains("line 4"),
        "{words}"
    );
    assert_eq!(world.number(all).await, 2);
    let keys = "select count(*) from pgdial.calls where idempotency_key like 'spring:%' and owner = 'anonymous'";
    assert_eq!(world.number(keys).await, 2);
    let act = "select count(*) from pgdial.acts where act = 'import' and by = 'api:anonymous' and why = 'list spring' \
               and detail = '{\"created\": 2, \"duplicates\": 0, \"notTaken\": 2, \"campaigns\": {\"default\": 2}}'";
    assert_eq!(world.number(act).await, 1);

    let words = said(&send(settings("enqueue")).answer().await.text);
    assert!(
        words.contains("Enqueued0") && words.contains("Known2"),
        "{words}"
    );
    assert_eq!(world.number(all).await, 2);

    // What the columns are, as a person says.
    let mut mapped = settings("enqueue");
    mapped.extend([
        ("column-0", "Name"),
        ("meaning-0", "-"),
        ("column-1", "Phone Number"),
        ("meaning-1", "to"),
        ("campaign", "nowhere"),
    ]);
    let words = said(&send(mapped).answer().await.text);
    assert!(
        words.contains("Not taken4") && words.contains("nowhere"),
        "{words}"
    );
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_refused_whole_with_what_to_do() {
    let world = World::new().await;
    let many = "+14155550101\n".repeat(20_002);
    let large = "x".repeat(4 * 1024 * 1024 + 1);
    for (file, fields, status, words) in [
        (None, vec![], 422, "choose a file, or paste a list"),
        (Some(&b"PK\x03\x04xx"[..]), vec![], 422, "workbook"),
        (
            Some(b"Name,Age\nAda,41\n"),
            vec![("script", "s")],
            422,
            "no column with the number",
        ),
        (
            Some(b"to\n+14155550101\n"),
            vec![("script", "s"), ("region", "xyz")],
            422,
            "region",
        ),
        (
            Some(many.as_bytes()),
            vec![("script", "s")],
            422,
            "more than 20000 rows",
        ),
        (
            Some(large.as_bytes()),
            vec![("script", "s")],
            413,
            "at most 4 MiB",
        ),
    ] {
        let fields: Vec<(&str, &str)> = fields;
        let answer = upload(ask(&world, "POST", "/ui/upload"), "", &fields, file)
            .answer()
            .await;
        assert_eq!(answer.status, status, "{words}: {}", said(&answer.text));
        assert!(
            answer.text.contains(words),
            "{words}: {}",
            said(&answer.text)
        );
    }
    // Other encodings are read.
    let latin = b"to;Name\n+14155550101;L\xf6we\n";
    let answer = upload(
        ask(&world, "POST", "/ui/upload"),
        "",
        &[("script", "s")],
        Some(latin),
    )
    .answer()
    .await;
    assert!(answer.text.contains("Löwe"), "{}", said(&answer.text));
}

#[tokio::test]
async fn a_campaign_leads_to_the_upload_of_its_list() {
    let world = World::new().await;
    let link = "upload?campaign=default";
    let campaign = get(&world, "/ui/campaigns/default").await.text;
    assert!(campaign.contains(link), "{campaign}");
    let form = get(&world, &format!("/ui/{link}")).await.text;
    assert!(
        form.contains("<option value=\"default\" selected>"),
        "{form}"
    );
}

/// When the other calls of its campaign are due says nothing of a list.
#[tokio::test]
async fn a_list_does_not_wait_for_the_calls_before_it() {
    let world = World::new().await;
    world.enqueue("+14155550109").await;
    world
        .sql("update pgdial.calls set run_at = pgdial.now() + interval '1 day'")
        .await;
    let shown = page(&world, "/ui/campaigns").await.text;
    assert!(shown.contains("is due before"), "{shown}");
    let fields = [
        ("list", "Phone\n+14155550101\n"),
        ("script", "welcome"),
        ("step", "look"),
    ];
    let send = upload(ask(&world, "POST", "/ui/upload"), "", &fields, None);
    let words = said(&send.answer().await.text);
    assert!(
        words.contains("1 of 1 rows") && !words.contains("is due before"),
        "{words}"
    );
}

/// The preview says of a row what enqueueing it would.
#[tokio::test]
async fn a_preview_knows_what_may_not_be_called() {
    let world = World::new().await;
    world
        .sql("select pgdial.do_not_call_add('+14155550101', 'asked', 'ann')")
        .await;
    let fields = [
        ("list", "Phone\n+14155550101\n+14155550102\n"),
        ("script", "welcome"),
        ("step", "look"),
    ];
    let send = upload(ask(&world, "POST", "/ui/upload"), "", &fields, None);
    let words = said(&send.answer().await.text);
    assert!(words.contains("1 of 2 rows can be enqueued"), "{words}");
    assert!(
        words.contains("Enqueue 1 calls") && words.contains("do-not-call"),
        "{words}"
    );
    for kept in ["calls", "call_events"] {
        let kept = format!("select count(*) from pgdial.{kept}");
        assert_eq!(world.number(&kept).await, 0);
    }
}

#[tokio::test]
async fn an_upload_needs_the_token_of_its_session() {
    let world = guarded().await;
    let (cookie, token) = sign_in(&world, "configured").await;
    let fields = [
        ("list", "to\n+14155550101\n"),
        ("script", "s"),
        ("step", "enqueue"),
    ];
    let own = format!("http://{}", world.address);
    let send = |token: &str| {
        let ask = ask(&world, "POST", "/ui/upload").header("cookie", &cookie);
        upload(ask.header("origin", own.clone()), token, &fields, None)
    };
    let all = "select count(*) from pgdial.calls where phone = '+14155550101'";
    for wrong in ["", "0123", &"x".repeat(1000)] {
        let answer = send(wrong).answer().await;
        assert!(answer.status.is_client_error(), "{}", answer.text);
        assert_eq!(world.number(all).await, 0);
    }
    let answer = send(&token).answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(world.number(all).await, 1);
}

#[tokio::test]
async fn a_number_is_listed_unlisted_and_forgotten() {
    let world = World::new().await;
    let id = world.enqueue("+14155550101").await;
    let number = ("to", "+14155550101");
    let look_up = send(
        &world,
        "/ui/do-not-call",
        &[("to", "415 555 0101"), ("region", "US")],
    )
    .await
    .text;
    assert!(
        look_up.contains("It is not on the list.") && look_up.contains(&id),
        "{look_up}"
    );
    // A browser that cut the name to two letters would make Australia of it.
    let austria = [("to", "030 1234567"), ("region", "Austria")];
    let refused = send(&world, "/ui/do-not-call", &austria).await.text;
    assert!(refused.contains("is not a country"), "{}", said(&refused));
    for path in ["/ui/do-not-call", "/ui/upload"] {
        let text = page(&world, path).await.text;
        let field = between(&text, "<input id=\"region\"", ">");
        assert!(!field.contains("maxlength"), "{path}: {field}");
    }
    let asked = send(&world, "/ui/do-not-call/add", &[number]).await.text;
    assert!(
        said(&asked).contains("1 waiting call to it"),
        "{}",
        said(&asked)
    );
    assert!(asked.contains("pgdial dnc add +14155550101"), "{asked}");
    assert_eq!(
        send(&world, "/ui/do-not-call/add", &[number, ("why", "")])
            .await
            .status,
        422
    );
    assert_eq!(world.state(&id).await, "waiting");
    let answer = send(
        &world,
        "/ui/do-not-call/add",
        &[number, ("why", "she asked us")],
    )
    .await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (303, "../do-not-call?done=listed")
    );
    let listed = "select count(*) from pgdial.do_not_call where phone = '+14155550101'";
    assert_eq!(world.number(listed).await, 1);
    let newest = page(&world, "/ui/do-not-call").await.text;
    assert!(
        newest.contains("she asked us") && !newest.contains("4155550101"),
        "{newest}"
    );

    let answer = send(
        &world,
        "/ui/do-not-call/remove",
        &[number, ("why", "a mistake")],
    )
    .await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let answer = send(
        &world,
        "/ui/do-not-call/remove",
        &[number, ("why", "a mistake")],
    )
    .await;
    assert_eq!(answer.status, 422, "{}", answer.text);

    let asked = send(&world, "/ui/do-not-call/forget", &[number]).await.text;
    assert!(said(&asked).contains("calls1"), "{}", said(&asked));
    assert!(
        asked.contains("pgdial forget +14155550101 --yes"),
        "{asked}"
    );
    let left = "select count(*) from pgdial.calls where phone = '+14155550101'";
    assert_eq!(world.number(left).await, 1);
    let answer = send(
        &world,
        "/ui/do-not-call/forget",
        &[number, ("doNotCall", "add"), ("why", "Art. 17")],
    )
    .await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert_eq!(world.number(left).await, 0);
    assert_eq!(world.number(listed).await, 1);
}
