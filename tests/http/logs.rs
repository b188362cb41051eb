use std::{
    io::{self, Write},
    sync::{Arc, Mutex, Once},
};

use axum::{Router, routing::get};
use pgdial::provider::{signature::sign_plain, tag};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::EnvFilter;

use crate::support::{SECRETS, Send, ServerOptions, World, secrets};

/// What this thread logs; a test's server runs on the test's thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Captures everything from the server, but not from the client.
    fn start() -> (Self, DefaultGuard) {
        // Whether anybody wants a span is remembered for the whole process, and forgotten while the subscribers of
        // other tests come and go: one that wants everything stays.
        static ALWAYS: Once = Once::new();
        ALWAYS.call_once(|| {
            tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
        });
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new("trace,reqwest=off,hyper_util::client=off"))
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn no_query_no_key_no_signature_and_no_number_is_logged() {
    let world = World::with(ServerOptions {
        api_keys: "crm:secretkey",
        ..ServerOptions::default()
    })
    .await;
    let (log, _guard) = Log::start();
    let create = serde_json::json!({"to": "+14155550100", "scriptId": "s"});
    world
        .ask("POST", "/api/v1/calls")
        .bearer_auth("secretkey")
        .json(&create)
        .answer()
        .await;
    let listing = "/api/v1/calls?to=%2B14155550100&state=waiting";
    world
        .ask("GET", listing)
        .bearer_auth("secretkey")
        .answer()
        .await;
    world
        .ask("GET", "/api/v1/calls?to=+14155550100&odd=1")
        .bearer_auth("wrongkey")
        .answer()
        .await;
    for (path, body) in [
        (
            "calls/redrive",
            serde_json::json!({"filter": {"to": "+14155550100"}, "why": "x"}),
        ),
        (
            "do-not-call/remove",
            serde_json::json!({"to": "+14155550100", "why": "x"}),
        ),
        (
            "numbers/forget",
            serde_json::json!({"to": "+14155550100", "why": "x", "dryRun": true}),
        ),
        ("numbers/forget", serde_json::json!({"to": "+14155550100x"})),
    ] {
        let ask = world.ask("POST", &format!("/api/v1/{path}"));
        ask.bearer_auth("secretkey").json(&body).answer().await;
    }
    let export = "/api/v1/calls/export?to=%2B14155550100";
    let export = world.ask("GET", export).bearer_auth("secretkey").answer();
    assert!(export.await.text.contains("5550100"));
    let call = world.claim().await.remove(0);
    let url = tag::webhook_url("", "default", call.reference(), &secrets(SECRETS));
    let signature = sign_plain(&secrets(SECRETS), b"{}");
    for signature in [signature.as_str(), "00ff00ff"] {
        world
            .ask("POST", &url)
            .header("x-signature", signature)
            .body("{}")
            .answer()
            .await;
    }
    let text = log.text();
    let the_tag = tag::make(&secrets(SECRETS), "default", call.reference());
    for hidden in [
        "5550100",
        "secretkey",
        "wrongkey",
        the_tag.as_str(),
        signature.as_str(),
        "00ff00ff",
        "tag=",
    ] {
        let found = text.lines().find(|line| line.contains(hidden));
        assert_eq!(found, None, "{hidden}");
    }
    assert!(
        text.contains("/callbacks/call-status") && text.contains("/api/v1/calls"),
        "{text}"
    );
}

#[tokio::test]
async fn a_fault_of_ours_is_logged_once_with_its_cause_and_the_request_id() {
    let more = Router::new().route("/panic", get(|| async { panic!("at the disco") as () }));
    let world = World::with(ServerOptions {
        more,
        ..ServerOptions::default()
    })
    .await;
    world.sql("alter table pgdial.calls rename to gone").await;
    let (log, _guard) = Log::start();
    let failed = world.get("/api/v1/calls").await;
    let panicked = world.get("/panic").await;
    world.get("/nowhere").await;
    let text = log.text();
    let errors: Vec<_> = text.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 2, "{}: {errors:#?}", failed.text);
    assert!(
        errors[0].contains("pgdial.calls") && errors[0].contains(failed.header("x-request-id")),
        "{errors:#?}"
    );
    assert!(
        errors[1].contains("at the disco") && errors[1].contains(panicked.header("x-request-id"))
    );
}
