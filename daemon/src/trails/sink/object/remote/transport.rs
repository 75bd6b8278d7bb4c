//! [`Transport`]: HTTP for opendal, over the hyper and the connections that the rest of the program uses.
//!
//! opendal brings no HTTP of its own when its default features are off; its usual one would bring a second TLS provider. Connections are
//! kept and used again. Redirections are not followed: a signed request fits one host only, and a store that redirects says with it that
//! the region or endpoint is wrong, which [`super::blame`] tells. Limits: HTTP/1.1.

use std::error::Error as _;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport};
use tokio::time::timeout;

use crate::trails::sink::fault::{Fault, FaultKind};
use crate::trails::sink::http::tls::Trust;
use crate::trails::sink::object::remote::dial::Dial;

/// The longest wait for the head of an answer, the sending of the request included: 16 MiB at 140 KB/s.
const ANSWER: Duration = Duration::from_secs(120);
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);

/// HTTP for opendal.
pub struct Transport {
    client: Client<Dial, Full<Bytes>>,
}

impl Transport {
    /// A transport with connections of its own, which believes those over TLS.
    #[must_use]
    pub fn new(trust: Trust) -> Transport {
        let builder = &mut Client::builder(TokioExecutor::new());
        Transport { client: builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).build(Dial::new(trust)) }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").finish_non_exhaustive()
    }
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let request = request.map(|body| Full::new(body.to_bytes()));
        let answer = timeout(ANSWER, self.client.request(request)).await;
        let answer = answer.map_err(|_| lost(format!("no answer within {} s", ANSWER.as_secs())))?;
        let answer = answer.map_err(|e| failed(&e))?;
        Ok(answer.map(|body| {
            let length = body.size_hint().exact();
            HttpBody::new(Pieces(body), length)
        }))
    }
}

/// The body of an answer, piece by piece.
struct Pieces(Incoming);

impl futures_core::Stream for Pieces {
    type Item = opendal::Result<Buffer>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.0).poll_frame(context)) {
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
