//! Counts, terms, histograms, dimensions.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde_json::{Value, json};
use trail_engine::DimensionInfo;
use trail_engine::event::DimensionKind;
use trail_engine::query::{Bucket, Facet, HistogramRequest, TermCount, TermsRequest};

use crate::api::context::Context;
use crate::api::native::incomplete::with_gaps;
use crate::api::native::page::{ask_json, json_response};
use crate::api::native::parameters::{COUNT, HISTOGRAM, TERMS};
use crate::api::native::search::selection;
use crate::api::params::{Params, invalid};
use crate::api::refusal::Refusal;

/// `GET /v1/count`
pub(super) async fn count(State(context): State<Arc<Context>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let params = Params::of_query(query.as_deref(), COUNT)?;
    let selection = selection(&params);
    let found = context.backend.ask(move |log, cancel| log.count(&selection, cancel)).await?;
    Ok(json_response(with_gaps(json!({ "count": found.count }), &found.incomplete)))
}

/// `GET /v1/terms`
pub(super) async fn terms(State(context): State<Arc<Context>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let params = Params::of_query(query.as_deref(), TERMS)?;
    let facet = match (params.owned("dimension"), params.owned("path")) {
        (Some(name), None) => Facet::Dimension(name),
        (None, Some(path)) => Facet::Path(path),
        _ => return Err(invalid("either `dimension` or `path` must be there")),
    };
    let selection = selection(&params);
    let request = TermsRequest { facet, limit: params.number("limit", 10), prefix: params.owned("prefix").unwrap_or_default() };
    ask_json(&context, move |log, cancel| {
        let found = log.terms(&selection, &request, cancel)?;
        let body = json!({ "total": found.total, "terms": named(&found.terms), "other": found.other, "distinct": found.distinct });
        Ok(with_gaps(body, &found.incomplete))
    })
    .await
}

/// `GET /v1/histogram`
pub(super) async fn histogram(State(context): State<Arc<Context>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let params = Params::of_query(query.as_deref(), HISTOGRAM)?;
    let selection = selection(&params);
    let dimension = params.owned("dimension");
    let with_terms = dimension.is_some();
    let request = HistogramRequest { interval: params.owned("interval").unwrap_or_default(), dimension, limit: params.number("limit", 5) };
    ask_json(&context, move |log, cancel| {
        let found = log.histogram(&selection, &request, cancel)?;
        let buckets: Vec<Value> = found.buckets.iter().map(|b| bucket(b, with_terms)).collect();
        Ok(with_gaps(json!({ "buckets": buckets }), &found.incomplete))
    })
    .await
}

/// `GET /v1/dimensions`
pub(super) async fn dimensions(State(context): State<Arc<Context>>) -> Result<Response, Refusal> {
    ask_json(&context, |log, _| {
        let list: Vec<Value> = log.dimensions()?.iter().map(described).collect();
        Ok(json!({ "dimensions": list }))
    })
    .await
}

fn described(info: &DimensionInfo) -> Value {
    let kind = match info.dimension.kind {
        DimensionKind::Keyword => "keyword",
        DimensionKind::Unique => "unique",
    };
    json!({ "name": info.dimension.name, "kind": kind, "paths": info.paths, "distinct_terms": info.distinct_terms })
}

fn bucket(bucket: &Bucket, with_terms: bool) -> Value {
    let start = bucket.start.to_string();
    if with_terms {
        json!({ "start": start, "count": bucket.count, "terms": named(&bucket.terms) })
    } else {
        json!({ "start": start, "count": bucket.count })
    }
}

fn named(terms: &[TermCount]) -> Vec<Value> {
    terms.iter().map(|t| json!({ "term": t.term, "count": t.count })).collect()
}
