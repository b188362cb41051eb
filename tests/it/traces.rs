//! Spans of real processes, as a collector receives them: `cargo test --features otel --test it traces`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet};

use crate::support::{eventually, number, processes::Machine};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// A received span; ids in hex.
#[derive(Debug, Clone, PartialEq)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    attributes: BTreeMap<String, String>,
}

/// A stand-in for a collector, which keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Bytes>>>);

impl Collector {
    /// Starts it; returns its address.
    async fn start(&self, tasks: &mut JoinSet<()>) -> String {
        let keep = |State(Self(kept)): State<Self>, body: Bytes| async move {
            kept.lock().unwrap().push(body);
        };
        let routes = Router::new()
            .route("/v1/traces", post(keep))
            .with_state(self.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tasks.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        format!("http://{address}")
    }

    fn spans(&self) -> Vec<Span> {
        let kept = self.0.lock().unwrap();
        let each = kept.iter().flat_map(|body| parts(body, 1));
        let each = each.flat_map(|resource| parts(&resource, 2));
        let each = each.flat_map(|scope| parts(&scope, 2));
        each.map(|span| read(&span)).collect()
    }
}

/// The length-delimited fields of a protobuf message that have this number.
fn parts(message: &[u8], wanted: u64) -> Vec<Vec<u8>> {
    let (mut found, mut at) = (Vec::new(), 0);
    let varint = |at: &mut usize| {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = message[*at];
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    };
    while at < message.len() {
        let tag = varint(&mut at);
        match tag & 7 {
            0 => {
                varint(&mut at);
            }
            1 => at += 8,
            2 => {
                let length = usize::try_from(varint(&mut at)).unwrap();
                if tag >> 3 == wanted {
                    found.push(message[at..at + length].to_vec());
                }
                at += length;
            }
            5 => at += 4,
            kind => panic!("wire type {kind}"),
        }
    }
    found
}

/// `opentelemetry.proto.trace.v1.Span`
fn read(span: &[u8]) -> Span {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let first = |message: &[u8], wanted| parts(message, wanted).pop().unwrap_or_default();
    let attributes = parts(span, 9).into_iter().map(|pair| {
        let value = first(&first(&pair, 2), 1);
        (text(&first(&pair, 1)), text(&value))
    });
    Span {
        trace: hex::encode(first(span, 1)),
        id: hex::encode(first(span, 2)),
        parent: hex::encode(first(span, 4)),
        name: text(&first(span, 5)),
        attributes: attributes.collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_request_to_the_report_that_ends_the_call() {
    let (collector, mut tasks) = (Collector::default(), JoinSet::new());
    let endpoint = collector.start(&mut tasks).await;
    let machine = Machine::new().await;
    let _provider = machine
        .start_provider(&["--ring", "10ms..20ms", "--talk", "20ms..50ms"])
        .await;
    // API and worker are two processes that share only the row.
    let start = |name: &str, args: &[&str]| {
        let mut command = machine.command(args);
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
            .env("OTEL_BSP_SCHEDULE_DELAY", "50");
        machine.start_command(name, command)
    };
    let _api = start("api", &["api"]);
    let _worker = start("worker", &["work"]);
    let url = format!("http://{}/api/v1/calls", machine.api);
    let client = reqwest::Client::new();
    eventually("the API takes the call", || async {
        let request = json!({"to": number(0), "scriptId": "welcome", "idempotencyKey": "once"});
        let asked = client
            .post(&url)
            .header("traceparent", format!("00-{TRACE}-{SPAN}-01"))
            .json(&request);
        asked
            .send()
            .await
            .is_ok_and(|answer| answer.status() == 201)
    })
    .await;
    machine.until_all_over().await;
    let wanted = ["enqueue", "claim", "dial", "dialed", "webhook", "settle"];
    eventually("every span has arrived", || async {
        let spans = collector.spans();
        wanted
            .iter()
            .all(|name| spans.iter().any(|span| span.name == *name))
    })
    .await;

    let spans = collector.spans();
    for span in &spans {
        assert_eq!(span.trace, TRACE, "{span:?} in {spans:#?}");
        let told = format!("{span:?}");
        assert!(!told.contains(&number(0)[1..]), "a number in {told}");
    }
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(named("enqueue").parent, SPAN);
    assert_eq!(named("claim").parent, named("enqueue").id);
    assert_eq!(named("dial").parent, named("claim").id);
    assert_eq!(named("dialed").parent, named("dial").id);
    let settle = named("settle");
    let webhook = spans.iter().find(|span| span.id == settle.parent).unwrap();
    assert_eq!(
        (&*webhook.name, &webhook.parent),
        ("webhook", &named("enqueue").id)
    );
    assert_eq!(webhook.attributes["verdict"], "applied");
    assert_eq!(named("dial").attributes["result"], "placed");
    let call = machine.db.text("select id from pgdial.calls").await;
    for name in ["enqueue", "claim", "dial", "dialed", "webhook"] {
        assert_eq!(named(name).attributes["call.id"], call, "{name}");
    }
    assert_eq!(
        named("dial").attributes["dial.reference"],
        format!("{call}-1")
    );
}
