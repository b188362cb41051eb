//! Look-ups: what goes over the wire, and what follows when no response comes.

use super::*;
use crate::domain::{Report, ReportKind};

fn dial() -> Reference {
    claimed().reference()
}

fn http(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// Looks up while a server accepts, reads the request, sends `bytes` and hangs up.
async fn look_up_against(id: Option<&str>, bytes: &str) -> (Result<LookedUp, Error>, String) {
    let (listener, provider) = listen().await;
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let seen = request(&mut socket).await;
        socket.write_all(bytes.as_bytes()).await.unwrap();
        seen
    };
    tokio::join!(provider.look_up(dial(), id), server)
}

#[tokio::test]
async fn by_id_it_asks_for_the_call() {
    let body = r#"{"callId":"a/../b?c","status":"IN_PROGRESS"}"#;
    let (found, seen) = look_up_against(Some("a/../b?c"), &http("200 OK", body)).await;
    let LookedUp::Found(report) = found.unwrap() else {
        panic!("not found");
    };
    assert_eq!(report.kind, ReportKind::Answered);
    assert_eq!(report.provider_call_id.as_deref(), Some("a/../b?c"));
    let first = "GET /api/v1/calls/a%2F%2E%2E%2Fb%3Fc HTTP/1.1\r\n";
    assert!(seen.starts_with(first), "{seen}");
    for line in [
        "authorization: Bearer key-7",
        "accept: application/json",
        "connection: close",
    ] {
        assert!(seen.lines().any(|l| l == line), "{line} in {seen}");
    }
    assert!(seen.ends_with("\r\n\r\n"), "it has a body: {seen}");
}

#[tokio::test]
async fn without_a_usable_id_it_asks_for_the_reference() {
    let digest = format!("sha256:{}", "0".repeat(64));
    for id in [None, Some(""), Some(digest.as_str())] {
        let (found, seen) = look_up_against(id, &http("200 OK", r#"{"calls":[]}"#)).await;
        assert_eq!(found.unwrap(), LookedUp::NotFound);
        let first = format!("GET /api/v1/calls?reference={} HTTP/1.1\r\n", dial());
        assert!(seen.starts_with(&first), "{seen}");
    }
}

#[tokio::test]
async fn the_status_means_another_thing_for_a_list() {
    for (id, expected) in [
        (Some("a"), LookedUp::NotFound),
        (None, LookedUp::Unsupported),
    ] {
        let (found, _) = look_up_against(id, &http("404 Not Found", "")).await;
        assert_eq!(found.unwrap(), expected);
    }
}

#[tokio::test]
async fn no_whole_answer_proves_nothing() {
    for bytes in [
        "",
        "HTTP/1.1 404 Not",
        "HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{\"status\":\"BUSY\"}",
        "SSH-2.0-OpenSSH\r\n\r\n",
    ] {
        for id in [Some("a"), None] {
            let (found, _) = look_up_against(id, bytes).await;
            assert!(
                matches!(&found, Err(Error::NoAnswer { .. })),
                "{bytes:?}: {found:?}"
            );
        }
    }
}

#[tokio::test]
async fn nobody_there_proves_nothing() {
    let (listener, provider) = listen().await;
    drop(listener);
    let error = provider.look_up(dial(), Some("a")).await.unwrap_err();
    assert!(
        matches!(&error, Error::NoAnswer { why } if why.starts_with("no connection")),
        "{error}"
    );
}

#[tokio::test]
async fn a_time_out_proves_nothing_and_hangs_up() {
    let (listener, mut provider) = listen().await;
    provider.0.limits.total = Duration::from_millis(100);
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        socket.read_u8().await.unwrap_err().kind()
    };
    let (found, end) = tokio::join!(provider.look_up(dial(), None), server);
    let error = found.unwrap_err();
    assert!(
        matches!(&error, Error::NoAnswer { why } if why == "no answer within 100ms"),
        "{error}"
    );
    assert_eq!(end, std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn it_asks_once() {
    let (listener, provider) = listen().await;
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        let answer = http("503 Busy", "");
        socket.write_all(answer.as_bytes()).await.unwrap();
    };
    let (found, ()) = tokio::join!(provider.look_up(dial(), Some("a")), server);
    assert!(
        matches!(&found, Err(Error::Refused { status: 503, .. })),
        "{found:?}"
    );
    let again = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
    assert!(again.is_err(), "it asked again");
}

#[tokio::test]
async fn a_long_transcript_does_not_hide_the_end() {
    let body = |length| {
        format!(
            r#"{{"status":"COMPLETED","said":"{}"}}"#,
            "z".repeat(length)
        )
    };
    let (found, _) = look_up_against(Some("a"), &http("200 OK", &body(300_000))).await;
    let LookedUp::Found(report) = found.unwrap() else {
        panic!("not found");
    };
    assert_eq!(report.kind, ReportKind::Ended);

    // The rest of a larger response is not read, so the server may find its socket closed.
    let (listener, provider) = listen().await;
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        let answer = http("200 OK", &body(5_000_000));
        socket.write_all(answer.as_bytes()).await.is_ok()
    };
    let (found, _) = tokio::join!(provider.look_up(dial(), Some("a")), server);
    let error = found.unwrap_err();
    assert!(
        matches!(&error, Error::NoAnswer { why } if why.starts_with("HTTP 200")),
        "{error}"
    );
}

/// Asks for the calls since a time, and gets these responses one after the other.
async fn list_against(answers: &[String]) -> (Result<Option<Vec<Report>>, Error>, Vec<String>) {
    let (listener, provider) = listen().await;
    let server = async {
        let mut seen = Vec::new();
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let request = request(&mut socket).await;
            seen.push(request.lines().next().unwrap_or_default().to_owned());
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
        seen
    };
    let since = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    tokio::join!(provider.calls_since(since), server)
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let page = |calls: &str, next: &str| {
        http(
            "200 OK",
            &format!(r#"{{"calls":[{calls}],"since":"2027-01-15T08:00:00Z","next":{next}}}"#),
        )
    };
    let call = r#"{"callId":"a","status":"RINGING","to":"+14155550101"}"#;
    let (listed, seen) = list_against(&[page(call, r#""x y""#), page("", "null")]).await;
    assert_eq!(listed.unwrap().unwrap().len(), 1);
    let first = "GET /api/v1/calls?since=2027-01-15T08%3A00%3A00%2E000000Z";
    assert_eq!(seen[0], format!("{first} HTTP/1.1"));
    assert_eq!(seen[1], format!("{first}&cursor=x%20y HTTP/1.1"));
}

/// Believing the empty list of a provider that has no lists would ring people twice.
#[tokio::test]
async fn a_list_that_does_not_say_since_when_is_none() {
    for answer in [
        http("200 OK", r#"{"calls":[]}"#),
        http("200 OK", r#"{"calls":[],"since":"2027-01-15T09:00:00Z"}"#),
        http("400 Bad Request", "{}"),
        http("404 Not Found", ""),
    ] {
        let (listed, _) = list_against(std::slice::from_ref(&answer)).await;
        assert_eq!(listed.unwrap(), None, "{answer}");
    }
    for answer in [
        http("200 OK", "{}"),
        http("200 OK", r#"{"calls":[{"callId":"a"}],"since":"x"}"#),
        http("500 Internal Server Error", ""),
        http("401 Unauthorized", ""),
    ] {
        let (listed, _) = list_against(std::slice::from_ref(&answer)).await;
        assert!(listed.is_err(), "{answer}");
    }
}
