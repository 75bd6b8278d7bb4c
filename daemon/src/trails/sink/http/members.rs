//! The members that every sink over HTTP has: what else is sent, and whom to trust.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::http::header::HeaderMap;

use crate::trails::setting::members::{Form, Member, Members};
use crate::trails::sink::http::address::Address;
use crate::trails::sink::http::caller::{Caller, put};
use crate::trails::sink::http::tls::Trust;

/// More headers.
pub const HEADERS: Member = Member::new("headers", Form::Texts, "headers that are sent with every request; their values are secrets");
/// Own roots.
pub const CA_FILE: Member = Member::new("ca_file", Form::Text, "a PEM file of the authorities to trust, in place of the public ones");
/// Patience.
pub const TIMEOUT: Member = Member::new("timeout_seconds", Form::Integer(1, 240), "how long to wait for a whole answer; default 60");

const TIMEOUT_SECONDS: u64 = 60;
/// Headers that belong to the connection or to the sink.
const OURS: [&str; 9] =
    ["host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "expect", "te", "upgrade"];

/// A caller of the URL in the member `url`, with the headers of the definition and one that proves who calls.
///
/// # Errors
/// A sentence that names the member.
pub fn caller(members: &Members<'_>, authorization: Option<&str>) -> Result<Caller, String> {
    let address = Address::read("url", members.text("url").unwrap_or_default())?;
    caller_of(address, members, authorization)
}

/// The same for an address of one's own making.
///
/// # Errors
/// A sentence that names the member.
pub fn caller_of(address: Address, members: &Members<'_>, authorization: Option<&str>) -> Result<Caller, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in members.texts("headers")? {
        let lower = name.to_ascii_lowercase();
        if OURS.contains(&lower.as_str()) || lower.starts_with("x-traild-") {
            return Err(format!("`headers`: `{name}` is written by traild"));
        }
        put(&mut headers, &name, &value, true).map_err(|problem| format!("`headers`: {problem}"))?;
    }
    if let Some(authorization) = authorization {
        put(&mut headers, "authorization", authorization, true)?;
    }
    let trust = if address.secure { Some(Trust::new(members.text("ca_file"))?) } else { None };
    let patience = Duration::from_secs(members.number("timeout_seconds").unwrap_or(TIMEOUT_SECONDS));
    Ok(Caller::new(address, trust, headers, patience))
}

/// The header of a user and password.
#[must_use]
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
