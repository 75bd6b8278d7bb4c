//! The table: method, path, scope, parameters and handler of every native route.

use axum::http::Method;
use axum::routing::{delete, get, post, put};

use crate::api::native::parameters::{COUNT, EVENT_ID, HISTOGRAM, SEARCH, SEGMENT_ID, SEQUENCE, TAIL, TERMS, TRAIL, TRAIL_JOB};
use crate::api::native::{aggregate, digest_keys, health, ingest, search, segments, tail, trails};
use crate::api::route::{Access, RequestBody, Route};
use crate::config::Scope;

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

/// Every native route.
#[must_use]
pub fn routes() -> Vec<Route> {
    let query = Access::Needs(Scope::Query);
    let row = |method, path, access, summary, parameters, answers, schema, handler| Route {
        method,
        path,
        access,
        summary,
        parameters,
        body: RequestBody::None,
        good: "200",
        answers,
        schema,
        handler,
    };
    let ask =
        |path, summary, parameters, answers, schema, handler| row(Method::GET, path, query, summary, parameters, answers, schema, handler);
    let open = |path, summary, answers, schema, handler| row(Method::GET, path, Access::Public, summary, &[], answers, schema, handler);
    let append = Access::Needs(Scope::Ingest);
    let store = row(Method::POST, "/v1/events", append, "store events", &[], &[JSON], "Appended", post(ingest::append));
    let form = row(
        Method::POST,
        "/v1/search",
        query,
        "a page of events, asked by a JSON object",
        SEARCH,
        &[JSON, NDJSON],
        "Page",
        post(search::by_body),
    );
    let mut routes = vec![
        Route { body: RequestBody::Events, ..store },
        ask("/v1/events", "a page of events", SEARCH, &[JSON, NDJSON], "Page", get(search::by_query)),
        Route { body: RequestBody::Parameters, ..form },
        ask("/v1/events/{event_id}", "all events with an id", EVENT_ID, &[JSON, NDJSON], "Page", get(search::by_id)),
        ask("/v1/sequences/{sequence}", "the event at a position", SEQUENCE, &[JSON], "StoredEvent", get(search::by_sequence)),
        ask("/v1/tail", "events as they become durable", TAIL, &[NDJSON], "", get(tail::follow)),
        ask("/v1/count", "how many events are selected", COUNT, &[JSON], "Count", get(aggregate::count)),
        ask("/v1/terms", "the most frequent terms", TERMS, &[JSON], "Terms", get(aggregate::terms)),
        ask("/v1/histogram", "counts over time", HISTOGRAM, &[JSON], "Histogram", get(aggregate::histogram)),
        ask("/v1/dimensions", "the dimensions", &[], &[JSON], "Dimensions", get(aggregate::dimensions)),
        ask("/v1/segments", "the segments, in sequence order", &[], &[JSON], "Segments", get(segments::list)),
        ask(
            "/v1/segments/{segment_id}",
            "the file of a segment; `Range` works",
            SEGMENT_ID,
            &["application/octet-stream"],
            "",
            get(segments::file),
        ),
        ask("/v1/stats", "what the log holds and has done", &[], &[JSON], "Stats", get(health::stats)),
        ask("/metrics", "counters for monitoring", &[], &[crate::metrics::CONTENT_TYPE], "", get(health::metrics)),
        open("/healthz", "whether the process is up", &[JSON], "Alive", get(health::alive)),
        open("/readyz", "whether events are taken and questions answered", &[JSON], "Ready", get(health::ready)),
        open("/openapi.json", "this document", &[JSON], "Document", get(health::document)),
        open("/", "a page that names the server", &["text/html; charset=utf-8"], "", get(health::welcome)),
    ];
    routes.extend(of_trails());
    routes
}

/// The routes of trails: whoever decides where events go can send them anywhere, so all of them need `admin`.
fn of_trails() -> Vec<Route> {
    let row = |method, path, summary, parameters, schema, handler| Route {
        method,
        path,
        access: Access::Needs(Scope::Admin),
        summary,
        parameters,
        body: RequestBody::None,
        good: "200",
        answers: &[JSON],
        schema,
        handler,
    };
    let make = row(Method::POST, "/v1/trails", "make a trail", &[], "Trail", post(trails::create));
    let change = row(Method::PUT, "/v1/trails/{trail}", "change a trail", TRAIL, "Trail", put(trails::replace));
    let past = row(
        Method::POST,
        "/v1/trails/{trail}/backfill",
        "deliver what was received in a past range",
        TRAIL,
        "Backfill",
        post(trails::backfill),
    );
    let order = |path, summary, parameters, handler| row(Method::POST, path, summary, parameters, "Backfill", handler);
    vec![
        row(Method::GET, "/v1/trails", "the trails", &[], "Trails", get(trails::list)),
        Route { body: RequestBody::Object("Trail"), good: "201", ..make },
        row(Method::GET, "/v1/trails/{trail}", "a trail", TRAIL, "Trail", get(trails::show)),
        Route { body: RequestBody::Object("Trail"), ..change },
        row(Method::DELETE, "/v1/trails/{trail}", "remove a trail", TRAIL, "TrailRemoved", delete(trails::remove)),
        row(Method::POST, "/v1/trails/{trail}/start", "begin to deliver, or go on", TRAIL, "TrailStatus", post(trails::start)),
        row(Method::POST, "/v1/trails/{trail}/stop", "stop to deliver", TRAIL, "TrailStatus", post(trails::stop)),
        row(Method::GET, "/v1/trails/{trail}/status", "how far a trail is, and what hinders it", TRAIL, "TrailStatus", get(trails::status)),
        row(
            Method::POST,
            "/v1/trails/{trail}/test",
            "try every sink, as far as that leaves no event behind",
            TRAIL,
            "TrailTest",
            post(trails::test),
        ),
        Route { body: RequestBody::Object("Range"), good: "202", ..past },
        order("/v1/trails/{trail}/backfill/{job}/cancel", "stop a backfill where it is", TRAIL_JOB, post(trails::cancel)),
        order("/v1/trails/{trail}/backfill/{job}/resume", "go on with a backfill", TRAIL_JOB, post(trails::resume)),
        row(Method::GET, "/v1/digest-keys", "the keys of the digests, the one that signs last", &[], "DigestKeys", get(digest_keys::list)),
        row(
            Method::POST,
            "/v1/digest-keys/rotate",
            "sign digests with a new key from now on; the private half of the one before is destroyed",
            &[],
            "DigestKeys",
            post(digest_keys::rotate),
        ),
    ]
}
