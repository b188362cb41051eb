use std::time::Duration;

use axum::{Router, routing::get};
use pgdial::http::Server;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
};

use crate::support::{Send, ServerOptions, World};

#[tokio::test]
async fn a_panic_is_a_500_and_the_server_stays_up() {
    let more = Router::new().route("/panic", get(|| async { panic!("at the disco") as () }));
    let world = World::with(ServerOptions {
        more,
        ..ServerOptions::default()
    })
    .await;
    for _ in 0..3 {
        let answer = world.get("/panic").await;
        assert_eq!((answer.status.as_u16(), answer.code()), (500, "internal"));
        assert!(!answer.text.contains("disco"));
    }
    assert_eq!(world.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn without_the_right_key_the_api_answers_nothing_and_the_rest_answers() {
    let world = World::with(ServerOptions {
        api_keys: "crm:one",
        ..ServerOptions::default()
    })
    .await;
    for (method, path) in [
        ("POST", "/api/v1/calls"),
        ("POST", "/api/v1/calls/batch"),
        ("GET", "/api/v1/calls"),
        ("GET", "/api/v1/calls/nonsense"),
        (
            "PATCH",
            "/api/v1/calls/0197f5e0-0000-7000-8000-000000000001",
        ),
        (
            "POST",
            "/api/v1/calls/0197f5e0-0000-7000-8000-000000000001/cancel",
        ),
        (
            "POST",
            "/api/v1/calls/0197f5e0-0000-7000-8000-000000000001/redrive",
        ),
        (
            "POST",
            "/api/v1/calls/0197f5e0-0000-7000-8000-000000000001/resolve",
        ),
        (
            "GET",
            "/api/v1/calls/0197f5e0-0000-7000-8000-000000000001/why",
        ),
        ("GET", "/api/v1/stats"),
    ] {
        for authorization in ["", "Bearer two", "Basic one", "one", "Bearer  "] {
            let mut ask = world.ask(method, path);
            if !authorization.is_empty() {
                ask = ask.header("authorization", authorization);
            }
            let answer = ask.answer().await;
            assert_eq!(
                (answer.status.as_u16(), answer.code()),
                (401, "unauthorized"),
                "{method} {path}"
            );
            let challenge = if authorization == "Bearer two" {
                "Bearer error=\"invalid_token\""
            } else {
                "Bearer"
            };
            assert_eq!(answer.header("www-authenticate"), challenge);
        }
    }
    assert_eq!(
        world
            .ask("GET", "/api/v1/stats")
            .bearer_auth("one")
            .answer()
            .await
            .status,
        200
    );
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/ui/sign-in",
    ] {
        assert_eq!(world.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_request_keeps_its_sane_id_and_gets_one_otherwise() {
    let world = World::new().await;
    let ask = |id: String| {
        world
            .ask("GET", "/nowhere")
            .header("x-request-id", id)
            .answer()
    };
    let kept = ask("req-7".to_owned()).await;
    assert_eq!(kept.header("x-request-id"), "req-7");
    assert_eq!(kept.body["requestId"], "req-7");
    for odd in ["with space".to_owned(), "x".repeat(101)] {
        let made = ask(odd.clone()).await;
        assert_ne!(made.header("x-request-id"), odd);
        assert_eq!(made.body["requestId"], made.header("x-request-id"));
    }
    assert!(
        !world
            .get("/healthz")
            .await
            .header("x-request-id")
            .is_empty()
    );
}

#[tokio::test]
async fn answers_are_not_cached_and_not_sniffed() {
    let world = World::new().await;
    for path in ["/api/v1/calls", "/nowhere", "/metrics"] {
        let answer = world.get(path).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn a_database_that_is_gone_is_503_and_the_process_still_lives() {
    let world = World::new().await;
    world.verbs.close().await;
    for (method, path) in [
        ("GET", "/readyz"),
        ("GET", "/api/v1/calls"),
        ("GET", "/api/v1/stats"),
    ] {
        let answer = world.ask(method, path).answer().await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (503, "unavailable"),
            "{path}"
        );
        assert!(!answer.header("retry-after").is_empty());
        assert!(!answer.text.contains("pool"), "{}", answer.text);
    }
    let body = json!({"to": "+14155550100", "scriptId": "s"});
    assert_eq!(world.send("POST", "/api/v1/calls", &body).await.status, 503);
    assert_eq!(world.get("/healthz").await.status, 200);
    assert!(
        world
            .get("/metrics")
            .await
            .text
            .contains("\npgdial_database_up 0\n")
    );
}

#[tokio::test]
async fn metrics_show_the_queue_and_what_this_process_did() {
    let world = World::new().await;
    world.dialing("+14155550100").await;
    world.enqueue("+14155550101").await;
    let answer = world.get("/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    for line in [
        "pgdial_database_up 1",
        "pgdial_calls{campaign=\"default\",state=\"waiting\"} 1",
        "pgdial_calls{campaign=\"default\",state=\"dialing\"} 1",
        "pgdial_calls{campaign=\"default\",state=\"unresolved\"} 0",
        "pgdial_calls_due{campaign=\"default\",trunk=\"default\"} 1",
        "pgdial_calls_in_flight{trunk=\"default\"} 1",
        "pgdial_trunk_slots{trunk=\"default\"} 30",
        "pgdial_trunk_paused{trunk=\"default\"} 0",
        "pgdial_workers 0",
        "pgdial_webhooks_parked 0",
        "pgdial_enqueue_total{verdict=\"created\"} 2",
        "pgdial_webhook_rejections_total{reason=\"tag\"} 0",
        "pgdial_http_responses_total{class=\"2xx\"} 2",
        "pgdial_enqueue_seconds_count 2",
        "pgdial_pickup_seconds_count 1",
        "pgdial_batch_items_sum{verb=\"enqueue\"} 2",
        "pgdial_verdicts_total{verb=\"settle\",verdict=\"stale\"} 0",
    ] {
        assert!(
            answer.text.lines().any(|l| l == line),
            "{line} is not in\n{}",
            answer.text
        );
    }
    // More than three digits: a duration may have those.
    assert!(!answer.text.contains("4155550"));
}

#[tokio::test]
async fn a_client_that_is_slow_with_its_headers_is_cut_off_and_others_are_not() {
    let server = Server {
        header_timeout: Duration::from_millis(200),
        ..Server::default()
    };
    let world = World::with(ServerOptions {
        server,
        ..ServerOptions::default()
    })
    .await;
    let mut slow = TcpStream::connect(&world.address).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ")
        .await
        .unwrap();
    let mut heard = Vec::new();
    // Only the server can end this: nothing here closes the connection.
    slow.read_to_end(&mut heard).await.unwrap();
    assert!(!String::from_utf8_lossy(&heard).contains("200 OK"));
    world.until_served().await;
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let world = World::new().await;
    let large = world
        .ask("GET", "/healthz")
        .header("x-large", "x".repeat(200 * 1024))
        .send()
        .await;
    assert!(large.map_or(true, |answer| answer.status() == 431));
    let mut many = world.ask("GET", "/healthz");
    for n in 0..100 {
        many = many.header(format!("x-{n}"), "1");
    }
    assert_eq!(many.answer().await.status, 431);
    assert_eq!(world.get("/healthz").await.status, 200);
}

static STARTED: Semaphore = Semaphore::const_new(0);
static GO_ON: Semaphore = Semaphore::const_new(0);

#[tokio::test]
async fn a_request_under_way_ends_when_the_server_stops() {
    let slow = || async {
        STARTED.add_permits(1);
        GO_ON.acquire().await.unwrap().forget();
        "done"
    };
    let more = Router::new().route("/slow", get(slow));
    let world = World::with(ServerOptions {
        more,
        ..ServerOptions::default()
    })
    .await;
    let under_way = world.get("/slow");
    let stopping = async {
        STARTED.acquire().await.unwrap().forget();
        world.stop.cancel();
        GO_ON.add_permits(1);
    };
    let (answer, ()) = tokio::join!(under_way, stopping);
    assert_eq!(answer.text, "done");
    world.tasks.wait().await;
    assert!(TcpStream::connect(&world.address).await.is_err());
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_up_the_stop_for_ever() {
    let started = std::sync::Arc::new(Semaphore::new(0));
    let tell = started.clone();
    let endless = move || async move {
        tell.add_permits(1);
        std::future::pending::<()>().await;
    };
    let more = Router::new().route("/endless", get(endless));
    let server = Server {
        drain: Duration::from_millis(50),
        ..Server::default()
    };
    let world = World::with(ServerOptions {
        server,
        more,
        ..ServerOptions::default()
    })
    .await;
    let stopping = async {
        started.acquire().await.unwrap().forget();
        world.stop.cancel();
        world.tasks.wait().await;
    };
    let (cut_off, ()) = tokio::join!(world.ask("GET", "/endless").send(), stopping);
    assert!(cut_off.is_err());
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let more = Router::new().route("/endless", get(std::future::pending::<()>));
    let time_limit = Duration::from_millis(50);
    let world = World::with(ServerOptions {
        time_limit,
        more,
        ..ServerOptions::default()
    })
    .await;
    let answer = world.get("/endless").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (503, "timed_out"));
}
