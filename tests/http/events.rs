use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::{Router, routing::get};
use futures_util::future::join_all;
use pgdial::http::Server;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};

use crate::support::{PATIENCE, Send, ServerOptions, World};

/// A client of a stream that shares no code with the server.
struct Listener {
    response: reqwest::Response,
    text: String,
    last_id: String,
}

#[derive(Debug)]
struct Heard {
    id: String,
    kind: String,
    data: Value,
}

impl Listener {
    async fn open(world: &World, query: &str, last_id: &str) -> Self {
        let mut ask = world.ask("GET", &format!("/api/v1/events{query}"));
        if !last_id.is_empty() {
            ask = ask.header("Last-Event-ID", last_id);
        }
        let mut listener = Self::of(ask.send().await.unwrap());
        last_id.clone_into(&mut listener.last_id);
        listener
    }

    fn of(response: reqwest::Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
            last_id: String::new(),
        }
    }

    /// The next event, parsed as the standard says; `None` once the stream has ended.
    async fn next(&mut self) -> Option<Heard> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let (mut id, mut kind, mut data) = (None, String::new(), None);
                for line in block.trim_end().lines() {
                    match line.split_once(": ").unwrap() {
                        ("id", value) => id = Some(value.to_owned()),
                        ("event", value) => value.clone_into(&mut kind),
                        ("data", value) => data = Some(serde_json::from_str(value).unwrap()),
                        ("retry", value) => assert!(value.parse::<u32>().is_ok()),
                        other => panic!("{other:?}"),
                    }
                }
                if let Some(data) = data {
                    let id = id.unwrap();
                    self.last_id.clone_from(&id);
                    return Some(Heard { id, kind, data });
                }
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk())
                .await
                .unwrap();
            // A broken connection is an end as well.
            let chunk = chunk.ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event other than a heartbeat.
    async fn event(&mut self) -> Heard {
        loop {
            let heard = self.next().await.unwrap();
            if heard.kind != "heartbeat" {
                return heard;
            }
        }
    }
}

/// An open stream: its first heartbeat has arrived.
async fn listen(world: &World, query: &str) -> Listener {
    let mut listener = Listener::open(world, query, "").await;
    assert_eq!(listener.next().await.unwrap().kind, "heartbeat");
    listener
}

/// The first response that opens a stream, requested repeatedly.
async fn opened(world: &World) -> reqwest::Response {
    let open = async {
        loop {
            let response = world.ask("GET", "/api/v1/events").send().await.unwrap();
            if response.status() == 200 {
                return response;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, open).await.unwrap()
}

async fn session(world: &World) -> PgConnection {
    let options = world.pool.connect_options();
    PgConnection::connect_with(&options).await.unwrap()
}

async fn run(session: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(session)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_event_is_told_as_it_happens_with_what_a_program_needs() {
    let world = World::new().await;
    let mut listener = listen(&world, "").await;
    let id = world.enqueue("+14155550101").await;
    let waiting = listener.event().await;
    assert_eq!(waiting.kind, "waiting");
    let call = world.claim().await.remove(0);
    let active = listener.event().await;
    assert_eq!(active.id, active.data["cursor"]);
    let expected = json!({
        "kind": "active", "callId": id, "reference": call.reference(), "claimNo": 1, "attempt": 1,
        "campaign": "default", "trunk": "default", "to": "+14155550101", "state": "dialing", "outcome": null,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(active.data[name], *value, "{name}");
    }
}

#[tokio::test]
async fn filters_let_pass_what_was_asked_for_whether_it_comes_or_was_kept() {
    let world = World::new().await;
    world.sql("select pgdial.create_campaign('spring')").await;
    let one = world.enqueue("+14155550101").await;
    let spring = json!({"to": "+14155550102", "scriptId": "s", "campaign": "spring"});
    let spring = world.send("POST", "/api/v1/calls", &spring).await.body["id"].clone();
    let spring = spring.as_str().unwrap();
    let queries = [
        (
            "kind=active,completed".to_owned(),
            vec![("active", one.as_str()), ("active", spring)],
        ),
        (
            "campaign=spring".to_owned(),
            vec![("waiting", spring), ("active", spring)],
        ),
        (
            format!("call={one}"),
            vec![("waiting", one.as_str()), ("active", one.as_str())],
        ),
        (
            "trunk=default&campaign=default".to_owned(),
            vec![("active", one.as_str())],
        ),
    ];
    let mut live = Vec::new();
    for (query, expected) in &queries {
        let expected: Vec<_> = expected
            .iter()
            .filter(|(kind, _)| *kind == "active")
            .collect();
        live.push((listen(&world, &format!("?{query}")).await, expected));
    }
    assert_eq!(world.claim().await.len(), 2);
    let told = |heard: Heard| {
        (
            heard.kind,
            heard.data["callId"].as_str().unwrap().to_owned(),
        )
    };
    for (listener, expected) in &mut live {
        let mut heard = BTreeSet::new();
        for _ in 0..expected.len() {
            heard.insert(told(listener.event().await));
        }
        let expected = expected
            .iter()
            .map(|(kind, id)| ((*kind).to_owned(), (*id).to_owned()));
        assert_eq!(heard, expected.collect());
    }
    for (query, expected) in queries {
        let mut listener = Listener::open(&world, &format!("?after=start&{query}"), "").await;
        let mut heard = BTreeSet::new();
        for _ in 0..expected.len() {
            heard.insert(told(listener.event().await));
        }
        let expected = expected
            .into_iter()
            .map(|(kind, id)| (kind.to_owned(), id.to_owned()));
        assert_eq!(heard, expected.collect(), "{query}");
    }
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused_with_the_reason() {
    let world = World::with(ServerOptions {
        api_keys: "crm:secret",
        ..ServerOptions::default()
    })
    .await;
    assert_eq!(world.get("/api/v1/events").await.code(), "unauthorized");
    let ask = async |query: &str| {
        let ask = world.ask("GET", &format!("/api/v1/events{query}"));
        ask.bearer_auth("secret").answer().await
    };
    for query in [
        "?after=yesterday",
        "?call=4711",
        "?state=x",
        "?kind=waiting&kind=failed",
        "?kind=nope",
        "?kind=failed,nope",
        "?after=1-2-3",
        "?after=2026-01-02T03:04:05Z%0A%0Adata:%20x",
    ] {
        assert_eq!(ask(query).await.code(), "invalid_query", "{query}");
    }
    let unknown = ask("?kind=nope").await;
    assert!(unknown.detail().contains("waiting"), "{unknown:?}");
    let foreign = ask("?after=1-abc-1-2-3-4").await;
    assert_eq!(
        (foreign.status.as_u16(), foreign.code()),
        (410, "cursor_gone")
    );
    assert!(foreign.detail().contains("another database"), "{foreign:?}");
}

#[tokio::test]
async fn of_too_many_streams_the_last_is_told_to_come_back() {
    let world = World::with(ServerOptions {
        most_streams: 2,
        ..ServerOptions::default()
    })
    .await;
    let one = listen(&world, "").await;
    let _other = listen(&world, "").await;
    let refused = world.get("/api/v1/events").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (503, "too_many_streams")
    );
    assert_eq!(refused.header("retry-after"), "5");
    drop(one);
    // The server notices the end at its next write or read.
    opened(&world).await;
}

#[tokio::test]
async fn streams_outlive_the_time_limit_of_requests_and_end_at_once_on_stop() {
    let world = World::with(ServerOptions {
        time_limit: Duration::from_millis(300),
        more: Router::new().route("/endless", get(std::future::pending::<()>)),
        // No test waits that long: only a stream that ends by itself lets it pass.
        server: Server {
            drain: Duration::from_hours(1),
            ..Server::default()
        },
        ..ServerOptions::default()
    })
    .await;
    // A slow machine may need longer than the limit to open a stream.
    let mut listener = Listener::of(opened(&world).await);
    // This request began later and has timed out, so the stream's time is over, too.
    assert_eq!(world.get("/endless").await.code(), "timed_out");
    world
        .sql("select pgdial.enqueue('+14155550101', 's')")
        .await;
    assert_eq!(listener.event().await.kind, "waiting");
    world.stop.cancel();
    while listener.next().await.is_some() {}
    tokio::time::timeout(PATIENCE, world.tasks.wait())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_and_holds_up_nobody() {
    let world = World::with(ServerOptions {
        most_streams: 2,
        server: Server {
            stall_timeout: Duration::from_millis(300),
            ..Server::default()
        },
        ..ServerOptions::default()
    })
    .await;
    let mut greedy = TcpStream::connect(&world.address).await.unwrap();
    let ask = "GET /api/v1/events?after=start HTTP/1.1\r\nhost: localhost\r\n\r\n";
    greedy.write_all(ask.as_bytes()).await.unwrap();
    let mut begun = [0; 15];
    greedy.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200 OK");
    let mut listener = listen(&world, "?kind=released").await;
    let refused = world.get("/api/v1/events").await;
    assert_eq!(refused.code(), "too_many_streams");
    // More than any socket buffers.
    world
        .sql("insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail) \
              select now(), gen_random_uuid(), 0, 0, case when n = 2000 then 'released' else 'waiting' end, \
                     jsonb_build_object('x', repeat('x', 20000)) from generate_series(1, 2000) n")
        .await;
    assert_eq!(listener.event().await.kind, "released");
    opened(&world).await;
    drop(greedy);
}

#[tokio::test]
async fn two_hundred_streams_wait_with_few_connections_and_all_hear() {
    let world = World::new().await;
    let mut listeners = join_all((0..200).map(|_| listen(&world, ""))).await;
    // One for the shared reader and two for streams that have just opened, out of a pool of eight.
    let connections = "select count(*) from pg_stat_activity where datname = current_database()";
    assert!(world.number(connections).await <= 8);
    let id = world.enqueue("+14155550101").await;
    let heard = join_all(listeners.iter_mut().map(Listener::event)).await;
    assert!(heard.iter().all(|heard| heard.data["callId"] == *id));
    let reads = async || {
        let lately = "select count(*) from pg_stat_activity where datname = current_database() \
                      and application_name = 'pgdial http' and query like '%pgdial.events_after(%' \
                      and state_change > clock_timestamp() - interval '1 second'";
        world.number(lately).await > 0
    };
    let until = async |wanted: bool| while reads().await != wanted {};
    let seen = tokio::time::timeout(PATIENCE, until(true)).await;
    assert!(seen.is_ok(), "its statement has another text");
    drop(listeners);
    // With no follower left, the shared reader ends too.
    let ended = tokio::time::timeout(PATIENCE, until(false)).await;
    assert!(ended.is_ok(), "it reads for nobody");
}

#[tokio::test]
async fn what_is_open_holds_back_what_comes_after_it_and_the_heartbeat_says_whose_it_is() {
    let world = World::new().await;
    let mut slow = session(&world).await;
    run(
        &mut slow,
        "set application_name = 'night import'; begin; select pgdial.enqueue('+14155550101', 's')"
            .into(),
    )
    .await;
    let mut listener = Listener::open(&world, "", "").await;
    let id = world.enqueue("+14155550102").await;
    let mut seen = 0;
    let held = loop {
        let heard = listener.next().await.unwrap();
        assert_eq!(
            heard.kind, "heartbeat",
            "nothing is told before the one that is open"
        );
        seen += 1;
        if heard.data["lagMs"].as_i64().unwrap() > 0 {
            break heard;
        }
        assert!(seen < 10, "{heard:?}");
    };
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut slow)
        .await
        .unwrap();
    assert_eq!(held.data["heldBy"]["applicationName"], "night import");
    assert_eq!(held.data["heldBy"]["pid"], pid);
    assert!(held.data["heldBy"]["since"].is_string());
    run(&mut slow, "commit".into()).await;
    let first = listener.event().await;
    assert_eq!(
        first.data["to"], "+14155550101",
        "the one that was open comes first"
    );
    assert_eq!(listener.event().await.data["callId"], *id);
}

/// The table's content, unordered: each event, and how often it must be received.
async fn truth(world: &World) -> BTreeMap<(String, i64), usize> {
    let rows = sqlx::query("select call_id::text, detail ->> 'n' from pgdial.call_events")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    let key = |row: &sqlx::postgres::PgRow| (row.get(0), row.get::<String, _>(1).parse().unwrap());
    rows.iter().map(|row| (key(row), 1)).collect()
}

/// Transactions of one session: some short, some that commit late, some that roll back, each with numbers taken
/// before its commit. They wait until earlier events have mostly been received, so that the client reads amid them.
async fn write_events(mut session: PgConnection, writer: usize, room: Arc<Semaphore>) {
    for nth in 0..TRANSACTIONS {
        let permit = room.acquire().await.unwrap();
        let n = writer * 1_000_000 + nth * 100;
        let insert = |from: usize, count: usize| {
            format!(
                "insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail) \
                 select clock_timestamp(), gen_random_uuid(), 0, 0, 'waiting', jsonb_build_object('n', x) \
                 from generate_series({}, {}) x",
                n + from,
                n + from + count - 1
            )
        };
        run(&mut session, format!("begin; {}", insert(0, HEARD))).await;
        if nth % 5 == writer % 5 {
            let pause = format!("select pg_sleep(0.0{:02})", (nth * 7 + writer) % 40);
            run(&mut session, pause).await;
            run(&mut session, insert(HEARD, 3)).await;
        }
        if nth % 11 == 3 {
            run(&mut session, "rollback".into()).await;
        } else {
            run(&mut session, "commit".into()).await;
            permit.forget();
        }
    }
}

const WRITERS: usize = 16;
const TRANSACTIONS: usize = 92;
/// Events of each transaction; some have three more.
const HEARD: usize = 7;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_cut_off_fifty_times_misses_nothing_and_hears_nothing_twice() {
    let world = World::new().await;
    let room = Arc::new(Semaphore::new(2 * WRITERS));
    let mut writers = JoinSet::new();
    let mut listener = listen(&world, "").await;
    for writer in 0..WRITERS {
        writers.spawn(write_events(
            session(&world).await,
            writer,
            Arc::clone(&room),
        ));
    }
    let (mut heard, mut count, mut cuts) = (BTreeMap::new(), 0_usize, 0);
    let (mut until_cut, mut silences) = (97, 0);
    let mut expected: Option<BTreeMap<(String, i64), usize>> = None;
    // Twice silent: nothing more is coming.
    while expected
        .as_ref()
        .is_none_or(|expected| count < expected.len())
        && silences < 2
    {
        while let Some(done) = writers.try_join_next() {
            done.unwrap();
        }
        if expected.is_none() && writers.is_empty() {
            expected = Some(truth(&world).await);
            continue;
        }
        let event = listener.next().await.unwrap();
        if event.kind == "heartbeat" {
            silences += 1;
            continue;
        }
        silences = 0;
        let n = event.data["detail"]["n"].as_i64().unwrap();
        let call = event.data["callId"].as_str().unwrap().to_owned();
        *heard.entry((call, n)).or_insert(0) += 1;
        count += 1;
        if count.is_multiple_of(HEARD) {
            room.add_permits(1);
        }
        until_cut -= 1;
        if until_cut == 0 && cuts < 50 {
            cuts += 1;
            until_cut = 100 + (cuts * 37) % 120;
            let last = listener.last_id.clone();
            drop(listener);
            listener = Listener::open(&world, "", &last).await;
        }
    }
    let expected = truth(&world).await;
    let missed: Vec<_> = expected
        .keys()
        .filter(|key| !heard.contains_key(*key))
        .collect();
    let twice: Vec<_> = heard.iter().filter(|(_, times)| **times > 1).collect();
    assert!(
        missed.is_empty() && twice.is_empty(),
        "missed {missed:?}, twice {twice:?}"
    );
    assert_eq!(heard, expected);
    assert!(expected.len() >= 10_000, "{}", expected.len());
    assert_eq!(cuts, 50);
}
