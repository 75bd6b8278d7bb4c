//! The parameters of the native routes: read by their handlers, described by the table.

use trail_engine::limits::{PAGE_EVENTS_MAX, TERMS_MAX};

use crate::api::route::{Form, Parameter};

const Q: Parameter = Parameter::query("q", Form::Text, "the filter in the query language; empty for every event");
const FROM: Parameter =
    Parameter::query("from", Form::Text, "first event time: RFC 3339, epoch milliseconds or `now-30d`; default `now-30d`");
const TO: Parameter = Parameter::query("to", Form::Text, "first event time after; default `now`");

pub(super) const SEARCH: &[Parameter] = &[
    Q,
    FROM,
    TO,
    Parameter::query("order", Form::Choice(&["asc", "desc"]), "by event time; default `desc`"),
    Parameter::query("limit", Form::Integer(1, PAGE_EVENTS_MAX as u64), "most events on the page; default 50"),
    Parameter::query("cursor", Form::Text, "`next_cursor` of the page before"),
    Parameter::query("explain", Form::Flag, "add how the answer was found"),
];
pub(super) const COUNT: &[Parameter] = &[Q, FROM, TO];
pub(super) const TERMS: &[Parameter] = &[
    Q,
    FROM,
    TO,
    Parameter::query("dimension", Form::Text, "terms of this dimension; this or `path` must be there"),
    Parameter::query("path", Form::Text, "values at this path, such as `requestParameters.bucketName`"),
    Parameter::query("limit", Form::Integer(1, TERMS_MAX as u64), "most terms; default 10"),
    Parameter::query("prefix", Form::Text, "only terms that start with this"),
];
pub(super) const HISTOGRAM: &[Parameter] = &[
    Q,
    FROM,
    TO,
    Parameter::query("interval", Form::Text, "width of a bucket: `15m`, `1h`, `1d`").required(),
    Parameter::query("dimension", Form::Text, "also the most frequent terms of this dimension in each bucket"),
    Parameter::query("limit", Form::Integer(1, TERMS_MAX as u64), "most terms in each bucket; default 5"),
];
pub(super) const TAIL: &[Parameter] =
    &[Q, Parameter::query("after", Form::Integer(0, u64::MAX), "start behind this sequence; default: behind the newest event")];
pub(super) const EVENT_ID: &[Parameter] = &[Parameter::path("event_id", Form::Text, "the id of the event")];
pub(super) const SEQUENCE: &[Parameter] = &[Parameter::path("sequence", Form::Integer(1, u64::MAX), "the position of the event")];
pub(super) const TRAIL: &[Parameter] = &[Parameter::path("trail", Form::Text, "the name of the trail")];
pub(super) const TRAIL_JOB: &[Parameter] = &[TRAIL[0], Parameter::path("job", Form::Integer(1, u64::MAX), "the number of the backfill")];
pub(super) const SEGMENT_ID: &[Parameter] = &[Parameter::path("segment_id", Form::Text, "16 hex digits")];
