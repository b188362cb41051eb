//! A client of the API: one connection that stays open, one request at a time, as a caller
//! or a provider has it. It shares no code with the server's side but the parser.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
    header,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};

use super::Error;

/// One open connection.
#[derive(Debug)]
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    // Ends with the client.
    _driver: JoinSet<()>,
}

impl Client {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Result<Self, Error> {
        let failed = || Error::io(format!("the bench cannot connect to {address}"));
        let stream = TcpStream::connect(address).await.map_err(failed())?;
        stream.set_nodelay(true).map_err(failed())?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed()(std::io::Error::other(error)))?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // Its end shows in the request that it breaks.
            connection.await.ok();
        });
        Ok(Self {
            sender,
            host: address.to_string(),
            _driver: driver,
        })
    }

    /// Asks for a page.
    pub async fn get(&mut self, path: &str) -> Result<(StatusCode, Bytes), Error> {
        self.send(Method::GET, path, &[], Vec::new()).await
    }

    /// Sends JSON, and reads the whole answer.
    pub async fn post(
        &mut self,
        path: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), Error> {
        self.send(Method::POST, path, headers, body).await
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let failed = || Error::io(format!("{} did not answer the bench", self.host));
        let request = request
            .body(Full::from(body))
            .map_err(|error| failed()(std::io::Error::other(error)))?;
        let answer = async {
            self.sender.ready().await?;
            let answer = self.sender.send_request(request).await?;
            let status = answer.status();
            Ok::<_, hyper::Error>((status, answer.into_body().collect().await?.to_bytes()))
        };
        answer
            .await
            .map_err(|error| failed()(std::io::Error::other(error)))
    }
}
