//! [`Transport`]: HTTP for opendal, over the hyper and the connections that the rest of the program uses.
//!
//! opendal brings no HTTP of its own when its default features are off; its usual one would bring a second TLS provider. Connections are
//! kept and used again. Redirections are not followed: a signed request fits one host only, and a store that redirects says with it that
//! the region or endpoint is wrong, which [`super::blame`] tells. What opendal neither sends nor tells is done here, where everything passes: for S3 an MD5 of
//! each body that is put, and the signature over it ([`super::signing`]); and how long a busy store asks to be left alone. Limits: HTTP/1.1.

use std::error::Error as _;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::http::{HeaderValue, Method};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use md5::{Digest as _, Md5};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport};
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::backend::Hands;
use crate::trails::sink::fault::{Fault, FaultKind};
use crate::trails::sink::http::tls::Trust;
use crate::trails::sink::object::remote::asked::Asked;
use crate::trails::sink::object::remote::dial::Dial;
use crate::trails::sink::object::remote::signing::Keys;

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);
/// The header with the MD5 of a body, which a store holds against what came.
const CONTENT_MD5: &str = "content-md5";

/// HTTP for opendal.
#[derive(Clone)]
pub struct Transport {
    client: Client<Dial, Full<Bytes>>,
    patience: Duration,
    /// What requests are signed with that opendal does not sign.
    keys: Option<Arc<Keys>>,
    /// Whether the last byte of each body is changed on its way, as a bad line might do: to find out whether the store says so.
    alters: bool,
    asked: Asked,
    hands: Hands,
}

impl Transport {
    /// A transport with connections of its own, which believes those over TLS, and waits so long for the head of an answer (the sending of the request
    /// included) and for each piece of its body.
    #[must_use]
    pub fn new(trust: Trust, patience: Duration, hands: &Hands) -> Transport {
        let builder = &mut Client::builder(TokioExecutor::new());
        let client = builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).build(Dial::new(trust));
        Transport { client, patience, keys: None, alters: false, asked: Asked::default(), hands: hands.clone() }
    }

    /// The same connections, over which what is put has its MD5 in a header and all is signed.
    #[must_use]
    pub fn signing(self, keys: Keys) -> Transport {
        Transport { keys: Some(Arc::new(keys)), ..self }
    }

    /// The same connections, over which each body comes with another last byte.
    #[must_use]
    pub fn altering(self) -> Transport {
        Transport { alters: true, ..self }
    }

    /// How long the store asked to be left alone.
    #[must_use]
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// A request as it goes out.
    async fn passed(&self, request: Request<Buffer>) -> opendal::Result<Request<Full<Bytes>>> {
        let (mut head, body) = request.into_parts();
        let mut body = body.to_bytes();
        if let Some(keys) = &self.keys {
            if head.method == Method::PUT {
                let bytes = body.clone();
                let sum = self.hands.compute.run(move || Ok(STANDARD.encode(Md5::digest(&bytes)))).await;
                let sum = sum.map_err(|e| lost(format!("a body cannot be summed now: {e}")))?;
                head.headers.insert(CONTENT_MD5, HeaderValue::try_from(sum).map_err(|e| lost(e.to_string()))?);
            }
            keys.sign(&mut head).await?;
        }
        if self.alters {
            body = altered(&body);
        }
        Ok(Request::from_parts(head, Full::new(body)))
    }
}

/// The same with another last byte.
fn altered(body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    bytes.into()
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").finish_non_exhaustive()
    }
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let request = self.passed(request).await?;
        let answer = timeout(self.patience, self.client.request(request)).await;
        let answer = answer.map_err(|_| lost(format!("no answer within {} s", self.patience.as_secs())))?;
        let answer = answer.map_err(|e| failed(&e))?;
        self.asked.note(answer.status(), answer.headers());
        Ok(answer.map(|body| {
            let length = body.size_hint().exact();
            HttpBody::new(Pieces { body, patience: self.patience, late: Box::pin(sleep(self.patience)) }, length)
        }))
    }
}

/// The body of an answer, piece by piece, each of which has its time.
struct Pieces {
    body: Incoming,
    patience: Duration,
    late: Pin<Box<Sleep>>,
}

impl futures_core::Stream for Pieces {
    type Item = opendal::Result<Buffer>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
                ready!(self.late.as_mut().poll(context));
                return Poll::Ready(Some(Err(lost(format!("the answer broke off: nothing came for {} s", self.patience.as_secs())))));
            };
            let next = Instant::now() + self.patience;
            self.late.as_mut().reset(next);
            match frame {
                None => return Poll::Ready(None),
                Some(Err(e)) => return Poll::Ready(Some(Err(lost(format!("the answer broke off: {}", chain(&e)))))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(Buffer::from(data))));
                    }
                }
            }
        }
    }
}

/// The network failed: the same may go well later.
fn lost(message: String) -> Error {
    Error::new(ErrorKind::Unexpected, message).set_temporary()
}

/// No answer: why no connection was made, as every sink says it, or what broke one.
fn failed(error: &hyper_util::client::legacy::Error) -> Error {
    let mut cause = error.source();
    while let Some(error) = cause {
        match error.downcast_ref::<Fault>() {
            Some(fault) if fault.kind == FaultKind::Setup => return Error::new(ErrorKind::Unexpected, fault.message.clone()),
            Some(fault) => return lost(fault.message.clone()),
            None => cause = error.source(),
        }
    }
    lost(chain(error))
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}
