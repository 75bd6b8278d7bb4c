//! A schema that uses everything a schema can say, over the kinds of events of the fixtures.

use trail_engine::event::{Dimension, DimensionKind, DimensionSchema, EventKind, Mapping, Path, Pick, Source, Take};

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn value(text: &str) -> Source {
    Source::value(path(text))
}

fn take(text: &str, take: Take) -> Source {
    Source { take, ..value(text) }
}

fn replaced(text: &str, pairs: &[(&str, &str)]) -> Source {
    Source { replace: pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect(), ..value(text) }
}

fn first(dimension: &str, sources: Vec<Source>) -> Mapping {
    Mapping { dimension: dimension.into(), pick: Pick::First, sources }
}

fn all(dimension: &str, sources: Vec<Source>) -> Mapping {
    Mapping { dimension: dimension.into(), pick: Pick::All, sources }
}

fn kind(name: &str, recognise: &[&str], id: &[&str], time: &[&str], mappings: Vec<Mapping>) -> EventKind {
    let paths = |texts: &[&str]| texts.iter().map(|t| path(t)).collect();
    EventKind { name: name.into(), recognise: paths(recognise), event_id: paths(id), event_time: paths(time), mappings }
}

/// The schema.
pub(crate) fn schema() -> DimensionSchema {
    let unique = ["event_id", "request_id"];
    let names = [
        "event_id",
        "request_id",
        "event_name",
        "service",
        "user",
        "source_ip",
        "resource_type",
        "resource_name",
        "read_only",
        "key",
        "code",
    ];
    let kind_of = |name: &str| if unique.contains(&name) { DimensionKind::Unique } else { DimensionKind::Keyword };
    let dimensions = names.iter().map(|name| Dimension { name: (*name).into(), kind: kind_of(name) }).collect();
    DimensionSchema { dimensions, kinds: vec![cloudtrail(), kubernetes(), google(), actiontrail(), odd()] }
}

fn cloudtrail() -> EventKind {
    let mappings = vec![
        first("event_name", vec![value("eventName")]),
        first("service", vec![value("eventSource")]),
        first("user", vec![value("userIdentity.userName"), take("userIdentity.arn", Take::AfterLast('/')), value("userIdentity.type")]),
        all("source_ip", vec![value("sourceIPAddress")]),
        all("resource_type", vec![value("resources.type"), take("requestParameters", Take::Keys)]),
        all(
            "resource_name",
            vec![value("resources.ARN"), value("requestParameters.*"), value("requestParameters.instancesSet.items.instanceId")],
        ),
        first("read_only", vec![value("readOnly")]),
        all("key", vec![take("userIdentity.accessKeyId", Take::Constant("long".into()))]),
        first("code", vec![value("errorCode")]),
        all("request_id", vec![value("requestID")]),
    ];
    kind("cloudtrail", &["eventSource", "awsRegion"], &["eventID"], &["eventTime"], mappings)
}

fn kubernetes() -> EventKind {
    let mappings = vec![
        first("event_name", vec![value("verb")]),
        first("user", vec![value("user.username")]),
        all("source_ip", vec![value("sourceIPs")]),
        all("resource_type", vec![value("objectRef.resource"), take("annotations", Take::Keys)]),
        first("resource_name", vec![value("objectRef.name"), take("requestURI", Take::AfterLast('/'))]),
        first("read_only", vec![replaced("verb", &[("get", "true"), ("list", "true"), ("watch", "true"), ("*", "false")])]),
        all("code", vec![value("responseStatus.code"), value("responseStatus.reason")]),
    ];
    kind("kubernetes", &["apiVersion", "auditID"], &["auditID"], &["requestReceivedTimestamp", "stageTimestamp"], mappings)
}

fn google() -> EventKind {
    let mappings = vec![
        first("event_name", vec![take("protoPayload.methodName", Take::AfterLast('.')), value("protoPayload.methodName")]),
        first("service", vec![value("protoPayload.serviceName")]),
        first("user", vec![value("protoPayload.authenticationInfo.principalEmail")]),
        all("source_ip", vec![value("protoPayload.requestMetadata.callerIp")]),
        all("resource_type", vec![value("resource.type"), value("protoPayload.authorizationInfo.permission")]),
        all("resource_name", vec![take("protoPayload.resourceName", Take::Split(vec!['/'])), value("resource.labels.*")]),
    ];
    kind("google", &["protoPayload"], &["insertId"], &["timestamp", "receiveTimestamp"], mappings)
}

fn actiontrail() -> EventKind {
    let mappings = vec![
        first("event_name", vec![value("eventName")]),
        first("service", vec![value("serviceName"), value("eventSource")]),
        first("user", vec![value("userIdentity.userName"), take("userIdentity.principalId", Take::AfterLast(':'))]),
        all("source_ip", vec![take("sourceIpAddress", Take::Split(vec![',', ' ']))]),
        all("resource_type", vec![take("referencedResources", Take::Keys), take("resourceType", Take::Split(vec![';', ',']))]),
        all("resource_name", vec![value("referencedResources.*"), take("resourceName", Take::Split(vec![';', ',']))]),
        first("read_only", vec![replaced("eventRW", &[("Read", "true"), ("*", "false")]), value("readOnly")]),
        all("key", vec![take("userIdentity.accessKeyId", Take::Constant("long".into())), value("userIdentity.accessKeyId")]),
        all("code", vec![value("errorCode"), value("errorMessage")]),
        all("request_id", vec![value("requestId"), value("requestParameters.RequestId")]),
    ];
    kind("actiontrail", &["eventVersion"], &["eventId", "requestId"], &["eventTime", "eventCreateTime"], mappings)
}

/// Whatever is none of these.
fn odd() -> EventKind {
    let mappings = vec![
        all("user", vec![value("a"), value("b.c")]),
        all("code", vec![take("d", Take::Keys), value("d.*")]),
        first("key", vec![take("e", Take::Split(vec![' '])), take("a.b", Take::AfterLast('.'))]),
        all("request_id", vec![value("f")]),
    ];
    kind("odd", &[], &["id"], &["t"], mappings)
}
