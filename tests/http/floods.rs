use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use pgdial::http::Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};

use crate::support::{PATIENCE, Send, ServerOptions, World};

async fn world_of(server: Server, more: Router) -> World {
    World::with(ServerOptions {
        server,
        more,
        ..ServerOptions::default()
    })
    .await
}

/// Everything the server sends until it closes; nothing here closes the connection.
async fn heard(mut stream: TcpStream) -> String {
    let mut heard = Vec::new();
    let read = stream.read_to_end(&mut heard);
    // A reset is a close, too.
    let closed = tokio::time::timeout(PATIENCE, read).await;
    assert!(closed.is_ok(), "the server did not close");
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test]
async fn of_too_many_connections_each_is_answered_in_its_turn() {
    const MOST: u8 = 4;
    let (active, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (started, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let handler = {
        let (active, peak) = (active.clone(), peak.clone());
        let (started, go_on) = (started.clone(), go_on.clone());
        move || async move {
            let now = active.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(now, Ordering::SeqCst);
            started.add_permits(1);
            go_on.acquire().await.unwrap().forget();
            active.fetch_sub(1, Ordering::SeqCst);
            "done"
        }
    };
    let server = Server {
        most_connections: MOST.into(),
        ..Server::default()
    };
    let world = world_of(server, Router::new().route("/slow", get(handler))).await;
    let mut clients = JoinSet::new();
    for _ in 0..5 * MOST {
        let mut stream = TcpStream::connect(&world.address).await.unwrap();
        let ask = b"GET /slow HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        clients.spawn(heard(stream));
    }
    started.acquire_many(MOST.into()).await.unwrap().forget();
    go_on.add_permits((5 * MOST).into());
    for answer in clients.join_all().await {
        assert!(answer.ends_with("done"), "{answer}");
    }
    assert_eq!(peak.load(Ordering::SeqCst), usize::from(MOST));
}

#[tokio::test]
async fn connections_that_say_nothing_give_way_to_others() {
    let server = Server {
        most_connections: 4,
        header_timeout: Duration::from_millis(200),
        ..Server::default()
    };
    let world = world_of(server, Router::new()).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(TcpStream::connect(&world.address).await.unwrap());
    }
    world.until_served().await;
    for stream in idle {
        assert!(!heard(stream).await.contains("200 OK"));
    }
}

#[tokio::test]
async fn of_clients_that_keep_us_waiting_the_first_give_way_to_whoever_comes() {
    const MOST: usize = 4;
    let server = Server {
        most_connections: MOST,
        ..Server::default()
    };
    let world = world_of(server, Router::new()).await;
    let mut slow = Vec::new();
    for _ in 0..2 * MOST {
        let mut stream = TcpStream::connect(&world.address).await.unwrap();
        let ask = b"POST /api/v1/calls HTTP/1.1\r\nhost: localhost\r\n\
                    content-type: application/json\r\ncontent-length: 100\r\n\r\n{";
        stream.write_all(ask).await.unwrap();
        slow.push(stream);
    }
    world.until_served().await;
    let mut clients = JoinSet::new();
    for stream in slow {
        clients.spawn(heard(stream));
    }
    let answers = clients.join_all().await;
    let (sent_away, heard_out): (Vec<_>, Vec<_>) = answers.iter().partition(|text| text.is_empty());
    assert_eq!(sent_away.len(), MOST + 1, "{answers:?}");
    assert!(
        heard_out
            .iter()
            .all(|text| text.starts_with("HTTP/1.1 408")),
        "{heard_out:?}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let server = Server {
        most_connections: 1,
        stall_timeout: Duration::from_millis(200),
        ..Server::default()
    };
    let world = world_of(server, Router::new()).await;
    let mut greedy = TcpStream::connect(&world.address).await.unwrap();
    // More than any socket buffers.
    let ask = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(400);
    greedy.write_all(ask.as_bytes()).await.unwrap();
    // There is only one connection, so this request is served once the other is gone.
    world.until_served().await;
    assert!(heard(greedy).await.matches("200 OK").count() < 400);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_and_its_connection_closed() {
    let world = World::new().await;
    let mut clients = JoinSet::new();
    for path in [
        "/api/v1/calls",
        "/api/v1/calls/batch",
        "/api/v1/calls/0197f5e0-0000-7000-8000-000000000001/cancel",
        "/callbacks/call-status",
    ] {
        let mut stream = TcpStream::connect(&world.address).await.unwrap();
        let ask = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nx-signature: 00\r\n\
             content-length: 100\r\n\r\n{{"
        );
        stream.write_all(ask.as_bytes()).await.unwrap();
        clients.spawn(heard(stream));
    }
    for answer in clients.join_all().await {
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("\"body_too_slow\""), "{answer}");
    }
    world.until_served().await;
}

#[tokio::test]
async fn a_body_without_end_is_refused_before_its_end() {
    let world = World::new().await;
    let stream = TcpStream::connect(&world.address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let ask = "POST /callbacks/call-status HTTP/1.1\r\nhost: localhost\r\nx-signature: 00\r\n\
               transfer-encoding: chunked\r\n\r\n";
    write.write_all(ask.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    // Ends only because the server closes.
    let endless = async { while write.write_all(chunk.as_bytes()).await.is_ok() {} };
    let mut heard = Vec::new();
    let read = read.read_to_end(&mut heard);
    let both = tokio::time::timeout(PATIENCE, async { tokio::join!(endless, read) });
    assert!(both.await.is_ok(), "the server did not close");
    let heard = String::from_utf8_lossy(&heard);
    assert!(
        heard.is_empty() || heard.starts_with("HTTP/1.1 413"),
        "{heard}"
    );
    world.until_served().await;
}

#[tokio::test]
async fn a_webhook_that_claims_no_signature_is_refused_without_its_body() {
    let world = World::new().await;
    let mut clients = JoinSet::new();
    for path in [
        "/callbacks/call-status",
        "/callbacks/call-status/nowhere",
        "/callbacks/call-status?trunk=nowhere",
    ] {
        // It announces more data and never sends it.
        let mut stream = TcpStream::connect(&world.address).await.unwrap();
        let ask = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n\
             content-length: 4000000\r\n\r\n"
        );
        stream.write_all(ask.as_bytes()).await.unwrap();
        clients.spawn(heard(stream));
    }
    for answer in clients.join_all().await {
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(answer.contains("\"webhook_rejected\""), "{answer}");
    }
    world.until_served().await;
}

/// Forged endless bodies use up all the room for large ones. Small bodies need no such room, and a large one gets 429
/// and is redelivered.
#[tokio::test]
async fn large_bodies_of_strangers_take_no_more_than_their_room() {
    const LARGEST: usize = 64 * 1024;
    let world = World::with(ServerOptions {
        largest_webhook: LARGEST,
        ..ServerOptions::default()
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(&world.address).await.unwrap();
        let ask = format!(
            "POST /callbacks/call-status HTTP/1.1\r\nhost: localhost\r\nx-signature: 00\r\n\
             content-length: {LARGEST}\r\n\r\n{}",
            "x".repeat(LARGEST - 1)
        );
        stream.write_all(ask.as_bytes()).await.unwrap();
        held.push(stream);
    }
    let send = |length: usize| {
        let ask = world.ask("POST", "/callbacks/call-status");
        ask.header("x-signature", "00")
            .body("x".repeat(length))
            .answer()
    };
    let until = async |status: u16| while send(LARGEST).await.status != status {};
    let full = tokio::time::timeout(PATIENCE, until(429)).await;
    assert!(full.is_ok(), "there is always room");
    let refused = send(LARGEST).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (429, "no_room"));
    assert!(refused.header("retry-after").parse::<u32>().is_ok());
    assert_eq!(send(1000).await.status, 401);
    drop(held);
    let free = tokio::time::timeout(PATIENCE, until(401)).await;
    assert!(free.is_ok(), "there is never room again");
}
