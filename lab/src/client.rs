//! A cheap HTTP client: one kept connection, one request at a time. On a machine with few CPUs, whatever the client
//! uses is missing to the server.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};

use super::Error;

/// One kept connection.
#[derive(Debug)]
pub struct Client {
    send: SendRequest<Full<Bytes>>,
    host: String,
    authorization: String,
    // Aborted when the client is dropped.
    _connection: JoinSet<()>,
}

impl Client {
    /// Connects; `key` is the API key.
    pub async fn connect(address: SocketAddr, key: &str) -> Result<Self, Error> {
        let failed = || format!("cannot connect to {address}");
        let stream = TcpStream::connect(address)
            .await
            .map_err(Error::io(failed()))?;
        stream.set_nodelay(true).map_err(Error::io(failed()))?;
        let (send, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Error::io(failed())(std::io::Error::other(error)))?;
        let mut running = JoinSet::new();
        running.spawn(async move {
            // Errors surface in the next request.
            connection.await.ok();
        });
        Ok(Self {
            send,
            host: address.to_string(),
            authorization: format!("Bearer {key}"),
            _connection: running,
        })
    }

    /// Posts JSON; returns status and body.
    pub async fn post(&mut self, path: &str, json: String) -> Result<(StatusCode, Bytes), Error> {
        self.post_with(path, &[], json).await
    }

    /// Opens a stream; its body has no end.
    pub async fn follow(&mut self, path: &str) -> Result<Incoming, Error> {
        let request = Request::get(path)
            .header("host", &self.host)
            .header("authorization", &self.authorization)
            .header("accept", "text/event-stream")
            .body(Full::default())
            .map_err(|error| Error::Wrong(format!("a request cannot be made: {error}")))?;
        let answer = self.send.send_request(request).await;
        let answer =
            answer.map_err(|error| Error::io("a request failed")(std::io::Error::other(error)))?;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            other => Err(Error::Wrong(format!("{path} was answered {other}"))),
        }
    }

    /// Gets; returns status and body.
    pub async fn get(&mut self, path: &str) -> Result<(StatusCode, Bytes), Error> {
        let request = Request::get(path)
            .header("host", &self.host)
            .header("accept", "text/html")
            .body(Full::default());
        self.answer(request).await
    }

    /// As [`Self::post`], with more headers.
    pub async fn post_with(
        &mut self,
        path: &str,
        headers: &[(&'static str, String)],
        json: String,
    ) -> Result<(StatusCode, Bytes), Error> {
        let mut request = Request::post(path)
            .header("host", &self.host)
            .header("authorization", &self.authorization)
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        self.answer(request.body(Full::new(Bytes::from(json))))
            .await
    }

    async fn answer(
        &mut self,
        request: Result<Request<Full<Bytes>>, hyper::http::Error>,
    ) -> Result<(StatusCode, Bytes), Error> {
        let failed =
            |error: hyper::Error| Error::io("a request failed")(std::io::Error::other(error));
        let request =
            request.map_err(|error| Error::Wrong(format!("a request cannot be made: {error}")))?;
        // The connection may still be busy with the end of the last response.
        self.send.ready().await.map_err(failed)?;
        let answer = self.send.send_request(request).await.map_err(failed)?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(failed)?;
        Ok((status, body.to_bytes()))
    }
}
