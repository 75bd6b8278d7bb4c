//! Reads a request body within its bounds: length, whole time, slowness, and the server's budget of bytes.
//!
//! Every byte buys time: after a grace of ten seconds a body must have come at the minimum rate on average, so that the deadline
//! for the next piece is simply a moment after the start that moves with what has come.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::api::refusal::Refusal;
use crate::backend::Reservation;

/// How long any body may take, whatever its rate.
const GRACE: Duration = Duration::from_secs(10);

/// How long a body waits for its turn before a byte of it is read. Under load that is longer than a turn takes; in overload it bounds how often
/// a connection is refused: refusals cost too, and at ten times the load they left a tenth of the throughput when they came at once.
const TURN: Duration = Duration::from_secs(1);

/// The bounds of a body.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most bytes as sent.
    pub bytes_max: u64,
    /// The longest time.
    pub time_max: Duration,
    /// The fewest bytes a second after the grace; 0 for none.
    pub rate_min: u64,
}

/// Reads a whole body; its bytes are paid for by `reservation`.
///
/// # Errors
/// 413 too long, 408 too slow, 429 no budget, 400 when the client stopped in the middle.
pub async fn read(body: Body, limits: Limits, reservation: &mut Reservation) -> Result<Bytes, Refusal> {
    // What the client announced is paid for at once, before a byte of it is read.
    let announced = body.size_hint().exact().unwrap_or(0);
    if announced > limits.bytes_max {
        return Err(too_large(limits.bytes_max));
    }
    reservation.begin(announced, TURN).await?;
    let start = Instant::now();
    let mut body = body;
    let mut pieces = Pieces { announced: usize::try_from(announced).unwrap_or(0), ..Pieces::default() };
    loop {
        let deadline = start + allowed(limits, pieces.bytes);
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| too_slow())?;
        let Some(frame) = frame else { return Ok(pieces.finish()) };
        let frame = frame.map_err(|_| Refusal::bad_request("body_broken", "the body ended before its end"))?;
        let Ok(data) = frame.into_data() else { continue };
        let bytes = pieces.bytes + data.len() as u64;
        if bytes > limits.bytes_max {
            return Err(too_large(limits.bytes_max));
        }
        if bytes > announced {
            reservation.grow(bytes - pieces.bytes.max(announced))?;
        }
        pieces.push(data);
    }
}

fn allowed(limits: Limits, received: u64) -> Duration {
    match received.checked_div(limits.rate_min) {
        Some(seconds) => limits.time_max.min(GRACE.saturating_add(Duration::from_secs(seconds))),
        None => limits.time_max,
    }
}

fn too_large(bytes_max: u64) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        format!("the body is longer than {bytes_max} bytes; send fewer events at once"),
    )
}

fn too_slow() -> Refusal {
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "the body came too slowly")
}

/// The first piece is kept as it came, since most bodies come in one; more are joined.
#[derive(Default)]
struct Pieces {
    /// How many bytes there will be, if that is known: room for them is made once.
    announced: usize,
    first: Bytes,
    joined: BytesMut,
    bytes: u64,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len() as u64;
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = piece;
            return;
        }
        if self.joined.is_empty() {
            self.joined.reserve(self.announced);
            self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.joined.extend_from_slice(&piece);
    }

    fn finish(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;
    use crate::api::stream::ChannelBody;
    use crate::backend::ByteBudget;

    const LIMITS: Limits = Limits { bytes_max: 100, time_max: Duration::from_secs(60), rate_min: 10 };

    fn status(result: Result<Bytes, Refusal>) -> u16 {
        result.unwrap_err().into_response().status().as_u16()
    }

    #[tokio::test]
    async fn joins_pieces_and_counts_them() {
        let budget = ByteBudget::new("bodies", 1 << 20);
        let (sender, body) = ChannelBody::new(4);
        for piece in ["ab", "cd", "e"] {
            sender.send(Ok(Bytes::from_static(piece.as_bytes()))).await.unwrap();
        }
        drop(sender);
        let mut reservation = budget.reservation();
        assert_eq!(read(Body::new(body), LIMITS, &mut reservation).await.unwrap(), "abcde");
        assert_eq!(budget.reserved_bytes(), 1 << 10);
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_what_is_too_long_or_too_much() {
        let budget = ByteBudget::new("bodies", 1 << 10);
        assert_eq!(status(read(Body::from("x".repeat(101)), LIMITS, &mut budget.reservation()).await), 413);
        let (sender, body) = ChannelBody::new(4);
        sender.send(Ok(Bytes::from("x".repeat(101)))).await.unwrap();
        assert_eq!(status(read(Body::new(body), LIMITS, &mut budget.reservation()).await), 413);
        let mut all = budget.reservation();
        all.grow(1 << 10).unwrap();
        assert_eq!(status(read(Body::from("x"), LIMITS, &mut budget.reservation()).await), 429);
        let (sender, body) = ChannelBody::new(4);
        sender.send(Err(std::io::Error::other("reset"))).await.unwrap();
        assert_eq!(status(read(Body::new(body), LIMITS, &mut ByteBudget::new("bodies", 1 << 20).reservation()).await), 400);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dripping_body_ends() {
        let (sender, body) = ChannelBody::new(1);
        let drip = tokio::spawn(async move {
            while sender.send(Ok(Bytes::from_static(b"x"))).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(2)).await
            }
        });
        let start = Instant::now();
        assert_eq!(status(read(Body::new(body), LIMITS, &mut ByteBudget::new("bodies", 1 << 20).reservation()).await), 408);
        assert!(start.elapsed() < Duration::from_secs(13), "{:?}", start.elapsed());
        drip.await.unwrap();
    }
}
