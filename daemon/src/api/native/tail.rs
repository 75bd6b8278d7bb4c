//! `GET /v1/tail`: matching events as they become durable, one a line, for as long as the client listens.
//!
//! A task asks the engine for the events after its position, sends them, and sleeps until the engine has published more. A comment
//! line `# SEQUENCE` every 15 seconds keeps the connection alive and says up to where the log was looked at: a client that comes
//! back with `after=SEQUENCE` misses nothing. A comment `# incomplete: ...` names what could not be read. Limits: `tails_max` clients; a
//! client that reads slowly makes its own task wait, and what waits for it is paid for out of the server's budget for answers. When that
//! is used up, fewer events are asked for at once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::error::SendError;
use tokio::time::{Instant, sleep, timeout_at};
use trail_engine::AuditLog;
use trail_engine::budget::Cancel;
use trail_engine::error::ErrorKind;
use trail_engine::id::Sequence;
use trail_engine::query::TailPage;

use crate::api::context::Context;
use crate::api::native::incomplete;
use crate::api::native::page::{NDJSON, PageBody, Style, weight};
use crate::api::native::parameters::TAIL;
use crate::api::params::Params;
use crate::api::refusal::Refusal;
use crate::api::stream::{ChannelBody, Sender};
use crate::backend::Reservation;

const HEARTBEAT: Duration = Duration::from_secs(15);
const PAGE_EVENTS_MAX: usize = 500;
const BUSY_PAUSE: Duration = Duration::from_millis(200);

pub(super) async fn follow(State(context): State<Arc<Context>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let params = Params::of_query(query.as_deref(), TAIL)?;
    let after = params.text("after").and_then(|a| a.parse().ok()).map_or_else(|| context.backend.last_sequence(), Sequence);
    let place = context.backend.tail_place()?;
    let q: Arc<str> = params.text("q").unwrap_or_default().into();
    // The first page is asked before the answer starts, so that a wrong query is an error and not a broken stream.
    let mut follower = Follower { context, q, events_max: PAGE_EVENTS_MAX };
    let first = follower.ask(after).await?;
    let (sender, body) = ChannelBody::new(1);
    tokio::spawn(run(follower, first, sender, place));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, NDJSON);
    Ok(response)
}

type Found = (TailPage, Reservation);

/// One client that follows the log.
struct Follower {
    context: Arc<Context>,
    q: Arc<str>,
    /// How many events are asked for at once: fewer after an answer that could not be paid for.
    events_max: usize,
}

impl Follower {
    /// The events after a position. An answer that is too large for the budget is asked for again in smaller pieces.
    async fn ask(&mut self, after: Sequence) -> trail_engine::Result<Found> {
        loop {
            let (q, events_max) = (self.q.clone(), self.events_max);
            let question = move |log: &AuditLog, cancel: &Cancel| log.tail(&q, after, events_max, cancel);
            let found = self.context.backend.ask_paid(question, |page| weight(&page.events)).await;
            match &found {
                Ok(_) => self.events_max = (events_max * 2).min(PAGE_EVENTS_MAX),
                Err(e) if matches!(e.kind(), ErrorKind::Busy | ErrorKind::Limit) => self.events_max = (events_max / 2).max(1),
                Err(_) => {}
            }
            match found {
                Err(e) if e.kind() == ErrorKind::Limit && events_max > 1 => {}
                found => return found,
            }
        }
    }
}

async fn run(mut follower: Follower, first: Found, sender: Sender, _place: OwnedSemaphorePermit) {
    let mut stopping = follower.context.stopping.clone();
    tokio::select! {
        () = pages(&mut follower, first, &sender) => {}
        () = sender.closed() => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
}

async fn pages(follower: &mut Follower, mut found: Found, sender: &Sender) {
    let mut published = follower.context.backend.published();
    let nothing = follower.context.backend.answers().clone();
    let mut beat = Instant::now();
    let mut told = Vec::new();
    loop {
        let (mut page, paid) = found;
        let position = page.position;
        if page.incomplete.iter().any(|gap| !told.contains(gap)) {
            let comment = Bytes::from(format!("# incomplete: {}\n", incomplete::line(&page.incomplete)));
            if sender.send(Ok(comment)).await.is_err() {
                return;
            }
            told = std::mem::take(&mut page.incomplete);
        }
        if !page.events.is_empty() || beat <= Instant::now() {
            beat = Instant::now() + HEARTBEAT;
            if send(page, paid, sender).await.is_err() {
                return;
            }
        }
        if position >= *published.borrow_and_update() {
            // New events or the next heartbeat, whichever is first. A sender that is gone means that the log is closed.
            if let Ok(Err(_)) = timeout_at(beat, published.changed()).await {
                return;
            }
        }
        found = match follower.ask(position).await {
            Ok(next) => next,
            Err(e) if e.kind() == ErrorKind::Busy => {
                sleep(BUSY_PAUSE).await;
                (TailPage { position, ..TailPage::default() }, nothing.reservation())
            }
            Err(e) => {
                tracing::warn!(error = ?e, "a followed log stops");
                // The client sees that the answer was cut off; with nobody left there is nobody to tell.
                drop(sender.send(Err(io::Error::other("the log cannot be followed"))).await);
                return;
            }
        };
    }
}

/// Sends the events, or the comment that keeps the connection alive.
async fn send(page: TailPage, paid: Reservation, sender: &Sender) -> Result<(), SendError<io::Result<Bytes>>> {
    if page.events.is_empty() {
        return sender.send(Ok(Bytes::from(format!("# {}\n", page.position)))).await;
    }
    let mut body = PageBody::new(page.events, Style::Lines, paid);
    while let Some(piece) = body.next_piece() {
        if !piece.is_empty() {
            sender.send(Ok(piece)).await?;
        }
    }
    Ok(())
}
