//! Bytes on a socket, rather than requests of a client that knows HTTP.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::World;

/// Sends the bytes; returns everything received until the server closes.
async fn say(world: &World, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(&world.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut heard = Vec::new();
    // A reset is a close, too: the server need not read all of it.
    stream.read_to_end(&mut heard).await.unwrap_or_default();
    String::from_utf8_lossy(&heard).into_owned()
}

/// Statuses of the responses, separated by spaces.
fn statuses(heard: &str) -> String {
    let lines = heard.lines().filter_map(|line| {
        let (_, after) = line.split_once("HTTP/1.")?;
        after.split(' ').nth(1)
    });
    lines.collect::<Vec<_>>().join(" ")
}

/// `⏎` is a line end. Each line: what is sent | the statuses of all responses.
async fn check(table: &str) {
    let world = World::new().await;
    for line in table.trim().lines() {
        let (sent, expected) = line.rsplit_once('|').unwrap();
        let bytes = sent.trim().replace('⏎', "\r\n").replace('␀', "\0");
        let heard = say(&world, bytes.as_bytes()).await;
        assert_eq!(statuses(&heard), expected.trim(), "{sent}\n{heard}");
    }
    assert_eq!(world.number("select count(*) from pgdial.calls").await, 0);
    assert_eq!(world.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_closed() {
    check(
        "
        hello⏎⏎                                                      | 400
        GET⏎⏎                                                        | 400
        GET /healthz HTTP/9.9⏎⏎                                      | 400
        GET /heal␀thz HTTP/1.1⏎host: localhost⏎⏎                     | 400
        GET /healthz HTTP/1.1⏎host: localhost⏎x: a␀b⏎⏎               | 400
        GET /healthz HTTP/1.1⏎no colon here⏎⏎                        | 400
        GET /healthz HTTP/1.1⏎host : localhost⏎⏎                     | 400
        GET /healthz HTTP/1.1⏎x: a⏎ folded: b⏎⏎                      | 400
        PRI * HTTP/2.0⏎⏎SM⏎⏎                                         |
        \u{16}\u{3}\u{1}\u{2}                                        | 400
        ",
    )
    .await;
}

#[tokio::test]
async fn an_old_client_is_answered_once_and_two_requests_at_once_in_their_order() {
    check(
        "
        GET /healthz HTTP/1.0⏎⏎                                      | 200
        GET /nowhere HTTP/1.0⏎⏎                                      | 404
        GET /healthz HTTP/1.1⏎host: localhost⏎⏎GET /nowhere HTTP/1.1⏎host: localhost⏎connection: close⏎⏎ | 200 404
        POST /api/v1/calls HTTP/1.1⏎host: localhost⏎content-length: 2⏎content-type: application/json⏎⏎{}GET /healthz HTTP/1.1⏎host: localhost⏎connection: close⏎⏎ | 422 200
        GET http://localhost/healthz HTTP/1.1⏎host: localhost⏎connection: close⏎⏎ | 200
        OPTIONS * HTTP/1.1⏎host: localhost⏎connection: close⏎⏎       | 404
        CONNECT localhost:80 HTTP/1.1⏎host: localhost⏎connection: close⏎⏎ | 404
        ",
    )
    .await;
}

/// Where a proxy in front of us could split requests differently, there is at most one response and the connection
/// ends: nothing after the ambiguity is taken for a request.
#[tokio::test]
async fn nothing_can_be_smuggled_behind_a_body_of_doubtful_length() {
    check(
        "
        POST /api/v1/calls HTTP/1.1⏎host: localhost⏎content-length: 4⏎content-length: 40⏎⏎0⏎⏎GET /healthz HTTP/1.1⏎⏎ | 400
        POST /api/v1/calls HTTP/1.1⏎host: localhost⏎content-length: 4, 40⏎⏎0⏎⏎GET /healthz HTTP/1.1⏎⏎ | 400
        POST /api/v1/calls HTTP/1.1⏎host: localhost⏎content-length: +4⏎⏎abcdGET /healthz HTTP/1.1⏎⏎ | 400
        POST /api/v1/calls HTTP/1.1⏎host: localhost⏎content-length: -1⏎⏎GET /healthz HTTP/1.1⏎⏎ | 400
        POST /api/v1/calls HTTP/1.1⏎host: localhost⏎content-length: 99999999999999999999⏎⏎GET /healthz HTTP/1.1⏎⏎ | 400
        POST /api/v1/calls HTTP/1.1⏎host: localhost⏎transfer-encoding: chunked, identity⏎⏎0⏎⏎GET /healthz HTTP/1.1⏎⏎ | 400
        POST /api/v1/calls HTTP/1.1⏎host: localhost⏎transfer-encoding: xchunked⏎⏎0⏎⏎GET /healthz HTTP/1.1⏎⏎ | 400
        POST /api/v1/calls HTTP/1.0⏎transfer-encoding: chunked⏎⏎0⏎⏎GET /healthz HTTP/1.1⏎⏎ | 400
        POST /api/v1/calls HTTP/1.1⏎host: localhost⏎content-type: application/json⏎content-length: 4⏎transfer-encoding: chunked⏎⏎0⏎⏎GET /healthz HTTP/1.1⏎host: localhost⏎connection: close⏎⏎ | 400
        ",
    )
    .await;
}

#[tokio::test]
async fn a_body_in_broken_chunks_is_refused_and_closed() {
    check(
        "
        POST /api/v1/calls HTTP/1.1⏎host: localhost⏎content-type: application/json⏎transfer-encoding: chunked⏎⏎ZZ⏎{}⏎0⏎⏎ | 400
        POST /api/v1/calls HTTP/1.1⏎host: localhost⏎content-type: application/json⏎transfer-encoding: chunked⏎⏎-2⏎{}⏎0⏎⏎ | 400
        POST /api/v1/calls HTTP/1.1⏎host: localhost⏎content-type: application/json⏎transfer-encoding: chunked⏎⏎2⏎{}xx⏎0⏎⏎ | 400
        POST /api/v1/calls HTTP/1.1⏎host: localhost⏎content-type: application/json⏎transfer-encoding: chunked⏎⏎FFFFFFFFFFFFFFFFF⏎{}⏎0⏎⏎ | 400
        POST /callbacks/call-status HTTP/1.1⏎host: localhost⏎x-signature: 00⏎transfer-encoding: chunked⏎⏎ZZ⏎{}⏎0⏎⏎ | 400
        ",
    )
    .await;
}
