//! [`ChannelBody`]: an answer whose bytes come from a task, with backpressure.
//!
//! The channel is bounded, so that a task that produces faster than the client reads waits. When the client goes away the body is
//! dropped, and the task sees its channel closed. An error ends the connection in the middle, so that no client takes a torn
//! answer for a whole one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc;

/// Where the task puts the bytes.
pub type Sender = mpsc::Sender<io::Result<Bytes>>;

/// The body at the other end.
#[derive(Debug)]
pub struct ChannelBody(mpsc::Receiver<io::Result<Bytes>>);

impl ChannelBody {
    /// A channel that holds so many pieces.
    #[must_use]
    pub fn new(pieces: usize) -> (Sender, ChannelBody) {
        let (sender, receiver) = mpsc::channel(pieces);
        (sender, ChannelBody(receiver))
    }
}

impl Body for ChannelBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|result| result.map(Frame::data)))
    }
}
