//! The adapter against sockets that each do one thing.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    domain::{ClaimedCall, Refusal},
    provider::{
        Deadline, Stopwatch,
        deadline::SHORTEST_LEASE,
        exchange::{self, Connector, Exchange},
        tag,
    },
};

mod look_ups;

const PLACED: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 19\r\n\r\n{\"callId\":\"prov_1\"}";

fn claimed() -> ClaimedCall {
    serde_json::from_value(serde_json::json!({
        "id": "0197f5e0-0000-7000-8000-000000000001", "claim_no": 2, "attempt": 1,
        "phone": "+14155550100", "from_number": null, "script_id": "welcome",
        "metadata": {"customer": 7}, "trunk": "default", "campaign": "default",
        "lease_until": "2026-01-02T03:04:05.678901Z", "lease_sec": 60, "ring_timeout_sec": 60, "max_duration_sec": 1800
    }))
    .unwrap()
}

fn order(call: &ClaimedCall, lease: Duration) -> Order<'_> {
    let secrets = "supersecret".parse().unwrap();
    Order {
        call,
        webhook_url: tag::webhook_url(
            "http://pgdial.test",
            &call.trunk,
            call.reference(),
            &secrets,
        ),
        deadline: Deadline::of_claim(Stopwatch::start(), lease),
    }
}

fn provider(address: SocketAddr) -> HttpProvider {
    HttpProvider::new(&format!("http://{address}"), Some("key-7".into())).unwrap()
}

async fn listen() -> (TcpListener, HttpProvider) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let provider = provider(listener.local_addr().unwrap());
    (listener, provider)
}

async fn place(provider: &HttpProvider) -> Placement {
    let call = claimed();
    provider.place(order(&call, SHORTEST_LEASE)).await
}

/// Reads one whole request.
async fn request(socket: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut chunk = [0; 4096];
    loop {
        let count = socket.read(&mut chunk).await.unwrap();
        text.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
        // Without content-length there is no body: it is a look-up.
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |value| value.parse::<usize>().unwrap());
        if let Some(at) = text.find("\r\n\r\n")
            && text.len() >= at + 4 + length
        {
            return text;
        }
        assert!(count > 0, "the request ended early: {text}");
    }
}

/// Places one call while a server accepts, reads the request, sends `bytes` and hangs up.
async fn place_against(bytes: &str) -> (Placement, String) {
    let (listener, provider) = listen().await;
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let seen = request(&mut socket).await;
        // A response that is too large is not read to its end, and the socket is closed.
        let _closed = socket.write_all(bytes.as_bytes()).await;
        seen
    };
    tokio::join!(place(&provider), server)
}

/// W3C trace context; without a trace no header is sent.
#[tokio::test]
async fn the_provider_is_told_the_trace_of_the_call() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let (listener, provider) = listen().await;
    let mut call = claimed();
    call.traceparent = Some(trace.to_owned());
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let seen = request(&mut socket).await;
        socket.write_all(PLACED.as_bytes()).await.unwrap();
        seen
    };
    let placed = provider.place(order(&call, SHORTEST_LEASE));
    let (_, seen) = tokio::join!(placed, server);
    assert!(
        seen.contains(&format!("traceparent: {trace}\r\n")),
        "{seen}"
    );
    let (_, seen) = place_against(PLACED).await;
    assert!(!seen.contains("traceparent"), "{seen}");
}

#[tokio::test]
async fn the_request_is_the_protocols() {
    let (placement, seen) = place_against(PLACED).await;
    assert_eq!(
        placement,
        Placement::Placed {
            provider_call_id: "prov_1".to_owned()
        }
    );
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    let reference = "0197f5e0-0000-7000-8000-000000000001-2";
    assert!(
        head.starts_with("POST /api/v1/calls HTTP/1.1\r\n"),
        "{head}"
    );
    for line in [
        "authorization: Bearer key-7",
        &format!("idempotency-key: {reference}"),
        "x-dial-before: 2026-01-02T03:04:05.678901Z",
        "content-type: application/json",
        "connection: close",
    ] {
        assert!(head.lines().any(|l| l == line), "{line} in {head}");
    }
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let call = claimed();
    assert_eq!(
        body,
        serde_json::json!({
            "to": "+14155550100", "scriptId": "welcome", "metadata": {"customer": 7},
            "webhookUrl": order(&call, Duration::ZERO).webhook_url,
            "reference": reference, "maxDurationSec": 1800, "ringTimeoutSec": 60
        })
    );
}

#[tokio::test]
async fn a_path_in_the_address_is_kept() {
    let (listener, _) = listen().await;
    let address = format!("http://{}/voice/", listener.local_addr().unwrap());
    let provider = HttpProvider::new(&address, None).unwrap();
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let seen = request(&mut socket).await;
        socket.write_all(PLACED.as_bytes()).await.unwrap();
        seen
    };
    let (_, seen) = tokio::join!(place(&provider), server);
    assert!(
        seen.starts_with("POST /voice/api/v1/calls HTTP/1.1"),
        "{seen}"
    );
    assert!(!seen.contains("authorization"), "{seen}");
}

#[tokio::test]
async fn before_the_first_byte_a_failure_is_certainly_no_call() {
    let (listener, refused) = listen().await;
    drop(listener);
    let nowhere = HttpProvider::new("http://no-such-host.invalid", None).unwrap();
    for provider in [refused, nowhere] {
        let placement = place(&provider).await;
        assert!(
            matches!(&placement, Placement::Refused(Refusal::Transient { why }) if why.starts_with("no connection")),
            "{placement:?}"
        );
    }
}

#[tokio::test]
async fn a_failed_tls_handshake_is_certainly_no_call() {
    let (listener, _) = listen().await;
    let address = format!("https://{}", listener.local_addr().unwrap());
    let provider = match HttpProvider::new(&address, None) {
        Ok(provider) => provider,
        // A machine without root certificates fails earlier.
        Err(error) => return assert!(matches!(error, Error::NoRoots(_)), "{error}"),
    };
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
    };
    let (placement, ()) = tokio::join!(place(&provider), server);
    assert!(
        matches!(placement, Placement::Refused(Refusal::Transient { .. })),
        "{placement:?}"
    );
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_certainly_no_call() {
    let (listener, _) = listen().await;
    let address = format!("https://{}", listener.local_addr().unwrap());
    let mut provider = match HttpProvider::new(&address, None) {
        Ok(provider) => provider,
        Err(error) => return assert!(matches!(error, Error::NoRoots(_)), "{error}"),
    };
    provider.0.limits.connect = Duration::from_millis(50);
    let placement = place(&provider).await;
    assert_eq!(
        placement,
        Placement::Refused(Refusal::Transient {
            why: "no connection within 50ms".to_owned()
        })
    );
}

#[tokio::test]
async fn after_the_first_byte_nothing_is_certain() {
    for bytes in [
        "",
        "HTTP/1.1 202 Acc",
        "HTTP/1.1 202 Accepted\r\ncontent-length: 19\r\n\r\n{\"callId\":",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 302 Found\r\nlocation: /api/v1/calls\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}",
    ] {
        let (placement, _) = place_against(bytes).await;
        assert!(
            matches!(placement, Placement::Unknown { .. }),
            "{bytes:?}: {placement:?}"
        );
    }
}

#[tokio::test]
async fn a_reset_after_the_request_is_unknown() {
    let (listener, provider) = listen().await;
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        socket.set_zero_linger().unwrap();
    };
    let (placement, ()) = tokio::join!(place(&provider), server);
    assert!(
        matches!(placement, Placement::Unknown { .. }),
        "{placement:?}"
    );
}

#[tokio::test]
async fn a_time_out_after_the_request_is_unknown_and_hangs_up() {
    let (listener, mut provider) = listen().await;
    provider.0.place_timeout = Duration::from_millis(100);
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        // End of stream proves that nothing lingers in the background.
        socket.read_u8().await.unwrap_err().kind()
    };
    let (placement, end) = tokio::join!(place(&provider), server);
    assert_eq!(
        placement,
        Placement::Unknown {
            why: "no answer within 100ms".to_owned()
        }
    );
    assert_eq!(end, std::io::ErrorKind::UnexpectedEof);
}

/// Whatever the adapter would wait for.
#[tokio::test]
async fn a_dial_ends_with_its_lease() {
    let (listener, mut provider) = listen().await;
    provider.0.place_timeout = Duration::MAX;
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        socket.read_u8().await.unwrap_err().kind()
    };
    let call = claimed();
    let placing = provider.place(order(&call, Duration::from_secs(1)));
    let (placement, end) = tokio::join!(placing, server);
    let why = "no answer within the lease of the dial".to_owned();
    assert_eq!(placement, Placement::Unknown { why });
    assert_eq!(end, std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn too_late_means_that_nobody_is_called_up() {
    let (listener, provider) = listen().await;
    let call = claimed();
    let placement = provider.place(order(&call, Duration::ZERO)).await;
    assert_eq!(placement, Placement::Late);
    let nobody = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
    assert!(nobody.is_err(), "it connected");
}

#[tokio::test]
async fn too_late_after_connecting_means_that_nothing_is_written() {
    let (listener, provider) = listen().await;
    let call = claimed();
    let order = order(&call, SHORT);
    let deadline = order.deadline;
    let Connector::Plain(tcp) = provider.0.connector.clone() else {
        panic!("a plain address");
    };
    // The connector itself lets the deadline pass, so the second look must see it.
    let slow = tower::service_fn(move |uri: hyper::Uri| {
        let tcp = tcp.clone();
        async move {
            let stream = tower::ServiceExt::oneshot(tcp, uri).await;
            while !deadline.is_over() {
                tokio::task::yield_now().await;
            }
            stream
        }
    });
    let request = provider.place_request(&order).unwrap();
    let result = exchange::over(slow, request, provider.0.limits, Some(order.deadline)).await;
    assert!(matches!(result, Exchange::Late), "{result:?}");
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "bytes went out");
}

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn the_id_is_found_in_a_large_answer() {
    let body = format!(r#"{{"script":"{}","callId":"x"}}"#, "z".repeat(200_000));
    let length = body.len();
    let answer = format!("HTTP/1.1 201 Created\r\ncontent-length: {length}\r\n\r\n{body}");
    let (placement, _) = place_against(&answer).await;
    assert_eq!(
        placement,
        Placement::Placed {
            provider_call_id: "x".to_owned()
        }
    );
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let endless = format!(
        "HTTP/1.1 202 Accepted\r\ncontent-length: 10000000\r\n\r\n{{\"callId\":\"x\",\"y\":\"{}",
        "z".repeat(1_200_000)
    );
    let (placement, _) = place_against(&endless).await;
    assert!(
        matches!(placement, Placement::Unknown { .. }),
        "{placement:?}"
    );
    let refused = format!(
        "HTTP/1.1 422 No\r\ncontent-length: 10000000\r\n\r\n{}",
        "z".repeat(1_200_000)
    );
    let (placement, _) = place_against(&refused).await;
    assert!(
        matches!(placement, Placement::Refused(Refusal::Permanent { .. })),
        "{placement:?}"
    );
}

#[tokio::test]
async fn a_cancel_names_the_call_and_reads_the_answer() {
    let (listener, provider) = listen().await;
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let seen = request(&mut socket).await;
        let answer = b"HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n";
        socket.write_all(answer).await.unwrap();
        seen
    };
    let (cancelled, seen) = tokio::join!(provider.cancel("a/../b"), server);
    assert_eq!(cancelled.unwrap(), Cancellation::AlreadyOver);
    assert!(
        seen.starts_with("POST /api/v1/calls/a%2F%2E%2E%2Fb/cancel HTTP/1.1"),
        "{seen}"
    );
}

#[test]
fn an_address_or_key_that_cannot_work_is_refused_at_the_start() {
    for address in [
        "",
        "voice.example.com",
        "/calls",
        "ftp://voice.example.com",
        "http://",
        "http://user:pass@voice.example.com",
        "http://voice.example.com/?a=b",
        "http://voice.example.com/#x",
    ] {
        let error = HttpProvider::new(address, None).unwrap_err();
        assert!(matches!(error, Error::BadAddress), "{address}: {error}");
    }
    for key in ["", "two words", "line\nend", "schlüssel"] {
        let error = HttpProvider::new("http://localhost", Some(key.into())).unwrap_err();
        assert!(matches!(error, Error::BadKey), "{key:?}");
    }
}

#[test]
fn the_key_is_not_shown() {
    let shown = format!("{:?}", provider(SocketAddr::from(([127, 0, 0, 1], 1))));
    assert!(!shown.contains("key-7"), "{shown}");
}
