//! Asks a server under test over its API.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use super::wire::Connection;

/// A connection to a server under test.
pub(crate) struct Client {
    connection: Connection,
    address: SocketAddr,
    token: String,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, token: String) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("connecting to the server")?;
        Ok(Self { connection: Connection::new(stream)?, address, token })
    }

    /// Gets a JSON answer.
    pub(crate) async fn get<T: DeserializeOwned>(&mut self, path: &str) -> anyhow::Result<T> {
        self.send("GET", path, "").await
    }

    /// Posts JSON and gets a JSON answer.
    pub(crate) async fn post<T: DeserializeOwned>(&mut self, path: &str, body: &str) -> anyhow::Result<T> {
        self.send("POST", path, body).await
    }

    /// Gets an answer as text.
    pub(crate) async fn text(&mut self, path: &str) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&self.exchange("GET", path, "").await?).into_owned())
    }

    async fn send<T: DeserializeOwned>(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<T> {
        let answer = self.exchange(method, path, body).await?;
        serde_json::from_slice(&answer).with_context(|| format!("reading the answer of {method} {path}"))
    }

    async fn exchange(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<Vec<u8>> {
        let Self { address, token, .. } = self;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.connection.write(request.as_bytes()).await?;
        let (status, answer) = self.connection.response_with(|status, body| (status, body.to_vec())).await?;
        let text = String::from_utf8_lossy(&answer);
        ensure!((200..300).contains(&status), "{method} {path} was answered {status}: {text}");
        Ok(answer)
    }
}
