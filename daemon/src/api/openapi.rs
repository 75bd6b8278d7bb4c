//! The OpenAPI 3.1 document, made from the table of routes.
//!
//! Paths, parameters, bodies and scopes come from the rows that the router is made of; only the schemas of answers are written here.

use serde_json::{Map, Value, json};

use crate::api::route::{Access, Form, Parameter, Place, RequestBody, Route};
use crate::config::Scope;
use crate::trails::setting::members::Form as Member;
use crate::trails::sink::registry::SINKS;

/// The document for these routes.
#[must_use]
pub fn document(routes: &[Route]) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        methods[route.method.as_str().to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "traild",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A self-hosted audit trail. Errors have one shape; every answer has `X-Request-Id`. One that lacks events that cannot be read has `incomplete`; with NDJSON the header `X-Incomplete`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer", "description": "a token of `traild key create`" } },
            "schemas": schemas(),
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "summary": route.summary,
        "operationId": format!("{}{}", route.method.as_str().to_lowercase(), route.path.replace(['/', '{', '}', '.'], "_")),
        "responses": responses(route),
        "security": [],
    });
    if let Access::Needs(scope) = route.access {
        // Without keys in the configuration no token is asked for: then the empty requirement holds.
        operation["security"] = json!([{ "key": [scope.name()] }, {}]);
        operation["x-scope"] = scope.name().into();
    }
    let in_body = route.body == RequestBody::Parameters;
    let named = route.parameters.iter().filter(|p| !in_body || p.place == Place::Path);
    operation["parameters"] = named.map(parameter).collect();
    match route.body {
        RequestBody::None => {}
        RequestBody::Events => operation["requestBody"] = events_body(),
        RequestBody::Parameters => operation["requestBody"] = parameters_body(route.parameters),
        RequestBody::Object(name) => operation["requestBody"] = object_body(name),
    }
    operation
}

fn responses(route: &Route) -> Value {
    let mut responses = json!({ route.good: good(route) });
    for (status, when) in refusals(route) {
        responses[status] = refusal(when);
    }
    if route.path == "/v1/segments/{segment_id}" {
        responses["206"] = json!({ "description": "the part that `Range` asks for", "content": good(route)["content"] });
        responses["304"] = json!({ "description": "the file is the one that `If-None-Match` names" });
        responses["416"] = refusal("the file has nothing of what `Range` asks for");
    }
    responses["default"] = refusal("an error");
    responses
}

/// With which status a route can say no, and when.
fn refusals(route: &Route) -> Vec<(&'static str, &'static str)> {
    let mut refusals = vec![("400", "the request is wrong"), ("431", "the headers are too long, or too many")];
    if route.access != Access::Public {
        refusals.extend([
            ("401", "there is no key, or a wrong one"),
            ("429", "the server holds or does as much as it may: wait, see `Retry-After`"),
            ("500", "a part of the log is damaged, or the operating system refused"),
        ]);
    }
    refusals.push(("403", "the key does not have the scope, or a web page of another origin asks"));
    let waits = match route.body {
        RequestBody::Events => "the log takes no writes, or is being opened: the reason is in the error",
        _ => "the log is being opened or closed",
    };
    if route.path != "/healthz" {
        refusals.push(("503", if route.path == "/readyz" { "not ready: `reasons` says why" } else { waits }));
    }
    if route.body != RequestBody::None {
        refusals.extend([
            ("408", "the body came too slowly"),
            ("413", "the body is too long, or every event of it"),
            ("415", "the type or encoding of the body is not known"),
        ]);
    }
    if route.body == RequestBody::Events {
        refusals.push(("507", "the disk is full: wait, see `Retry-After`"));
    } else if route.access == Access::Needs(Scope::Query) {
        refusals.push(("422", "the answer needs more time or memory than a query may"));
    }
    if let RequestBody::Object("Trail") = route.body {
        refusals.push(("409", "there is such a trail already, or as many as there may be"));
    }
    if route.path == "/v1/digest-keys/rotate" {
        refusals.push(("409", "as many keys as may be were replaced already"));
    }
    if route.parameters.iter().any(|p| p.place == Place::Path) {
        refusals.push(("404", "it is not there, or not any more"));
    }
    refusals
}

fn good(route: &Route) -> Value {
    let mut content = Map::new();
    for media in route.answers {
        let schema = match (*media, route.schema) {
            ("application/json", name) if !name.is_empty() => json!({ "$ref": format!("#/components/schemas/{name}") }),
            ("application/octet-stream", _) => json!({}),
            ("application/x-ndjson", _) => described(text(), "one event a line; line breaks between the tokens of an event become spaces"),
            _ => json!({ "type": "string" }),
        };
        content.insert((*media).to_owned(), json!({ "schema": schema }));
    }
    json!({ "description": route.summary, "content": content })
}

fn refusal(when: &str) -> Value {
    json!({ "description": when, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } } })
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": if parameter.place == Place::Path { "path" } else { "query" },
        "required": parameter.required,
        "description": parameter.doc,
        "schema": form(parameter.form),
    })
}

fn form(form: Form) -> Value {
    match form {
        Form::Text => json!({ "type": "string" }),
        Form::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Form::Flag => json!({ "type": "boolean" }),
        Form::Choice(words) => json!({ "type": "string", "enum": words }),
    }
}

fn events_body() -> Value {
    let json = json!({ "type": ["object", "array"], "description": "one event, an array of events, or `{\"Records\":[...]}`" });
    json!({
        "required": true,
        "description": "events; packed bodies name `gzip` or `zstd` in `Content-Encoding`",
        "content": {
            "application/x-ndjson": { "schema": { "type": "string", "description": "one event a line" } },
            "application/json": { "schema": json },
        },
    })
}

fn parameters_body(parameters: &[Parameter]) -> Value {
    let mut properties = Map::new();
    for p in parameters.iter().filter(|p| p.place == Place::Query) {
        let mut schema = form(p.form);
        schema["description"] = p.doc.into();
        properties.insert(p.name.to_owned(), schema);
    }
    let schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    json!({ "required": false, "content": { "application/json": { "schema": schema } } })
}

fn object_body(schema: &str) -> Value {
    let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
    json!({ "required": true, "content": { "application/json": { "schema": schema } } })
}

/// An object of which all these members are there; `name?` may be absent.
fn object(members: &[(&str, Value)]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, schema) in members {
        match name.strip_suffix('?') {
            Some(optional) => drop(properties.insert(optional.to_owned(), schema.clone())),
            None => {
                required.push(*name);
                properties.insert((*name).to_owned(), schema.clone());
            }
        }
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn maybe_time() -> Value {
    json!({ "type": ["string", "null"], "format": "date-time" })
}

fn maybe_text() -> Value {
    json!({ "type": ["string", "null"] })
}

fn trail_state() -> Value {
    json!({ "type": "string", "enum": ["fresh", "enabled", "disabled"] })
}

/// What sinks have beside `type` and `batch`: each member with the kinds that have it.
fn members_of_sinks() -> Map<String, Value> {
    let mut told: Map<String, Value> = Map::new();
    for (kind, member) in SINKS.iter().flat_map(|kind| kind.members.iter().map(move |member| (kind, member))) {
        let must = if member.required { ", must be there" } else { "" };
        let line = format!("{}: {} ({}{must})", kind.name, member.doc, member.form.told());
        let place = told.entry(member.name).or_insert_with(|| json!({ "type": [], "description": "" }));
        let types: &[&str] = match member.form {
            Member::Text | Member::Choice(_) => &["string"],
            Member::Secret => &["string", "object"],
            Member::Flag => &["boolean"],
            Member::Integer(..) => &["integer"],
            Member::Texts => &["object"],
        };
        if let Some(known) = place["type"].as_array_mut() {
            known.extend(types.iter().map(|name| Value::from(*name)).filter(|name| !known.clone().contains(name)).collect::<Vec<_>>());
        }
        let before = place["description"].as_str().unwrap_or_default();
        let all = if before.is_empty() { line } else { format!("{before}; {line}") };
        place["description"] = all.into();
    }
    told
}

/// A trail as it is sent and shown. The members of a sink depend on its type.
fn trail() -> Value {
    let batch = json!({ "type": "object", "properties": {
        "events": { "type": "integer" }, "bytes": { "type": "integer" }, "seconds": { "type": "number" },
    }, "additionalProperties": false });
    let kinds: Vec<&str> = SINKS.iter().map(|kind| kind.name).collect();
    let mut properties = members_of_sinks();
    properties.insert("type".into(), json!({ "type": "string", "enum": kinds }));
    properties.insert("batch".into(), batch);
    let sink = json!({ "type": "object", "required": ["type"], "properties": properties, "additionalProperties": false });
    let start = json!({
        "type": ["string", "integer", "object"],
        "description": "`now` (the default), `oldest`, a time of receipt, or `{\"sequence\":N}`",
    });
    json!({ "type": "object", "required": ["name", "sinks"], "properties": {
        "name": text(), "filter": described(text(), "in the query language; empty for every event"), "start": start,
        "hold_retention": { "type": "boolean", "description": "days over the retention wait for this trail, up to `hold_bytes_max`" }, "start_now": { "type": "boolean", "description": "requests only: start it at once" },
        "state": {
            "type": "string", "enum": ["fresh", "enabled", "disabled", "damaged", "unreadable"],
            "description": "answers only; of the last two nothing is known but `problem`",
        },
        "problem": described(text(), "answers only: why the trail cannot be taken up, and what to do"),
        "sinks": { "type": "array", "items": sink, "description": "at least one" },
    } })
}

fn schemas() -> Value {
    let number = || json!({ "type": "integer", "minimum": 0 });
    let position = || json!({ "type": ["integer", "null"], "minimum": 1 });
    let flag = || json!({ "type": "boolean" });
    let time = || json!({ "type": "string", "format": "date-time" });
    let moment = || described(text(), "2026-11-22T08:00:00Z, 2026-11-22, epoch milliseconds, or now-2h");
    let of = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let terms = || list(object(&[("term", text()), ("count", number())]));
    let error = object(&[("code", text()), ("message", text()), ("position?", number()), ("request_id", text())]);
    let incomplete = || ("incomplete?", list(of("Gap")));
    json!({
        "Gap": object(&[("part", text()), ("first_sequence", number()), ("last_sequence", number()), ("events", number())]),
        "Error": object(&[("error", error)]),
        "Appended": object(&[
            ("accepted", number()), ("duplicates", number()), ("rejected_count", number()),
            ("rejected", list(object(&[
                ("index", described(number(), "which event of the body, from 0")),
                ("position", described(number(), "the byte of the unpacked body at which the event begins")),
                ("code", text()),
                ("message", described(text(), "what is wrong; bytes in it are counted from where the event begins")),
            ]))),
            ("first_sequence", position()), ("last_sequence", position()),
        ]),
        "StoredEvent": object(&[
            ("sequence", number()), ("received_at", time()), ("event_time", time()),
            ("event_time_source", json!({ "type": "string", "enum": ["event", "received"] })), ("event", json!({ "type": "object" })),
        ]),
        "Page": object(&[("events", list(of("StoredEvent"))), ("next_cursor?", text()), incomplete(), ("explanation?", of("Explanation"))]),
        "Explanation": object(&[
            ("filter", text()), ("blocks_decoded", number()), ("elapsed_us", number()),
            ("parts", list(object(&[
                ("part", text()), ("documents", number()), ("skipped", json!({ "type": ["string", "null"] })),
                ("steps", json!({ "type": "array" })), ("matched", number()), ("touched", number()), ("elapsed_us", number()),
            ]))),
        ]),
        "Count": object(&[("count", number()), incomplete()]),
        "Terms": object(&[("total", number()), ("terms", terms()), ("other", number()), ("distinct", number()), incomplete()]),
        "Histogram": object(&[("buckets", list(object(&[("start", time()), ("count", number()), ("terms?", terms())]))), incomplete()]),
        "Dimensions": object(&[("dimensions", list(object(&[
            ("name", text()), ("kind", json!({ "type": "string", "enum": ["keyword", "unique"] })),
            ("paths", list(text())), ("distinct_terms", number()),
        ])))]),
        "Segments": object(&[("segments", list(object(&[
            ("id", text()), ("day", json!({ "type": "string", "format": "date" })), ("first_sequence", number()),
            ("last_sequence", number()), ("time_min", time()), ("time_max", time()), ("events", number()),
            ("event_bytes", number()), ("file_bytes", number()),
            ("state", json!({ "type": "string", "enum": ["open", "sealed", "unreadable"] })), ("crc32", text()),
        ])))]),
        "Stats": object(&[
            ("version", text()), ("writable", flag()), ("problems", list(text())), ("events", number()), ("event_bytes", number()),
            ("first_sequence", position()), ("last_sequence", position()), ("segments", number()), ("segment_bytes", number()),
            ("journal_bytes", number()), ("held_bytes", number()), ("head_events", number()), ("head_bytes", number()), ("since_start", object(&[
                ("appended_events", number()), ("appended_bytes", number()), ("duplicate_events", number()), ("commits", number()),
                ("flushes", number()), ("compacted_segments", number()), ("expired_segments", number()), ("let_go_events", number()), ("quarantined", number()),
            ])),
        ]),
        "Trail": trail(),
        "Trails": object(&[("trails", list(of("Trail")))]),
        "TrailRemoved": object(&[("removed", text())]),
        "TrailStatus": object(&[
            ("name", text()), ("state", trail_state()), ("created_at", time()), ("changed_at", time()), ("last_sequence", number()),
            ("begin_error", maybe_text()), ("sinks", list(object(&[
                ("type", text()), ("position", number()), ("lag_events", json!({ "type": ["integer", "null"], "minimum": 0 })),
                ("lag_seconds", json!({ "type": ["number", "null"] })), ("lag_error", maybe_text()),
                ("delivered_events", number()), ("delivered_objects", number()), ("delivered_bytes", number()),
                ("last_delivery_at", maybe_time()), ("last_error", maybe_text()), ("last_error_at", maybe_time()),
                ("needs_operator", flag()), ("failed_attempts", number()), ("next_retry_at", maybe_time()), ("dead_letters", number()),
                ("lost_events", number()), ("gone_events", number()),
            ]))),
            ("hold?", object(&[("held_bytes", number()), ("bytes_max", number()), ("let_go_events", number())])),
            ("backfills", list(of("Backfill"))),
        ]),
        "TrailTest": object(&[("ok", flag()), ("sinks", list(object(&[
            ("type", text()), ("ok", flag()), ("error", json!({ "type": ["string", "null"] })),
        ])))]),
        "Range": object(&[("from", moment()), ("to", moment())]),
        "Backfill": object(&[
            ("id", number()), ("from", time()), ("to", time()), ("first_sequence", number()), ("last_sequence", number()),
            ("state", json!({ "type": "string", "enum": ["running", "cancelled", "done"] })),
            ("sinks", list(object(&[
                ("position", number()), ("progress", json!({ "type": "number", "description": "from 0 to 1" })), ("delivered_events", number()),
                ("delivered_objects", number()), ("delivered_bytes", number()), ("dead_letters", number()), ("lost_events", number()),
                ("last_error", maybe_text()), ("last_error_at", maybe_time()), ("needs_operator", flag()), ("failed_attempts", number()),
                ("next_retry_at", maybe_time()),
            ]))),
        ]),
        "DigestKeys": object(&[("keys", list(object(&[
            ("fingerprint", described(text(), "the MD5 of the public half, in hex")), ("public_key", described(text(), "PKCS #1, DER, in base64")),
            ("created_at", time()), ("retired_at", maybe_time()), ("valid_from", time()), ("valid_until", time()),
        ])))]),
        "Alive": object(&[("status", text()), ("version", text())]),
        "Ready": object(&[("ready", flag()), ("writable", flag()), ("problems", list(text()))]),
        "Document": json!({ "type": "object" }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::native::routes;

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let routes = routes();
        let document = document(&routes);
        let mut described = 0;
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let route = routes.iter().find(|r| r.path == path && r.method.as_str().eq_ignore_ascii_case(method)).unwrap();
                let scope = if let Access::Needs(scope) = route.access { json!(scope.name()) } else { Value::Null };
                assert_eq!(operation["x-scope"], scope, "{method} {path}");
                described += 1;
            }
        }
        assert_eq!(described, routes.len());
    }

    #[test]
    fn every_reference_leads_somewhere_and_path_parameters_are_in_the_path() {
        let routes = routes();
        let document = document(&routes);
        for route in &routes {
            if !route.schema.is_empty() {
                assert!(document["components"]["schemas"][route.schema].is_object(), "{}", route.schema);
            }
            let in_path = route.parameters.iter().filter(|p| p.place == Place::Path);
            assert_eq!(in_path.clone().count(), route.path.matches('{').count(), "{}", route.path);
            assert!(in_path.clone().all(|p| route.path.contains(&format!("{{{}}}", p.name))), "{}", route.path);
        }
        let mut ids: Vec<_> = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|m| m.as_object().unwrap().values())
            .map(|o| o["operationId"].to_string())
            .collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
