//! Pages of events, events by id, events by position.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use trail_engine::AuditLog;
use trail_engine::budget::Cancel;
use trail_engine::id::Sequence;
use trail_engine::query::{Order, PageRequest, Selection};

use crate::api::body::{Limits, read};
use crate::api::context::Context;
use crate::api::native::incomplete;
use crate::api::native::page::{Style, json_bytes, page_response, weight, write_stored};
use crate::api::native::parameters::SEARCH;
use crate::api::paid::paid_bytes;
use crate::api::params::{Params, PathText, invalid, path_text};
use crate::api::refusal::Refusal;

/// The longest body of `POST /v1/search`: the longest query text, escaped, and the other members.
const FORM_BYTES_MAX: u64 = 512 << 10;

/// `GET /v1/events`
pub(super) async fn by_query(
    State(context): State<Arc<Context>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let params = Params::of_query(query.as_deref(), SEARCH)?;
    answer(&context, &params, Style::of(&headers)).await
}

/// `POST /v1/search`
pub(super) async fn by_body(State(context): State<Arc<Context>>, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    let kind =
        headers.get(CONTENT_TYPE).map(|v| v.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    if kind.is_some_and(|kind| kind != "application/json") {
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "the body must be application/json"));
    }
    let config = &context.config;
    let mut reservation = context.backend.bodies().reservation();
    let limits = Limits { bytes_max: FORM_BYTES_MAX, time_max: config.body_timeout, rate_min: config.body_rate_min };
    let form = read(body, limits, &mut reservation).await?;
    let params = Params::of_json(&form, SEARCH)?;
    answer(&context, &params, Style::of(&headers)).await
}

async fn answer(context: &Context, params: &Params, style: Style) -> Result<Response, Refusal> {
    let selection = selection(params);
    let order = if params.text("order") == Some("asc") { Order::Ascending } else { Order::Descending };
    let request = PageRequest { order, limit: params.number("limit", 50), cursor: params.owned("cursor"), explain: params.flag("explain") };
    let search = move |log: &AuditLog, cancel: &Cancel| log.search(&selection, &request, cancel);
    let (page, paid) = context.backend.ask_paid(search, |page| weight(&page.events)).await?;
    Ok(page_response(page, style, paid))
}

/// Which events the parameters `q`, `from` and `to` name.
pub(super) fn selection(params: &Params) -> Selection {
    Selection { q: params.owned("q").unwrap_or_default(), from: params.owned("from"), to: params.owned("to") }
}

/// `GET /v1/events/{event_id}`
pub(super) async fn by_id(State(context): State<Arc<Context>>, path: PathText, headers: HeaderMap) -> Result<Response, Refusal> {
    let event_id = path_text(path, "event_id")?;
    let search = move |log: &AuditLog, cancel: &Cancel| log.events_by_id(&event_id, cancel);
    let (page, paid) = context.backend.ask_paid(search, |page| weight(&page.events)).await?;
    if page.events.is_empty() && page.incomplete.is_empty() {
        return Err(Refusal::not_found("there is no event with this id"));
    }
    if page.events.is_empty() {
        let refusal = Refusal::not_found("no event with this id was found, but a part of the log cannot be read");
        return Err(refusal.with("incomplete", incomplete::list(&page.incomplete)));
    }
    Ok(page_response(page, Style::of(&headers), paid))
}

/// `GET /v1/sequences/{sequence}`
pub(super) async fn by_sequence(State(context): State<Arc<Context>>, path: PathText) -> Result<Response, Refusal> {
    let number: u64 = path_text(path, "sequence")?.parse().map_err(|_| invalid("a sequence is a whole number"))?;
    let search = move |log: &AuditLog, cancel: &Cancel| log.event_at(Sequence(number), cancel);
    let (found, paid) = context.backend.ask_paid(search, |found| weight(found.as_slice())).await?;
    let event = found.ok_or_else(|| Refusal::not_found("there is no event at this position"))?;
    let mut out = Vec::with_capacity(event.text.len() + 200);
    write_stored(&mut out, &event);
    Ok(json_bytes(paid_bytes(out, paid)))
}
