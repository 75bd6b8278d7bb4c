//! `GET /v1/tail`: matching events as they become durable, one a line, for as long as the client listens.
//!
//! A task asks the engine for the events after its position, sends them, and sleeps until the engine has published more. A comment
//! line `# SEQUENCE` every 15 seconds keeps the connection alive and says up to where the log was looked at: a client that comes
//! back with `after=SEQUENCE` misses nothing. A comment `# incomplete: ...` names what could not be read. Limits: `tails_max` clients; a client that reads slowly makes its own task wait.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout_at};
use trail_engine::error::ErrorKind;
use trail_engine::id::Sequence;
use trail_engine::query::TailPage;

use crate::api::context::Context;
use crate::api::native::incomplete;
use crate::api::native::page::{NDJSON, write_line};
use crate::api::native::parameters::TAIL;
use crate::api::params::Params;
use crate::api::refusal::Refusal;
use crate::api::stream::{ChannelBody, Sender};

const HEARTBEAT: Duration = Duration::from_secs(15);
const PAGE_EVENTS_MAX: usize = 500;
const BUSY_PAUSE: Duration = Duration::from_millis(200);

pub(super) async fn follow(State(context): State<Arc<Context>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let params = Params::of_query(query.as_deref(), TAIL)?;
    let after = params.text("after").and_then(|a| a.parse().ok()).map_or_else(|| context.backend.last_sequence(), Sequence);
    let place = context.backend.tail_place()?;
    let q: Arc<str> = params.text("q").unwrap_or_default().into();
    // The first page is asked before the answer starts, so that a wrong query is an error and not a broken stream.
    let first = ask(&context, &q, after).await?;
    let (sender, body) = ChannelBody::new(4);
    tokio::spawn(run(context, q, first, sender, place));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, NDJSON);
    Ok(response)
}

async fn ask(context: &Context, q: &Arc<str>, after: Sequence) -> trail_engine::Result<TailPage> {
    let q = q.clone();
    context.backend.ask(move |log, cancel| log.tail(&q, after, PAGE_EVENTS_MAX, cancel)).await
}

async fn run(context: Arc<Context>, q: Arc<str>, first: TailPage, sender: Sender, _place: OwnedSemaphorePermit) {
    let mut stopping = context.stopping.clone();
    tokio::select! {
        () = pages(&context, &q, first, &sender) => {}
        () = sender.closed() => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
}

async fn pages(context: &Context, q: &Arc<str>, mut page: TailPage, sender: &Sender) {
    let mut published = context.backend.published();
    let mut beat = Instant::now();
    let mut told = Vec::new();
    loop {
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
            if sender.send(Ok(lines(&page))).await.is_err() {
                return;
            }
        }
        if position >= *published.borrow_and_update() {
            // New events or the next heartbeat, whichever is first. A sender that is gone means that the log is closed.
            if let Ok(Err(_)) = timeout_at(beat, published.changed()).await {
                return;
            }
        }
        page = match ask(context, q, position).await {
            Ok(next) => next,
            Err(e) if e.kind() == ErrorKind::Busy => {
                sleep(BUSY_PAUSE).await;
                TailPage { position, ..TailPage::default() }
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

/// The events, or the comment that keeps the connection alive.
fn lines(page: &TailPage) -> Bytes {
    if page.events.is_empty() {
        return Bytes::from(format!("# {}\n", page.position));
    }
    let mut out = Vec::with_capacity(page.events.iter().map(|e| e.text.len() + 1).sum());
    page.events.iter().for_each(|event| write_line(&mut out, event));
    out.into()
}
