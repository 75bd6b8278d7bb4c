//! PutLogs of SLS as the service sees it: the signature computed again from what arrived, the body unpacked and read.
//!
//! Written apart from the client: from the vendor's Python SDK (`aliyun/log/auth.py`), not from the product's code.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Digest as _;
use ring::{digest, hmac};

use crate::protobuf::{all, read as fields, text};

/// The project, logstore and region of the tests.
pub const PROJECT: &str = "audit-project";
/// See [`PROJECT`].
pub const LOGSTORE: &str = "audit-store";
/// See [`PROJECT`].
pub const REGION: &str = "cn-hangzhou";

/// Which signature is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// HMAC-SHA1.
    V1,
    /// HMAC-SHA256.
    V4,
}

/// The events of a request.
///
/// # Errors
/// What is wrong with it.
///
/// # Panics
/// When its body is none.
pub fn read(signature: Signature, secret: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let headers: BTreeMap<&str, &str> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let header = |name: &str| headers.get(name).copied().unwrap_or_default();
    let wanted = match signature {
        Signature::V1 => v1(secret, path, &headers, body),
        Signature::V4 => v4(secret, path, &headers, body),
    };
    if header("authorization") != wanted {
        return Err(format!("signed {} in place of {wanted}", header("authorization")));
    }
    if path != format!("/logstores/{LOGSTORE}/shards/lb") || header("host") != format!("{PROJECT}.127.0.0.1") {
        return Err(format!("sent to {} {path}", header("host")));
    }
    let length: usize = header("x-log-bodyrawsize").parse().map_err(|e| format!("x-log-bodyrawsize: {e}"))?;
    let raw = match header("x-log-compresstype") {
        "lz4" => lz4_flex::block::decompress(body, length).map_err(|e| e.to_string())?,
        "zstd" => zstd::decode_all(body).map_err(|e| e.to_string())?,
        other => return Err(format!("packed as {other}")),
    };
    if raw.len() != length {
        return Err(format!("{} bytes in place of {length}", raw.len()));
    }
    if text(&raw, 3) == "traild_probe" {
        // No event, and nothing that looks like one.
        let logs: Vec<Vec<&str>> = all(&raw, 1).iter().map(|log| all(log, 2).iter().map(|content| text(content, 1)).collect()).collect();
        return if logs == [["traild_probe"]] { Ok(Vec::new()) } else { Err(format!("a probe with {logs:?}")) };
    }
    let tags: Vec<(&str, &str)> = all(&raw, 6).iter().map(|tag| (text(tag, 1), text(tag, 2))).collect();
    if text(&raw, 3) != "actiontrail_audit_event" || tags.len() != 2 || tags[0].0 != "traild_trail" || tags[1] != ("site", "b") {
        return Err(format!("topic and tags {tags:?}"));
    }
    all(&raw, 1).into_iter().map(event).collect()
}

fn event(log: &[u8]) -> Result<Vec<u8>, String> {
    let contents: BTreeMap<&str, &str> = all(log, 2).iter().map(|content| (text(content, 1), text(content, 2))).collect();
    let time = fields(log).iter().find(|field| field.number == 1).map_or(0, |field| field.value);
    if time < 1_600_000_000 || contents.get("traild_sequence").is_none_or(|sequence| sequence.parse::<u64>().is_err()) {
        return Err(format!("time {time}, {contents:?}"));
    }
    contents.get("event").map(|event| event.as_bytes().to_vec()).ok_or_else(|| format!("no event: {contents:?}"))
}

type Headers<'a> = BTreeMap<&'a str, &'a str>;

fn extra<'a>(headers: &'a Headers<'_>, more: &[&str]) -> Vec<(&'a str, &'a str)> {
    let signed = |name: &str| name.starts_with("x-log-") || name.starts_with("x-acs-") || more.contains(&name);
    headers.iter().filter(|(name, _)| signed(name)).map(|(name, value)| (*name, *value)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn v1(secret: &str, path: &str, headers: &Headers<'_>, body: &[u8]) -> String {
    let value = |name| headers.get(name).copied().unwrap_or_default();
    let sum = hex(&md5::Md5::digest(body)).to_uppercase();
    let lines: String = extra(headers, &[]).iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let content = format!("POST\n{sum}\n{}\n{}\n{lines}{path}", value("content-type"), value("date"));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes()), content.as_bytes());
    format!("LOG AKID:{}", STANDARD.encode(tag))
}

fn v4(secret: &str, path: &str, headers: &Headers<'_>, body: &[u8]) -> String {
    let time = headers.get("x-log-date").copied().unwrap_or_default();
    let date = &time[..8.min(time.len())];
    let signed = extra(headers, &["content-type", "host"]);
    let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let sum = |bytes: &[u8]| hex(digest::digest(&digest::SHA256, bytes).as_ref());
    let request = format!("POST\n{path}\n\n{lines}\n{}\n{}", names.join(";"), sum(body));
    let scope = format!("{date}/{REGION}/sls/aliyun_v4_request");
    let content = format!("SLS4-HMAC-SHA256\n{time}\n{scope}\n{}", sum(request.as_bytes()));
    let step = |key: &[u8], part: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), part.as_bytes()).as_ref().to_vec();
    let chain = [date, REGION, "sls", "aliyun_v4_request", &content];
    let tag = chain.iter().fold(format!("aliyun_v4{secret}").into_bytes(), |key, part| step(&key, part));
    format!("SLS4-HMAC-SHA256 Credential=AKID/{scope},Signature={}", hex(&tag))
}
