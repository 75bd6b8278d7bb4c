//! Keeps web pages out of a server without keys.
//!
//! Problem: a page in a browser on this machine can send requests to a loopback port, and with a name that it makes resolve to
//! 127.0.0.1 (DNS rebinding) it can read the answers too. Mechanism: the `Host` must be `localhost` or an address, which a page
//! cannot fake, and an `Origin` must be this server itself. Limits: with keys none of this is needed, since a browser has no key to send.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};

use crate::api::refusal::Refusal;

/// 403 for a foreign `Host` or `Origin`.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Refusal> {
    let refuse = |message: &str| Err(Refusal::new(StatusCode::FORBIDDEN, "foreign_origin", message));
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next().map(|h| h.to_str().unwrap_or_default()), hosts.next()) {
        (Some(host), None) if is_local(host) => host,
        _ => return refuse("without keys the host must be localhost or an address; make a key with `traild key create` to use a name"),
    };
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let authority = origin.to_str().ok().and_then(|o| o.split_once("://")).map(|(_, authority)| authority);
    if authority.is_some_and(|a| a.eq_ignore_ascii_case(host)) {
        Ok(())
    } else {
        refuse("a page of another origin cannot use a server without keys")
    }
}

fn is_local(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, rest)) if v6.parse::<Ipv6Addr>().is_ok() => ("localhost", rest.strip_prefix(':').unwrap_or(rest)),
        _ => host.rsplit_once(':').unwrap_or((host, "")),
    };
    let is_localhost = || name.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("localhost"));
    port.bytes().all(|b| b.is_ascii_digit()) && (is_localhost() || name.parse::<Ipv4Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(pairs: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        check(&headers).is_ok()
    }

    #[test]
    fn only_names_that_cannot_be_rebound() {
        for good in ["127.0.0.1:8700", "localhost", "LOCALHOST:8700", "[::1]:8700", "[::1]", "192.168.1.5:80", "a.localhost"] {
            assert!(allowed(&[("host", good)]), "{good}");
        }
        for bad in
            ["evil.example", "evil.example:8700", "localhost.evil.example", "127.0.0.1.evil.example:8700", "", "[evil]:1", "localhost:x"]
        {
            assert!(!allowed(&[("host", bad)]), "{bad}");
        }
        assert!(!allowed(&[]));
        assert!(!allowed(&[("host", "localhost"), ("host", "localhost")]));
    }

    #[test]
    fn only_its_own_origin() {
        assert!(allowed(&[("host", "localhost:8700"), ("origin", "http://localhost:8700")]));
        for foreign in ["https://evil.example", "null", "http://localhost:9999", ""] {
            assert!(!allowed(&[("host", "localhost:8700"), ("origin", foreign)]), "{foreign}");
        }
    }
}
