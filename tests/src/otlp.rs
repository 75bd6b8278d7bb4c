//! What an OTLP collector reads of a request for logs.

use std::io::Read as _;

use crate::protobuf::{self, all, text};

/// The bodies of the records, in order.
///
/// # Errors
/// What is wrong with the request.
///
/// # Panics
/// When its body is none.
pub fn read_body(headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let packed = headers.iter().any(|(name, value)| name == "content-encoding" && value == "gzip");
    let mut raw = Vec::new();
    match packed {
        true => drop(flate2::read::GzDecoder::new(body).read_to_end(&mut raw).unwrap()),
        false => raw.extend_from_slice(body),
    }
    raw
}

/// The events of a request.
///
/// # Errors
/// What is wrong with it.
///
/// # Panics
/// When its body is no request.
pub fn read(path: &str, headers: &[(String, String)], body: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let raw = read_body(headers, body);
    if path != "/v1/logs" || !headers.contains(&("content-type".into(), "application/x-protobuf".into())) {
        return Err(format!("not OTLP: {path} {headers:?}"));
    }
    let mut events = Vec::new();
    for logs in all(&raw, 1) {
        let resource = all(logs, 1)[0];
        let service = all(resource, 1)[0];
        if (text(service, 1), text(all(service, 2)[0], 1)) != ("service.name", "traild") {
            return Err("no service name".into());
        }
        for record in all(logs, 2).into_iter().flat_map(|scope| all(scope, 2)) {
            let event = text(all(record, 5)[0], 1);
            let times: Vec<u64> =
                protobuf::read(record).iter().filter(|field| matches!(field.number, 1 | 11)).map(|field| field.value).collect();
            let names: Vec<&str> = all(record, 6).iter().map(|pair| text(pair, 1)).collect();
            let id = text(all(all(record, 6)[0], 2)[0], 1);
            if names != ["event.id", "traild.sequence", "traild.trail"] || !event.contains(&format!("\"eventID\":\"{id}\"")) {
                return Err(format!("attributes {names:?}, {id} of {event}"));
            }
            if times.len() != 2 || times.contains(&0) {
                return Err(format!("times {times:?}"));
            }
            events.push(event.as_bytes().to_vec());
        }
    }
    Ok(events)
}
