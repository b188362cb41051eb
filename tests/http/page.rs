//! The page: every screen with every key, its policy, its links, its forms and what others wrote on it.

use std::process::Command;

use pgdial::http::{Screen, screen_list};
use reqwest::{Client, RequestBuilder, redirect::Policy};
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::support::{Answer, PATIENCE, Send, ServerOptions, World};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const WORKER: &str = "0197f5e0-0000-4000-8000-00000000000a";
pub(crate) const CALL: &str = "0197f5e0-0000-7000-8000-00000000000b";
/// As long as a name may be.
const LONGEST: &str = "c23456789_123456789_123456789_123456789_123456789_123456789_123";
/// What somebody else may write where a text is free.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>\"' onload=x \u{202e}gnp.exe";

/// A server with a key of its settings, and something on every screen.
pub(crate) async fn guarded() -> World {
    let world = World::with(ServerOptions {
        api_keys: "boss:configured",
        ..ServerOptions::default()
    })
    .await;
    furnish(&world).await;
    let temp = json!({"scope": "read"});
    let temp = world.calls.create_key("temp", &temp, "cli:ann", None);
    temp.await.unwrap().unwrap();
    let url = json!({"url": "https://crm.example.com/"});
    let told = world
        .calls
        .create_endpoint("default", &url, "cli:ann", None);
    told.await.unwrap().unwrap();
    world
}

async fn furnish(world: &World) {
    let hostile = HOSTILE.replace('\'', "''");
    world
        .sql(&format!(
            "insert into pgdial.workers (id, host, pid, release, permits, trunks, started_at, seen_at) \
             values ('{WORKER}', '{hostile}', 1, '0', 1, '{{default}}', pgdial.now(), pgdial.now()); \
             select pgdial.create_campaign('{LONGEST}'); \
             insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, owner, request_hash, created_at, \
                 last_error, metadata) \
             values ('{CALL}', '+14155550177', 'default', '{hostile}', pgdial.now() + interval '1 day', 3, '{hostile}', '', pgdial.now(), \
                 '{hostile}', jsonb_build_object('{hostile}', '{hostile}')); \
             select pgdial.pause('campaign', '{LONGEST}', '{hostile}', '{hostile}')"
        ))
        .await;
}

/// The path of a screen, about things that are there.
fn path(screen: &Screen) -> String {
    let path = screen.path.replace("/ui/keys/{name}", "/ui/keys/temp");
    let path = path.replace("{name}", "default");
    let path = path
        .replace("/ui/workers/{id}", &format!("/ui/workers/{WORKER}"))
        .replace("/ui/calls/{id}", &format!("/ui/calls/{CALL}"));
    match path.as_str() {
        // On all calls that a filter selects: without one they are refused.
        "/ui/calls/cancel" | "/ui/calls/redrive" | "/ui/calls/resolve" => {
            format!("{path}?state=waiting")
        }
        _ => path,
    }
}

/// Asks as a browser does that follows no redirect.
pub(crate) fn ask(world: &World, method: &str, path: &str) -> RequestBuilder {
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    client.request(
        method.parse().unwrap(),
        format!("http://{}{path}", world.address),
    )
}

pub(crate) fn with(ask: RequestBuilder, key: &str) -> RequestBuilder {
    ask.header("authorization", format!("Bearer {key}"))
}

pub(crate) fn form(ask: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    ask.header("content-type", "application/x-www-form-urlencoded")
        .body(body.finish())
}

pub(crate) async fn get(world: &World, path: &str) -> Answer {
    with(ask(world, "GET", path), "configured").answer().await
}

/// The cookie of a new session, and the token that its forms carry.
pub(crate) async fn sign_in(world: &World, key: &str) -> (String, String) {
    let answer = form(ask(world, "POST", "/ui/sign-in"), &[("key", key)])
        .answer()
        .await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let cookie = answer
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let form = ask(world, "GET", "/ui/trunks/default/pause")
        .header("cookie", &cookie)
        .answer()
        .await;
    let token = between(&form.text, "name=\"csrf\" value=\"", "\"");
    (cookie, token.to_owned())
}

pub(crate) fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text
        .split_once(from)
        .unwrap_or_else(|| panic!("no {from} in {text}"));
    rest.split_once(to).unwrap().0
}

/// Screens that are read and end.
fn readable() -> impl Iterator<Item = Screen> {
    screen_list()
        .into_iter()
        .filter(|screen| screen.method == "GET" && screen.path != "/ui/live")
}

#[tokio::test]
async fn every_screen_is_html_under_a_strict_policy_with_relative_links() {
    let world = guarded().await;
    for screen in readable() {
        let path = path(&screen);
        let answer = get(&world, &path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert_eq!(
            answer.header("content-type"),
            "text/html; charset=utf-8",
            "{path}"
        );
        assert_eq!(answer.header("content-security-policy"), POLICY, "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(answer.text.contains("<main id=\"main\""), "{path}");
        assert_eq!(answer.text.matches("<h1").count(), 1, "{path}");
        assert_eq!(answer.text.matches("<script").count(), 1, "{path}");
        for inline in [" style=", "<style", " onclick=", "javascript:"] {
            assert!(!answer.text.contains(inline), "{path} has {inline}");
        }
        for attribute in [" href=\"", " src=\"", " action=\"", " data-live=\""] {
            for rest in answer.text.split(attribute).skip(1) {
                let (to, _) = rest.split_once('"').unwrap();
                assert!(
                    to.starts_with('.') || to.starts_with('#'),
                    "{path} leads to {to}"
                );
            }
        }
    }
}

#[tokio::test]
async fn links_lead_to_screens_that_are_there() {
    let world = guarded().await;
    for path in ["/ui/", "/ui/trunks/default", "/ui/trunks/default/pause"] {
        let text = get(&world, path).await.text;
        let base = reqwest::Url::parse(&format!("http://{}{path}", world.address)).unwrap();
        for attribute in [
            "<a href=\"",
            "<link rel=\"stylesheet\" href=\"",
            "<script src=\"",
        ] {
            let to = base.join(between(&text, attribute, "\"")).unwrap();
            let found = get(&world, to.path()).await;
            assert_eq!(found.status, 200, "{path} leads to {to}");
        }
    }
}

#[tokio::test]
async fn every_screen_refuses_every_key_that_may_not_see_it() {
    let world = guarded().await;
    let mut keys = Vec::new();
    for scope in ["read", "enqueue", "operate", "admin"] {
        let key = world
            .calls
            .create_key(scope, &json!({"scope": scope}), "cli:ann", None)
            .await;
        keys.push((scope, key.unwrap().unwrap().expose_secret().to_owned()));
    }
    assert!(screen_list().len() > 20);
    for screen in screen_list() {
        let (method, path) = (screen.method, path(&screen));
        let answer = ask(&world, method, &path).answer().await;
        if method == "GET" {
            assert_eq!(answer.status, 303, "{path}");
            assert!(
                answer.header("location").contains("sign-in"),
                "{path}: {}",
                answer.header("location")
            );
        } else {
            assert_eq!(answer.status, 401, "{path}");
        }
        let needed = keys
            .iter()
            .position(|(scope, _)| *scope == screen.scope)
            .unwrap();
        for (at, (scope, key)) in keys.iter().enumerate() {
            if path == "/ui/live" && at >= needed {
                continue; // it has no end
            }
            let answer = with(ask(&world, method, &path), key).answer().await;
            let may = answer.status != 403;
            assert_eq!(
                may,
                at >= needed,
                "{method} {path} with {scope}: {}",
                answer.status
            );
            if !may {
                assert!(
                    answer.text.contains(screen.scope),
                    "{path}: {}",
                    answer.text
                );
                assert_eq!(answer.header("content-security-policy"), POLICY);
            }
        }
    }
}

#[tokio::test]
async fn what_others_wrote_stays_text() {
    let world = guarded().await;
    for path in [
        "/ui/",
        "/ui/workers",
        "/ui/acts",
        "/ui/campaigns",
        "/ui/calls",
        &format!("/ui/calls/{CALL}"),
        &format!("/ui/campaigns/{LONGEST}"),
    ] {
        let text = get(&world, path).await.text;
        assert!(
            text.contains("&lt;script&gt;alert(1)"),
            "{path} does not show it: {text}"
        );
        assert!(!text.contains("<script>alert"), "{path}");
        assert!(!text.contains('\u{202e}'), "{path}");
    }
    let text = get(&world, &format!("/ui/acts?name={}", "%22%3E%3Cscript%3E"))
        .await
        .text;
    assert!(!text.contains("\"><script>"), "{text}");
}

#[tokio::test]
async fn a_form_needs_its_token() {
    let world = guarded().await;
    let (cookie, token) = sign_in(&world, "configured").await;
    let send = |fields: &[(&str, &str)], origin: &str| {
        let ask = ask(&world, "POST", "/ui/trunks/default/pause").header("cookie", &cookie);
        form(ask.header("origin", origin.to_owned()), fields)
    };
    let own = format!("http://{}", world.address);
    let paused = "select count(*) from pgdial.trunks where paused";
    for (fields, origin) in [
        (&[("why", "x")][..], own.as_str()),
        (&[("why", "x"), ("csrf", "0123")], &own),
        (&[("why", "x"), ("csrf", &token)], "http://evil.example.com"),
        (&[("why", "x"), ("csrf", &token)], "null"),
    ] {
        let answer = send(fields, origin).answer().await;
        assert_eq!(answer.status, 403, "{fields:?} {origin}: {}", answer.text);
        assert_eq!(world.number(paused).await, 0);
    }
    let answer = send(&[("why", ""), ("csrf", &token)], &own).answer().await;
    assert_eq!(answer.status, 422);
    assert!(
        answer.text.contains("the reason is empty"),
        "{}",
        answer.text
    );
    let answer = send(&[("why", "a <new> script"), ("csrf", &token)], &own)
        .answer()
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (303, "../../trunks/default?done=paused")
    );
    assert_eq!(world.number(paused).await, 1);
    let shown = get(&world, "/ui/trunks/default?done=paused").await.text;
    assert!(
        shown.contains("It is paused.") && shown.contains("a &lt;new&gt; script"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_trunk_is_adjusted_and_a_wrong_value_is_explained() {
    let world = World::new().await;
    let set = |fields: Vec<(&'static str, &'static str)>| {
        form(ask(&world, "POST", "/ui/trunks/default/set"), &fields)
    };
    let answer = set(vec![
        ("slots", "12"),
        ("callsPerSecond", "0.5"),
        ("why", "x"),
    ])
    .answer()
    .await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let now = "select slots from pgdial.trunks where name = 'default' and calls_per_second = 0.5";
    assert_eq!(world.number(&format!("select ({now})::bigint")).await, 12);
    let answer = set(vec![
        ("slots", "many"),
        ("callsPerSecond", "0.5"),
        ("why", "x"),
    ])
    .answer()
    .await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert!(
        answer.text.contains("value=\"many\"") && answer.text.contains("slots"),
        "{}",
        answer.text
    );
    let answer = set(vec![
        ("slots", "12"),
        ("callsPerSecond", "0.5"),
        ("why", "x"),
    ])
    .answer()
    .await;
    assert!(answer.text.contains("nothing to change"), "{}", answer.text);
    let answer = set(vec![("slots", "12"), ("callsPerSecond", ""), ("why", "x")])
        .answer()
        .await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert_eq!(
        world
            .number("select count(*) from pgdial.trunks where calls_per_second is not null")
            .await,
        0
    );
}

#[tokio::test]
async fn a_campaign_is_created_once() {
    let world = World::new().await;
    let create = |name: &'static str| {
        let fields = [
            ("name", name),
            ("trunk", ""),
            ("cap", "3"),
            ("callingHours", ""),
            ("maxAttempts", ""),
            ("why", "tests"),
        ];
        form(ask(&world, "POST", "/ui/new-campaign"), &fields)
    };
    let answer = create("spring").answer().await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (303, "./campaigns/spring?done=created"),
        "{}",
        answer.text
    );
    let made =
        "select cap::bigint from pgdial.campaigns where name = 'spring' and trunk = 'default'";
    assert_eq!(world.number(made).await, 3);
    let again = create("spring").answer().await;
    assert_eq!(again.status, 422);
    assert!(
        again.text.contains("a campaign of this name already"),
        "{}",
        again.text
    );
    let wrong = create("No Name").answer().await;
    assert!(
        wrong.text.contains("value=\"No Name\"") && wrong.text.contains("role=\"alert\""),
        "{}",
        wrong.text
    );
}

#[tokio::test]
async fn signing_in_leads_back_and_says_what_is_wrong() {
    let world = guarded().await;
    let answer = ask(&world, "GET", "/ui/trunks/default?x=1").answer().await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (303, "../sign-in?next=trunks%2Fdefault%3Fx%3D1")
    );
    let wrong = form(ask(&world, "POST", "/ui/sign-in"), &[("key", "wrong")])
        .answer()
        .await;
    assert!(
        wrong.text.contains("no key of this server"),
        "{}",
        wrong.text
    );
    assert_eq!(wrong.header("set-cookie"), "");
    let fields = [("key", "configured"), ("next", "trunks/default")];
    let right = form(ask(&world, "POST", "/ui/sign-in"), &fields)
        .answer()
        .await;
    assert_eq!(
        right.header("location"),
        "./sign-in?signed=1&next=trunks%2Fdefault"
    );
    let cookie = right
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let checked = "/ui/sign-in?signed=1&next=trunks%2Fdefault";
    let kept = ask(&world, "GET", checked)
        .header("cookie", &cookie)
        .answer()
        .await;
    assert_eq!(
        (kept.status.as_u16(), kept.header("location")),
        (303, "./trunks/default")
    );
    let lost = ask(&world, "GET", checked).answer().await;
    assert!(
        lost.text.contains("did not keep the session"),
        "{}",
        lost.text
    );
    let (cookie, token) = sign_in(&world, "configured").await;
    let out = form(
        ask(&world, "POST", "/ui/sign-out").header("cookie", &cookie),
        &[("csrf", &token)],
    )
    .answer()
    .await;
    assert_eq!(out.header("location"), "./sign-in");
    let over = ask(&world, "GET", "/ui/")
        .header("cookie", &cookie)
        .answer()
        .await;
    assert_eq!(over.status, 303);
}

#[tokio::test]
async fn only_this_host_sees_the_page_without_a_key_and_only_if_that_is_set() {
    let options = ServerOptions {
        api_keys: "boss:configured",
        is_viewable: true,
        ..ServerOptions::default()
    };
    let world = World::with(options).await;
    let shown = ask(&world, "GET", "/ui/").answer().await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    assert!(shown.text.contains("viewer"), "{}", shown.text);
    for (name, value) in [
        ("host", "evil.example.com"),
        ("x-forwarded-for", "203.0.113.5"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let answer = ask(&world, "GET", "/ui/")
            .header(name, value)
            .answer()
            .await;
        assert_eq!(answer.status, 303, "{name}: {value}");
    }
    assert_eq!(
        ask(&world, "GET", "/ui/trunks/default/pause")
            .answer()
            .await
            .status,
        403
    );
    let paused = form(
        ask(&world, "POST", "/ui/trunks/default/pause"),
        &[("why", "x")],
    )
    .answer()
    .await;
    assert_eq!(paused.status, 403);
    assert_eq!(
        ask(&world, "GET", "/api/v1/stats").answer().await.code(),
        "unauthorized"
    );
}

#[tokio::test]
async fn numbers_are_masked_on_every_screen() {
    let world = guarded().await;
    world
        .sql("select pgdial.enqueue('+14155550123', 's', p_campaign => 'default')")
        .await;
    assert_eq!(world.claim().await.len(), 1);
    world
        .sql("select pgdial.pause('trunk', 'default', 'ring +1 415 555 0123 first')")
        .await;
    for screen in readable() {
        let path = path(&screen);
        let text = get(&world, &path).await.text;
        assert!(
            !text.contains("5550123") && !text.contains("555 0123"),
            "{path}: {text}"
        );
    }
    let text = get(&world, "/ui/").await.text;
    assert!(
        text.contains("+141***"),
        "the call in flight is not shown: {text}"
    );
}

/// As a shell splits it, which is who reads it.
fn words(command: &str) -> Vec<String> {
    let script = format!("set -- {command}\nprintf '%s\\n' \"$@\"");
    let split = Command::new("sh").args(["-c", &script]).output().unwrap();
    let split = String::from_utf8(split.stdout).unwrap();
    split.lines().map(str::to_owned).collect()
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}

#[tokio::test]
async fn the_command_and_the_statement_of_every_act_are_taken() {
    let world = guarded().await;
    let mut acts = 0;
    for screen in readable() {
        let path = path(&screen);
        let text = get(&world, &path).await.text;
        if !text.contains("data-twin") {
            continue;
        }
        acts += 1;
        let command = unescaped(between(&text, "data-twin=\"command\">", "</code>"));
        // Nobody has chosen yet.
        let command = command.replace("--as WHAT", "--as busy");
        let parsed = pgdial::cli::parses(words(&command));
        assert!(parsed.is_ok(), "{path}: {command}: {parsed:?}");
        let statement = unescaped(between(&text, "data-twin=\"sql\">", "</code>"));
        // Whether there is such a verb with such arguments, and nothing is done.
        let prepared = sqlx::raw_sql(AssertSqlSafe(format!(
            "prepare act as {statement} deallocate act"
        )));
        let prepared = prepared.execute(&world.pool).await;
        assert!(prepared.is_ok(), "{path}: {statement}: {prepared:?}");
        assert!(statement.contains("REASON"), "{path}: {statement}");
    }
    assert!(acts >= 7, "{acts}");
}

#[tokio::test]
async fn an_open_screen_hears_that_something_has_changed() {
    let world = guarded().await;
    let mut stream = with(ask(&world, "GET", "/ui/live"), "configured")
        .send()
        .await
        .unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut heard = String::new();
    let changes = [
        "select pgdial.enqueue('+14155550123', 's', p_campaign => 'default')",
        "select pgdial.pause('campaign', 'default', 'lunch')",
        "select 'nothing more'",
    ];
    let listening = async {
        // The first is told whatever happens: the screen may be older than the stream.
        for (told, change) in (1..).zip(changes) {
            while heard.matches("data: news").count() < told {
                let chunk = stream.chunk().await.unwrap().unwrap();
                heard.push_str(std::str::from_utf8(&chunk).unwrap());
            }
            world.sql(change).await;
        }
    };
    tokio::time::timeout(PATIENCE, listening).await.unwrap();
    assert!(!heard.contains("4155550123"), "{heard}");
}

#[tokio::test]
async fn assets_are_kept_for_ever_under_the_name_of_their_content() {
    let world = World::new().await;
    let page = ask(&world, "GET", "/ui/").answer().await.text;
    let style = between(&page, "rel=\"stylesheet\" href=\"./", "\"").to_owned();
    let answer = ask(&world, "GET", &format!("/ui/{style}")).answer().await;
    assert_eq!(answer.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(
        answer.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    let again =
        ask(&world, "GET", &format!("/ui/{style}")).header("if-none-match", answer.header("etag"));
    assert_eq!(again.answer().await.status, 304);
    assert_eq!(
        ask(&world, "GET", "/ui/assets/page-0.css")
            .answer()
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn what_goes_wrong_is_said_in_html() {
    let world = guarded().await;
    for (path, status, words) in [
        ("/ui/nothing", 404, "nothing at this path"),
        ("/ui/trunks/none", 404, "no trunk has this name"),
        ("/ui/workers/1/drain", 422, "UUID"),
        ("/ui/acts?name=%00", 422, "U+0000"),
    ] {
        let answer = get(&world, path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        assert_eq!(
            answer.header("content-type"),
            "text/html; charset=utf-8",
            "{path}"
        );
        assert!(answer.text.contains(words), "{path}: {}", answer.text);
        assert!(answer.text.contains("aria-label=\"Screens\""), "{path}");
    }
    let reads = json!({"scope": "read"});
    let reads = world
        .calls
        .create_key("reads", &reads, "cli:ann", None)
        .await;
    let reads = reads.unwrap().unwrap().expose_secret().to_owned();
    let forbidden = with(ask(&world, "GET", "/ui/keys"), &reads).answer().await;
    assert_eq!(forbidden.status, 403);
    let menu = between(&forbidden.text, "<nav", "</nav>");
    assert!(menu.contains("Trunks") && !menu.contains("Keys"), "{menu}");
    let unknown = ask(&world, "GET", "/ui/nothing").answer().await;
    assert_eq!(unknown.status, 303, "only who may see the page hears of it");
    for path in ["/", "/ui"] {
        let answer = ask(&world, "GET", path).answer().await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (303, "ui/"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn how_a_campaign_stands_is_the_same_on_every_screen() {
    let world = guarded().await;
    world
        .sql(
            "select pgdial.pause('trunk', 'default', 'the bill is open', 'ann'); \
             select pgdial.pause('campaign', 'default', 'a new script', 'bob'); \
             delete from pgdial.workers; update pgdial.calls set run_at = pgdial.now()",
        )
        .await;
    for path in [
        "/ui/",
        "/ui/campaigns",
        "/ui/campaigns/default",
        "/ui/campaigns/default/preview",
    ] {
        let text = get(&world, path).await.text;
        for words in [
            "trunk default is paused by ann",
            "the bill is open",
            "campaign default is paused by bob",
            "no live worker can dial on trunk default",
        ] {
            assert!(text.contains(words), "{path} does not say {words}: {text}");
        }
    }
    for path in ["/ui/trunks", "/ui/trunks/default"] {
        let text = get(&world, path).await.text;
        assert!(
            text.contains("trunk paused") && text.contains("no worker"),
            "{path}: {text}"
        );
    }
    let preview = get(&world, "/ui/campaigns/default/preview").await.text;
    assert!(
        preview.contains("none at once") && preview.contains("nothing may be dialled now"),
        "{preview}"
    );
    let upload = get(&world, "/ui/campaigns/default").await.text;
    assert!(upload.contains("nothing may be dialled now"), "{upload}");
}

const ALIVE: &str = "insert into pgdial.workers (id, host, pid, release, permits, trunks, started_at, seen_at) \
                     values (gen_random_uuid(), 'h', 1, '0', 9, '{default}', pgdial.now(), pgdial.now())";

/// Its only call is due tomorrow.
#[tokio::test]
async fn a_campaign_with_nothing_due_does_not_pass_for_one_that_dials() {
    let world = guarded().await;
    for path in ["/ui/campaigns", "/ui/campaigns/default"] {
        let text = get(&world, path).await.text;
        assert!(
            text.contains("none of its waiting calls is due before"),
            "{path}: {text}"
        );
    }
    let overview = get(&world, "/ui/").await.text;
    let holds = between(&overview, "id=\"holds\"", "</section>");
    assert!(
        !holds.contains("is due before") && holds.contains("campaign paused"),
        "{holds}"
    );
}

/// Calls in doubt hold all slots: the first line links to what can be done on the page.
#[tokio::test]
async fn the_first_line_about_doubts_names_the_trunk_and_leads_to_them() {
    let world = World::new().await;
    let call = world.dialing("+14155550101").await;
    assert!(world.calls.doubt(call.reference(), "x").await.unwrap());
    world.enqueue("+14155550102").await;
    world
        .sql("update pgdial.trunks set slots = 1; delete from pgdial.trunk_breaker")
        .await;
    world.sql(ALIVE).await;
    let overview = ask(&world, "GET", "/ui/").answer().await.text;
    let verdict = between(&overview, "id=\"verdict\"", "</div>");
    assert!(
        verdict.contains("Not dialling: calls in doubt hold all slots of trunk default"),
        "{verdict}"
    );
    assert!(
        verdict.contains("calls/resolve?state=unresolved&amp;trunk=default")
            && !verdict.contains("pgdial "),
        "{verdict}"
    );
}

/// The list, the campaign's own screen and the preview say the same.
#[tokio::test]
async fn how_long_a_campaign_takes_is_the_same_on_every_screen() {
    for has_pace in [false, true] {
        let world = World::new().await;
        world.sql(ALIVE).await;
        if has_pace {
            let ended = "insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, owner, request_hash, \
                             created_at, state, outcome, ended_at) \
                         select gen_random_uuid(), '+1415555020' || n, 'default', 's', t.now, 3, 't', '', t.now, 'completed', 'answered', \
                             t.now - interval '60 seconds' \
                         from (select pgdial.now() as now) t, generate_series(1, 2) n";
            world.sql(ended).await;
        }
        for n in 1..5 {
            world.enqueue(&format!("+1415555010{n}")).await;
        }
        // At two calls a minute.
        let (length, basis) = if has_pace {
            ("2 min 0", "at the pace of the last hour")
        } else {
            ("min", " at once, ")
        };
        for path in ["/ui/campaigns/default", "/ui/campaigns/default/preview"] {
            let text = ask(&world, "GET", path).answer().await.text;
            let said = between(&text, "Takes about", "</div>");
            assert!(
                said.contains(length) && said.contains(basis),
                "{path}: {said}"
            );
        }
        let list = ask(&world, "GET", "/ui/campaigns").answer().await.text;
        let done = between(&list, "data-head=\"Done in\"", "</td>");
        let expected = if has_pace { length } else { "–" };
        assert!(done.contains(expected), "{done}");
    }
}

#[tokio::test]
async fn forms_offer_the_names_there_are() {
    let world = guarded().await;
    world
        .sql("select pgdial.set_calling_hours('clinic', '{\"week\": \"mon-fri 09:00-17:00\"}')")
        .await;
    for path in ["/ui/new-campaign", "/ui/campaigns/default/set"] {
        let text = get(&world, path).await.text;
        for option in ["<option value=\"clinic\"", "<option value=\"default\""] {
            assert!(text.contains(option), "{path}: {text}");
        }
    }
    for path in ["/ui/calls", "/ui/failures"] {
        let text = get(&world, path).await.text;
        let offered = between(&text, "<datalist id=\"campaigns\">", "</datalist>");
        assert!(offered.contains("default"), "{path}: {offered}");
    }
}

#[tokio::test]
async fn an_endpoint_and_a_key_are_acted_on_for_a_reason() {
    let world = guarded().await;
    let send = async |path: &str, fields: &[(&str, &str)]| {
        let ask = with(ask(&world, "POST", path), "configured");
        form(ask, fields).answer().await
    };
    let why = [("why", "a drill")];
    for (path, word) in [
        ("endpoints/default/test", "tested"),
        ("endpoints/default/pause", "silenced"),
        ("endpoints/default/resume", "told"),
        ("endpoints/default/delete", "deleted"),
        ("keys/temp/revoke", "revoked"),
    ] {
        let path = format!("/ui/{path}");
        assert_eq!(send(&path, &[]).await.status, 422, "{path}");
        let answer = send(&path, &why).await;
        assert_eq!(answer.status, 303, "{path}: {}", answer.text);
        assert!(
            answer
                .header("location")
                .ends_with(&format!("?done={word}")),
            "{path}"
        );
    }
    let kept =
        "select count(*) from pgdial.acts where why = 'a drill' and kind in ('endpoint', 'key')";
    assert_eq!(world.number(kept).await, 5);
    // By the words that the table shows, and by the name of the key alone.
    let by: String =
        sqlx::query_scalar("select split_part(by, ':', 2) from pgdial.acts where act = 'revoke'")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    for (filter, shown) in [
        (&*format!("by={by}&act=revoke&kind=key"), true),
        ("by=nobody", false),
        ("act=revoke&kind=call", false),
    ] {
        let text = get(&world, &format!("/ui/acts?{filter}")).await.text;
        let some = !text.contains("No act is like that.");
        assert_eq!(some, shown, "{filter}: {text}");
    }
    assert_eq!(send("/ui/endpoints/default/test", &why).await.status, 404);
    assert_eq!(send("/ui/keys/temp/revoke", &why).await.status, 404);
}
