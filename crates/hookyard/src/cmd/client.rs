//! Talks to a running server on behalf of a command.
//!
//! One kept-alive HTTP/1.1 connection, plain or TLS; JSON both ways. What the server refuses and what it fails at come
//! back as different kinds of [`Failure`], in the server's own words.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookyard_model::Secret;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use url::Url;

use super::failure::Failure;
use super::output::plain;

/// How long reaching the server may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one request may take.
const REQUEST: Duration = Duration::from_mins(1);
/// Bytes of an answer: a page of the largest messages.
const ANSWER_BYTES: usize = 1024 * 1024 * 1024;

/// A server and the right to ask it.
pub(crate) struct Client {
    server: Url,
    authorization: HeaderValue,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// Drives the connection; ends with the client.
    driver: JoinSet<()>,
    /// Whether it was said that the application is archived.
    has_noted: bool,
}

/// What a server answered with 2xx.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The body.
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON; null when there is none.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        if self.body.is_empty() { Ok(Value::Null) } else { self.read() }
    }

    /// The body as what the caller expects. For answers that hold payloads, which may be JSON that no [`Value`] can
    /// hold: numbers beyond every type, and nesting as deep as is allowed.
    pub(crate) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::Server(format!("the answer is not JSON, is this the address of a Hookyard server?: {error}"))
        })
    }
}

/// A request that may be repeated when the server asks for patience.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Sent as `idempotency-key`.
    pub(crate) idempotency_key: Option<String>,
}

impl Client {
    /// A client of the server at `server`.
    pub(crate) fn new(server: &str, token: &Secret<String>) -> Result<Self, Failure> {
        let url: Url = server.parse().map_err(|error| Failure::Usage(format!("`--server` is not a URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Failure::Usage("`--server` must begin with `http://` or `https://`".to_owned()));
        }
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| Failure::Usage("the token holds characters that no token has".to_owned()))?;
        authorization.set_sensitive(true);
        Ok(Self { server: url, authorization, sender: None, driver: JoinSet::new(), has_noted: false })
    }

    /// `GET` of a path below `/api/v1`, one segment each.
    pub(crate) async fn get(&mut self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, Failure> {
        self.ask(Method::GET, path, query, Bytes::new(), &Options::default()).await
    }

    /// `POST` of JSON to a path below `/api/v1`, one segment each.
    pub(crate) async fn post(&mut self, path: &[&str], body: Bytes, options: &Options) -> Result<Answer, Failure> {
        self.ask(Method::POST, path, &[("with_content", "false")], body, options).await
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Bytes,
        options: &Options,
    ) -> Result<Answer, Failure> {
        let mut url = self.server.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let asked = self.exchange(&method, &url, body, options);
        let (status, headers, body) = tokio::time::timeout(REQUEST, asked)
            .await
            .map_err(|_| self.unreachable(format_args!("no answer within {} s", REQUEST.as_secs())))??;
        if status.is_success() {
            self.note_archived(&headers);
            return Ok(Answer { body });
        }
        Err(refusal(status, &headers, &body))
    }

    /// Says once, beside what is printed, that the application takes nothing any more.
    fn note_archived(&mut self, headers: &HeaderMap) {
        let Some(why) = headers.get("hookyard-archived").filter(|_| !self.has_noted) else { return };
        self.has_noted = true;
        let why = plain(&String::from_utf8_lossy(why.as_bytes()));
        // Whether anybody reads the line changes nothing.
        let _ = writeln!(std::io::stderr(), "note: this application was archived {why}");
    }

    async fn exchange(
        &mut self,
        method: &Method,
        url: &Url,
        body: Bytes,
        options: &Options,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Failure> {
        let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let host = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::HOST, host)
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Failure::Usage(format!("this cannot be asked over HTTP: {error}")))?;
        if let Some(key) = &options.idempotency_key {
            let key = HeaderValue::try_from(key)
                .map_err(|_| Failure::Usage("`--idempotency-key` must be visible ASCII characters".to_owned()))?;
            request.headers_mut().insert("idempotency-key", key);
        }
        let sender = self.sender().await?;
        let response = sender.send_request(request).await;
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                self.sender = None;
                return Err(self.unreachable(error));
            }
        };
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| self.unreachable(error))?.to_bytes();
        Ok((head.status, head.headers, body))
    }

    /// The connection, made if there is none that is open.
    async fn sender(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Failure> {
        let open = match self.sender.take() {
            Some(mut sender) => sender.ready().await.is_ok().then_some(sender),
            None => None,
        };
        let sender = match open {
            Some(sender) => sender,
            None => match tokio::time::timeout(CONNECT, self.connect()).await {
                Ok(connected) => connected?,
                Err(_) => return Err(self.unreachable(format_args!("no connection within {} s", CONNECT.as_secs()))),
            },
        };
        Ok(self.sender.insert(sender))
    }

    async fn connect(&mut self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let host = self.server.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = self.server.port_or_known_default().unwrap_or(80);
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| self.unreachable(error))?;
        stream.set_nodelay(true).map_err(|error| self.unreachable(error))?;
        if self.server.scheme() == "http" {
            return self.drive(stream).await;
        }
        let name = rustls::pki_types::ServerName::try_from(host).map_err(|error| self.unreachable(error))?;
        let stream = tls()?.connect(name, stream).await.map_err(|error| self.unreachable(error))?;
        self.drive(stream).await
    }

    async fn drive<S>(&mut self, stream: S) -> Result<SendRequest<Full<Bytes>>, Failure>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| self.unreachable(error))?;
        self.driver.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the server broke off");
            }
        });
        Ok(sender)
    }

    fn unreachable(&self, why: impl std::fmt::Display) -> Failure {
        Failure::Unreachable(format!(
            "server `{}` cannot be reached: {why}\nhint: start it with `hookyard serve`, or name another with `--server`",
            self.server
        ))
    }
}

/// How the system's trusted authorities vouch for a server.
fn tls() -> Result<TlsConnector, Failure> {
    let mut roots = rustls::RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in native.errors {
        tracing::warn!(%error, "some of the system's certificates cannot be read");
    }
    roots.add_parsable_certificates(native.certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::Other(error.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let detail = error_text(&said).unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason given").to_owned());
    let wait = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wait = wait.map(|seconds| format!("\nhint: try again in {seconds} s")).unwrap_or_default();
    if status.is_client_error() {
        Failure::Refused(format!("server refused ({}): {detail}", status.as_u16()))
    } else {
        Failure::Server(format!("server failed ({}): {detail}{wait}", status.as_u16()))
    }
}

/// What an error body of the API says, in one line and a hint.
pub(crate) fn error_text(said: &Value) -> Option<String> {
    let detail = match &said["detail"] {
        Value::String(detail) => detail.clone(),
        Value::Array(problems) => {
            let problem = |problem: &Value| {
                let place: Vec<&str> = problem["loc"].as_array()?.iter().filter_map(Value::as_str).collect();
                Some(format!("{}: {}", place.join("."), problem["msg"].as_str()?))
            };
            problems.iter().filter_map(problem).collect::<Vec<_>>().join("; ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    let hint = said["hint"].as_str().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    // A report has a line for each fault.
    let lines: Vec<String> = detail.lines().map(super::output::plain).collect();
    Some(lines.join("\n") + &hint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refusals_are_told_in_the_servers_words() {
        for (status, body, code, text) in [
            (
                404,
                json!({"code": "not_found", "detail": "Entity not found", "hint": "h"}),
                5,
                "server refused (404): Entity not found\nhint: h",
            ),
            (
                422,
                json!({"detail": [{"loc": ["body", "eventType"], "msg": "field required", "type": "value_error"}]}),
                5,
                "server refused (422): body.eventType: field required",
            ),
            (500, json!({}), 6, "server failed (500): Internal Server Error"),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let failure = refusal(status, &HeaderMap::new(), body.to_string().as_bytes());
            assert_eq!(failure.to_string(), text);
            assert_eq!(format!("{:?}", failure.code()), format!("{:?}", std::process::ExitCode::from(code)));
        }
    }
}
