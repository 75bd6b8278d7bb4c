//! [`Caller`]: requests to one service, one after the other.
//!
//! A connection is kept between requests and made again when it is gone: a request that failed on a kept connection before any answer began
//! is sent once more on a fresh one, since closing it is what a service does with idle connections. The repeat is harmless as far as
//! any repeat of the worker is. Limits: an answer has a time to be complete, and at most [`ANSWER_BYTES_MAX`] bytes: of a longer one the status is
//! known and the body is not, which a sink that reads it takes for a batch that was too large.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::trails::sink::fault::Fault;
use crate::trails::sink::http::address::Address;
use crate::trails::sink::http::connection::connect;
use crate::trails::sink::http::tls::Trust;

/// The most bytes of an answer.
pub const ANSWER_BYTES_MAX: usize = 8 << 20;
/// A connection that was idle for longer is not used again.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// Requests to one service.
#[derive(Debug)]
pub struct Caller {
    address: Address,
    trust: Option<Trust>,
    fixed: HeaderMap,
    patience: Duration,
    kept: Mutex<Option<Kept>>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is asked for.
    pub method: Method,
    /// Path and query, beginning with a slash.
    pub path: String,
    /// Its headers beside those that every request has.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// The whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty when it was cut off.
    pub body: Bytes,
    /// Whether the body was longer than [`ANSWER_BYTES_MAX`]. The status stands all the same.
    pub cut: bool,
}

/// A connection that can take a request.
#[derive(Debug)]
struct Kept {
    sender: SendRequest<Full<Bytes>>,
    /// Moves its bytes; ends with it.
    _bytes: JoinSet<()>,
    used_at: Instant,
}

impl Caller {
    /// Calls a service with headers that every request has, and waits so long from the first byte of a request to the last of its answer.
    #[must_use]
    pub fn new(address: Address, trust: Option<Trust>, fixed: HeaderMap, patience: Duration) -> Caller {
        Caller { address, trust, fixed, patience, kept: Mutex::new(None) }
    }

    /// Where the service is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a request and reads its answer, whatever its status.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn call(&self, call: &Call) -> Result<Answer, Fault> {
        // Taken out: whoever drops this in the middle drops the connection with it.
        let kept = self.kept.lock().await.take();
        if let Some(kept) = kept.filter(|kept| kept.used_at.elapsed() < IDLE_MAX && !kept.sender.is_closed())
            && let Ok(answer) = self.ask(kept, call).await?
        {
            return Ok(answer);
        }
        let fresh = self.connect().await?;
        self.ask(fresh, call).await?.map_err(|e| self.broken(&e))
    }

    /// One request over a connection; the inner error is one from before any answer began.
    async fn ask(&self, mut kept: Kept, call: &Call) -> Result<hyper::Result<Answer>, Fault> {
        let asked = timeout(self.patience, async {
            match self.send(&mut kept, call).await {
                Ok(response) => self.read(response).await.map(Ok),
                Err(error) => Ok(Err(error)),
            }
        });
        let late = |_| Fault::later(format!("{} gave no whole answer within {} s", self.address, self.patience.as_secs()));
        let answered = asked.await.map_err(late)??;
        // What is left of an answer that was cut off stands in the way of the next.
        if answered.as_ref().is_ok_and(|answer| !answer.cut) {
            kept.used_at = Instant::now();
            *self.kept.lock().await = Some(kept);
        }
        Ok(answered)
    }

    async fn connect(&self) -> Result<Kept, Fault> {
        let stream = connect(&self.address.host, self.address.port, self.trust.as_ref()).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| self.broken(&e))?;
        let mut bytes = JoinSet::new();
        // What it ends with is told to who waits for the answer.
        bytes.spawn(async move { drop(connection.await) });
        Ok(Kept { sender, _bytes: bytes, used_at: Instant::now() })
    }

    async fn send(&self, kept: &mut Kept, call: &Call) -> hyper::Result<Response<hyper::body::Incoming>> {
        kept.sender.ready().await?;
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        // Paths are made of checked parts: one that is none leads to the root, which refuses.
        *request.uri_mut() = call.path.parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.extend(self.fixed.clone());
        headers.extend(call.headers.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("traild/", env!("CARGO_PKG_VERSION"))));
        if let (false, Ok(host)) = (headers.contains_key(HOST), HeaderValue::try_from(self.address.authority())) {
            headers.insert(HOST, host);
        }
        if call.body.is_empty() && call.method == Method::POST {
            // hyper says nothing of a body that is empty, and some services want to know.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        kept.sender.send_request(request).await
    }

    async fn read(&self, response: Response<hyper::body::Incoming>) -> Result<Answer, Fault> {
        let (head, body) = response.into_parts();
        let body = match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
            Ok(body) => Some(body.to_bytes()),
            Err(e) if e.is::<LengthLimitError>() => None,
            Err(e) => return Err(Fault::later(format!("the answer of {} broke off: {e}", self.address))),
        };
        Ok(Answer { status: head.status, headers: head.headers, cut: body.is_none(), body: body.unwrap_or_default() })
    }

    fn broken(&self, error: &hyper::Error) -> Fault {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Fault::later(format!("no answer from {}: {error}{cause}", self.address))
    }
}

/// Adds a header, in place of one of that name; `secret` keeps its value out of every log.
///
/// # Errors
/// A sentence that names the header, never its value.
pub fn put(headers: &mut HeaderMap, name: &str, value: &str, secret: bool) -> Result<(), String> {
    let wrong = || format!("the header `{name}` cannot be sent: it has characters that no header has");
    let key = HeaderName::try_from(name).map_err(|_| wrong())?;
    let mut text = HeaderValue::try_from(value).map_err(|_| wrong())?;
    text.set_sensitive(secret);
    headers.insert(key, text);
    Ok(())
}
