//! [`Client`]: HTTP to a server, blocking, with connections kept alive.
//!
//! Every way in which an answer is no answer becomes a [`Failure`] with its exit code here, so that commands only see good
//! answers. A proxy from the environment is not used for loopback addresses.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::config::ConfigBuilder;
use ureq::http::{Request, Response};
use ureq::typestate::AgentScope;
use ureq::{Agent, Body};

use crate::cli::exit::{Exit, Failure};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the server may be silent: a tail has a sign of life every 15 s, a query ends after 30 s.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// The longest answer that is held, in bytes: a page of 10,000 events of 1 MiB would be more, and is asked for in smaller pages.
const ANSWER_BYTES_MAX: u64 = 1 << 30;

/// The longest error text that is read.
const ERROR_BYTES_MAX: u64 = 1 << 20;

/// A server to ask.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    base: String,
    authorization: Option<String>,
    loopback: bool,
}

/// The key is a secret, so it is left out.
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

/// An answer with its status, whatever it is.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long the server asks to wait, in seconds.
    pub retry_after: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Debug, Deserialize)]
struct ErrorDetail {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    position: Option<u64>,
}

impl Client {
    /// A client for a base URL, with an optional key and certificates to trust (PEM).
    ///
    /// # Errors
    /// When the URL is none, or the certificates cannot be read.
    pub fn new(url: &str, key: Option<&str>, authorities: Option<&str>) -> Result<Client, Failure> {
        let base = url.trim_end_matches('/').to_owned();
        let host = host(&base).ok_or_else(|| Failure::usage(format!("`{url}` is no server address: expected http://HOST:PORT")))?;
        let loopback = host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        if key.is_some_and(|key| !key.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Failure::usage("the key has characters that no key has; is it cut off or a file with more in it?"));
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("traild/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(SILENCE_MAX));
        if loopback {
            config = config.proxy(None);
        }
        if let Some(pem) = authorities {
            config = trusting(config, pem)?;
        }
        let authorization = key.map(|key| format!("Bearer {key}"));
        Ok(Client { agent: Agent::new_with_config(config.build()), base, authorization, loopback })
    }

    /// Whether the server is on this machine, so that compression buys nothing.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Asks for a JSON answer.
    ///
    /// # Errors
    /// `Unreachable`, or `Refused` with the server's words.
    pub fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, Failure> {
        let body = self.get_bytes(path, query)?;
        serde_json::from_slice(&body).map_err(|e| Failure::new(Exit::Refused, format!("{} does not answer as a traild: {e}", self.base)))
    }

    /// Asks for an answer as it comes.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn get_bytes(&self, path: &str, query: &[(&str, String)]) -> Result<Vec<u8>, Failure> {
        let response = self.call(path, query)?;
        response.into_body().into_with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(|e| self.unreachable(&e))
    }

    /// Asks for an answer that comes line by line and may never end.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn get_lines(&self, path: &str, query: &[(&str, String)]) -> Result<impl BufRead + use<>, Failure> {
        let response = self.call(path, query)?;
        Ok(BufReader::with_capacity(64 << 10, response.into_body().into_with_config().limit(u64::MAX).reader()))
    }

    /// Sends events; every status is an answer.
    ///
    /// # Errors
    /// `Unreachable`.
    pub fn post_events(&self, body: &[u8], content_type: &str, encoding: Option<&str>) -> Result<Answer, Failure> {
        let mut request = self.agent.post(format!("{}/v1/events", self.base)).content_type(content_type);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        if let Some(encoding) = encoding {
            request = request.header("Content-Encoding", encoding);
        }
        let response = request.send(body).map_err(|e| self.unreachable(&e))?;
        let retry_after = response.headers().get("Retry-After").and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse().ok());
        let status = response.status().as_u16();
        let body = response.into_body().into_with_config().limit(ERROR_BYTES_MAX << 4).read_to_vec().map_err(|e| self.unreachable(&e))?;
        Ok(Answer { status, retry_after, body })
    }

    /// Sends an order, with a JSON body or without one; the answer is JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn send<T: DeserializeOwned>(&self, method: &str, path: &str, body: Option<&serde_json::Value>) -> Result<T, Failure> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base)).header("Content-Type", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let body = body.map(serde_json::Value::to_string).unwrap_or_default();
        let request = request.body(body).map_err(|e| Failure::usage(format!("`{}{path}` cannot be asked for: {e}", self.base)))?;
        let response = good(self.agent.run(request).map_err(|e| self.unreachable(&e))?, None)?;
        let body = response.into_body().into_with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(|e| self.unreachable(&e))?;
        serde_json::from_slice(&body).map_err(|e| Failure::new(Exit::Refused, format!("{} does not answer as a traild: {e}", self.base)))
    }

    fn call(&self, path: &str, query: &[(&str, String)]) -> Result<Response<Body>, Failure> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in query {
            request = request.query(*name, value);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let response = request.call().map_err(|e| self.unreachable(&e))?;
        good(response, query.iter().find(|(name, _)| *name == "q").map(|(_, value)| value.as_str()))
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        match error {
            ureq::Error::Tls(_) | ureq::Error::TlsRequired if !cfg!(feature = "tls") => {
                Failure::usage("this build has no TLS (feature `tls`): use an http:// address")
            }
            ureq::Error::BadUri(text) => Failure::usage(format!("`{}` is no server address: {text}", self.base)),
            error => Failure::new(Exit::Unreachable, format!("cannot reach {}: {error}", self.base)),
        }
    }
}

/// The answer when it is a good one, else what it says.
fn good(response: Response<Body>, q: Option<&str>) -> Result<Response<Body>, Failure> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let mut body = Vec::new();
    let mut reader = response.into_body().into_reader().take(ERROR_BYTES_MAX);
    // An error whose text cannot be read is still an error with a status.
    if reader.read_to_end(&mut body).is_err() {
        body.clear();
    }
    Err(refusal(status, &body, q))
}

/// What a status other than 200 means, with the place in the query when the server names it.
#[must_use]
pub fn refusal(status: u16, body: &[u8], q: Option<&str>) -> Failure {
    let Ok(ErrorBody { error }) = serde_json::from_slice::<ErrorBody>(body) else {
        return Failure::new(Exit::Refused, format!("the server answers with status {status}"));
    };
    let mut message = match status {
        401 => format!("{} (give a key with --key-file or TRAILD_KEY)", error.message),
        _ => error.message,
    };
    if let (Some(position), Some(q)) = (error.position, q.filter(|q| !q.contains(char::is_control))) {
        let before = q.get(..usize::try_from(position).unwrap_or(usize::MAX)).unwrap_or(q);
        message.push_str(&format!("\n  {q}\n  {}^", " ".repeat(crate::cli::terminal::text::width(before))));
    }
    if message.is_empty() {
        message = format!("status {status} {}", error.code);
    }
    Failure::new(Exit::Refused, message)
}

/// The host of an http:// or https:// URL.
fn host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let end = match authority.strip_prefix('[') {
        Some(v6) => v6.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    authority.get(..end).filter(|host| !host.is_empty() && !host.contains('@'))
}

/// What an agent is made of, before it is one.
type Settings = ConfigBuilder<AgentScope>;

#[cfg(feature = "tls")]
fn trusting(settings: Settings, pem: &str) -> Result<Settings, Failure> {
    use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
    let mut certificates = Vec::new();
    for item in parse_pem(pem.as_bytes()) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(e) => return Err(Failure::usage(format!("cannot read the certificates: {e}"))),
        }
    }
    if certificates.is_empty() {
        return Err(Failure::usage("the file of certificates has none"));
    }
    Ok(settings.tls_config(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&certificates)).build()))
}

#[cfg(not(feature = "tls"))]
fn trusting(_: Settings, _: &str) -> Result<Settings, Failure> {
    Err(Failure::usage("this build has no TLS (feature `tls`)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_addresses() {
        for (url, expected) in [
            ("http://127.0.0.1:8700", Some("127.0.0.1")),
            ("https://audit.example.com", Some("audit.example.com")),
            ("http://[::1]:8700/base", Some("[::1]")),
            ("127.0.0.1:8700", None),
            ("ftp://x", None),
            ("http://", None),
            ("http://user:pw@host", Some("user")),
        ] {
            assert_eq!(host(url), expected, "{url}");
        }
        assert!(Client::new("http://[::1]:8700/", None, None).unwrap().is_loopback());
        assert!(Client::new("http://localhost:8700", None, None).unwrap().is_loopback());
        assert!(!Client::new("http://10.0.0.1:8700", None, None).unwrap().is_loopback());
        assert_eq!(Client::new("http://x", Some("a b"), None).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn points_at_the_place_in_a_query() {
        let body = br#"{"error":{"code":"invalid_query","message":"unknown dimension `usr`","position":5}}"#;
        let failure = refusal(400, body, Some("a:b  usr:x"));
        assert_eq!(failure.exit, Exit::Refused);
        assert_eq!(failure.message, "unknown dimension `usr`\n  a:b  usr:x\n       ^");
        assert_eq!(refusal(502, b"<html>", None).message, "the server answers with status 502");
    }

    #[test]
    fn nobody_listening_is_unreachable() {
        // A port that was free a moment ago, on loopback.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let client = Client::new(&format!("http://127.0.0.1:{port}"), None, None).unwrap();
        assert_eq!(client.get::<serde_json::Value>("/v1/count", &[]).unwrap_err().exit, Exit::Unreachable);
    }
}
