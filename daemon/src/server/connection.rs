//! [`Timed`]: a connection that ends when its client is silent for too long.
//!
//! Problem: hyper's only timer is for the headers, and it also runs between requests. A connection needs four: for the headers from
//! their first byte, for silence between requests, for a client that does not take its answer, and none while a handler works (the
//! body has its own, in `api::body`). Mechanism: reads and writes that make no progress check a deadline, which depends on what the
//! connection is doing. A client that takes its answer too slowly uses up its time as well: every second of waiting for it counts, and
//! every byte it takes earns time back, at the least rate that is put up with. Headers that did not come in time are answered here, as there is no request that hyper could answer; an idle
//! connection just ends. A head that is wrong is answered here as well, once everything before it is answered. Limits: the kernel's buffer takes bytes that the client has not read, so that neither begins before that is full.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::api::refusal::Refusal;
use crate::server::heads::Heads;

/// How long a client may be silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    /// How long a client may take nothing, or too little, of its answer.
    pub(super) write: Duration,
    /// The fewest bytes a second, on average, of an answer that waits for its client; 0 for none.
    pub(super) write_rate_min: u64,
}

impl Patience {
    /// The time that a client earns by taking so many bytes.
    fn earned(self, bytes: usize) -> Duration {
        match self.write_rate_min {
            0 => Duration::MAX,
            rate => Duration::try_from_secs_f64(bytes as f64 / rate as f64).unwrap_or(Duration::MAX),
        }
    }
}

/// How many requests of a connection are being answered.
#[derive(Debug, Clone, Default)]
pub(super) struct Working(Arc<AtomicUsize>);

impl Working {
    /// A request is being answered until this is dropped.
    pub(super) fn begin(&self) -> WorkingGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        WorkingGuard(self.0.clone())
    }
}

pub(super) struct WorkingGuard(Arc<AtomicUsize>);

impl Drop for WorkingGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer during which a request counts as being answered.
pub(super) struct WorkingBody {
    pub(super) body: Body,
    pub(super) _guard: WorkingGuard,
}

impl http_body::Body for WorkingBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Makes the whole answer to a request that cannot be read.
pub(super) type Farewell = Box<dyn Fn(&Refusal) -> Vec<u8> + Send>;

/// How much of what a client goes on sending is thrown away so that it can read why it was refused, and for how long: a connection that
/// is closed with unread bytes takes its last answer with it.
const LINGER_BYTES_MAX: usize = 1 << 20;
const LINGER: Duration = Duration::from_secs(1);

/// A connection on its way to its end.
enum Ending {
    /// What is said once everything before it is.
    Say(Vec<u8>),
    /// So much was thrown away since.
    Linger(usize, Instant),
}

/// A stream with deadlines.
pub(super) struct Timed<S> {
    stream: S,
    patience: Patience,
    farewell: Farewell,
    heads: Heads,
    ending: Option<Ending>,
    working: Working,
    /// When the first byte of the headers came; a new connection owes its first headers from the start.
    headers_since: Option<Instant>,
    progress: Instant,
    /// Since when the client has taken nothing, while something is to be written.
    write_since: Option<Instant>,
    /// How long the client has been waited for, less what it earned.
    stalled: Duration,
    read_timer: Pin<Box<Sleep>>,
    write_timer: Pin<Box<Sleep>>,
}

impl<S> Timed<S> {
    pub(super) fn new(stream: S, patience: Patience, working: Working, heads: Heads, farewell: Farewell) -> Timed<S> {
        let now = Instant::now();
        Timed {
            stream,
            patience,
            farewell,
            heads,
            ending: None,
            working,
            headers_since: Some(now),
            progress: now,
            write_since: None,
            stalled: Duration::ZERO,
            read_timer: Box::pin(sleep(patience.header)),
            write_timer: Box::pin(sleep(patience.write)),
        }
    }

    fn is_working(&self) -> bool {
        self.working.0.load(Ordering::Relaxed) > 0
    }

    /// What a write came to: progress, or a wait with a deadline.
    fn wrote(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = &written {
            // What is being answered was asked: the headers are complete.
            self.headers_since = None;
            self.progress = Instant::now();
            let waited = self.write_since.take().map_or(Duration::ZERO, |since| since.elapsed());
            let earned = self.patience.earned(*result.as_ref().unwrap_or(&0));
            self.stalled = self.stalled.saturating_add(waited).saturating_sub(earned);
            return written;
        }
        let since = *self.write_since.get_or_insert_with(Instant::now);
        let deadline = since + self.patience.write.saturating_sub(self.stalled);
        expire(&mut self.write_timer, deadline, cx).map(|ended| ended.map(|()| 0))
    }
}

impl<S: AsyncWrite + Unpin> Timed<S> {
    fn wait_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_working() {
            self.headers_since = None;
            self.progress = Instant::now();
            return Poll::Pending;
        }
        let deadline = match self.headers_since {
            Some(since) => since + self.patience.header,
            None => self.progress + self.patience.idle,
        };
        let ended = expire(&mut self.read_timer, deadline, cx);
        if ended.is_ready() && self.headers_since.take().is_some() && self.write_since.is_none() {
            // Nothing else is being written, so this cannot stand in the middle of an answer. What the kernel does not take at once is
            // left: the client was given its time.
            let refusal = Refusal::new(StatusCode::REQUEST_TIMEOUT, "headers_too_slow", "the headers came too slowly");
            drop(Pin::new(&mut self.stream).poll_write(cx, &(self.farewell)(&refusal)));
        }
        ended
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Timed<S> {
    /// Says why the connection ends, when its turn has come, and waits for the client to have heard it. Ready is the end of the stream.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(Ending::Say(answer)) = &self.ending {
            if self.is_working() || self.write_since.is_some() {
                // An answer is on its way; whoever writes it reads again afterwards.
                return Poll::Pending;
            }
            drop(Pin::new(&mut self.stream).poll_write(cx, answer));
            drop(Pin::new(&mut self.stream).poll_shutdown(cx));
            self.ending = Some(Ending::Linger(0, Instant::now() + LINGER));
        }
        let Some(Ending::Linger(thrown, deadline)) = &mut self.ending else { return Poll::Ready(Ok(())) };
        let mut piece = [0_u8; 4_096];
        while *thrown < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut piece);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => *thrown += buffer.filled().len(),
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return expire(&mut self.read_timer, *deadline, cx).map(|_| Ok(())),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// An error at the deadline. Deadlines move on with every request: the timer is set again when it went off too early, not before.
fn expire(timer: &mut Pin<Box<Sleep>>, deadline: Instant, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    if timer.deadline() > deadline {
        timer.as_mut().reset(deadline);
    }
    while timer.as_mut().poll(cx).is_ready() {
        if timer.deadline() >= deadline {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client was silent for too long")));
        }
        timer.as_mut().reset(deadline);
    }
    Poll::Pending
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Timed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ending.is_some() {
            return self.poll_end(cx);
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(result) => {
                if buffer.filled().len() > before {
                    let now = Instant::now();
                    self.progress = now;
                    self.headers_since = if self.is_working() { None } else { self.headers_since.or(Some(now)) };
                    if let Err((good, refusal)) = self.heads.feed(buffer.filled().get(before..).unwrap_or_default()) {
                        buffer.set_filled(before + good);
                        self.ending = Some(Ending::Say((self.farewell)(&refusal)));
                        return if good > 0 { Poll::Ready(result) } else { self.poll_end(cx) };
                    }
                }
                Poll::Ready(result)
            }
            Poll::Pending => self.wait_read(cx),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(written, cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.wrote(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const PATIENCE: Patience =
        Patience { header: Duration::from_secs(10), idle: Duration::from_secs(75), write: Duration::from_secs(30), write_rate_min: 100 };

    fn farewell() -> Farewell {
        Box::new(|refusal| refusal.code().as_bytes().to_vec())
    }

    fn heads() -> Heads {
        Heads::new(1 << 10)
    }

    /// What the client was sent by a server that has let go of the connection.
    async fn received(mut client: tokio::io::DuplexStream, timed: Timed<tokio::io::DuplexStream>) -> String {
        drop(timed);
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text
    }

    async fn seconds_to_end(timed: &mut Timed<tokio::io::DuplexStream>) -> u64 {
        let start = Instant::now();
        let error = timed.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn headers_must_come_soon_and_silence_may_last() {
        let (mut client, server) = duplex(1_024);
        let working = Working::default();
        let mut timed = Timed::new(server, PATIENCE, working.clone(), heads(), farewell());
        client.write_all(b"G").await.unwrap();
        timed.read_u8().await.unwrap();
        assert_eq!(seconds_to_end(&mut timed).await, 10);
        assert_eq!(received(client, timed).await, "headers_too_slow");

        let (mut client, server) = duplex(1_024);
        let mut timed = Timed::new(server, PATIENCE, working, heads(), farewell());
        client.write_all(b"G").await.unwrap();
        timed.read_u8().await.unwrap();
        timed.write_all(b"answer").await.unwrap();
        assert_eq!(seconds_to_end(&mut timed).await, 75);
        assert_eq!(received(client, timed).await, "answer", "an idle connection ends without a word");

        let (client, server) = duplex(1_024);
        let mut timed = Timed::new(server, PATIENCE, Working::default(), heads(), farewell());
        assert_eq!(seconds_to_end(&mut timed).await, 10);
        assert_eq!(received(client, timed).await, "headers_too_slow", "a request that never begins is one that is too slow");
    }

    #[tokio::test(start_paused = true)]
    async fn a_working_handler_is_not_hurried() {
        let (_client, server) = duplex(1_024);
        let working = Working::default();
        let mut timed = Timed::new(server, PATIENCE, working.clone(), heads(), farewell());
        let held = working.begin();
        assert!(tokio::time::timeout(Duration::from_secs(500), timed.read_u8()).await.is_err());
        drop(held);
        assert_eq!(seconds_to_end(&mut timed).await, 75);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_ends() {
        let (_client, server) = duplex(4);
        let mut timed = Timed::new(server, PATIENCE, Working::default(), heads(), farewell());
        let start = Instant::now();
        assert_eq!(timed.write_all(b"more than four").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    /// How long a client is put up with that takes `bytes` every ten seconds.
    async fn seconds_of_a_dripping_reader(bytes: usize) -> Option<u64> {
        let (mut client, server) = duplex(4);
        let mut timed = Timed::new(server, PATIENCE, Working::default(), heads(), farewell());
        let start = Instant::now();
        let reader = tokio::spawn(async move {
            let mut taken = vec![0; bytes];
            while client.read_exact(&mut taken).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        });
        let sent = tokio::time::timeout(Duration::from_secs(3_600), timed.write_all(&vec![0; 1 << 20])).await;
        reader.abort();
        sent.is_ok().then(|| start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_too_little_ends_and_one_that_takes_enough_stays() {
        // The allowance of 30 seconds, drained by 10 and refilled by 1 every ten seconds.
        assert_eq!(seconds_of_a_dripping_reader(100).await, Some(33));
        assert_eq!(seconds_of_a_dripping_reader(1_000).await, None);
    }

    /// A wrong head waits for the answers before it, and its answer is not lost for what the client goes on sending.
    #[tokio::test(start_paused = true)]
    async fn a_wrong_head_is_answered_in_its_turn() {
        let (mut client, server) = duplex(1 << 16);
        let working = Working::default();
        let mut timed = Timed::new(server, PATIENCE, working.clone(), heads(), farewell());
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        client.write_all(&[b"GET / HTTP/1.1\r\n\r\n", [b'x'; 9_000].as_slice()].concat()).await.unwrap();
        let mut taken = vec![0; 4_096];
        assert_eq!(timed.read(&mut taken).await.unwrap(), 27, "what is right is passed on, and no more");
        let held = working.begin();
        assert!(tokio::time::timeout(Duration::from_secs(5), timed.read(&mut taken)).await.is_err(), "it did not wait");
        timed.write_all(b"answer ").await.unwrap();
        drop(held);
        let start = Instant::now();
        assert_eq!(timed.read(&mut taken).await.unwrap(), 0, "the wrong head was passed on");
        assert_eq!(start.elapsed(), LINGER);
        assert_eq!(received(client, timed).await, "answer invalid_request");
    }
}
