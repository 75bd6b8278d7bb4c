//! What the status of an answer means for a batch.
//!
//! Busy and broken services are tried again, for as long as they ask; what an operator must mend is tried again as well, and said so;
//! what is too large is cut; what will never be taken goes to the dead letters. What a service writes into its answer is told only where its
//! sink knows the form of it, clipped and without control characters: it is shown to people.

use std::time::Duration;

use hyper::http::header::{HeaderMap, RETRY_AFTER};
use trail_engine::clock::{Clock as _, SystemClock};

use crate::trails::sink::fault::{Fault, FaultKind};
use crate::trails::sink::http::address::Address;
use crate::trails::sink::http::caller::Answer;

/// The most characters that are told of what a service says.
const TOLD_CHARS_MAX: usize = 300;

/// The kind of fault that a status is; `None` for success.
#[must_use]
pub fn kind(status: u16) -> Option<FaultKind> {
    match status {
        200..=299 => None,
        408 | 425 | 429 | 500..=599 => Some(FaultKind::Later),
        413 => Some(FaultKind::TooLarge),
        100..=199 | 300..=399 | 401..=407 | 410 => Some(FaultKind::Setup),
        _ => Some(FaultKind::Refused),
    }
}

/// What an answer means; `told` is what the service says, where its sink can read that.
///
/// # Errors
/// The fault, when the status is none of success.
pub fn judge(address: &Address, answer: &Answer, told: Option<&str>) -> Result<(), Fault> {
    let status = answer.status.as_u16();
    let Some(kind) = kind(status) else { return Ok(()) };
    let told = told.map(clip).filter(|told| !told.is_empty()).map(|told| format!(": {told}")).unwrap_or_default();
    Err(Fault::new(kind, format!("{address} answered {status}{told}{}", mend(status))).after(retry_after(&answer.headers)))
}

/// What would mend it, for those statuses where somebody can.
fn mend(status: u16) -> &'static str {
    match status {
        300..=399 => "; redirects are not followed: write the address that it leads to into the trail",
        401 => "; the credentials of the sink are missing, wrong or expired",
        403 => "; the credentials of the sink are known, but may not write there",
        404 | 410 => "; there is no such place: the path, index, project or store in the trail must be one that exists",
        402 | 405 | 406 | 407 => "; this is not an address to which events can be posted, or a proxy stands before it",
        _ => "",
    }
}

/// How long the service asks to be left alone: seconds, or a date.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(u64::try_from(SystemClock::new().now().as_millis()).ok()?);
    Some(at.saturating_sub(now))
}

/// What may be shown of a text from outside.
#[must_use]
pub fn clip(text: &str) -> String {
    let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TOLD_CHARS_MAX).collect();
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, wait: Option<&str>) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(wait) = wait {
            headers.insert(RETRY_AFTER, wait.parse().unwrap());
        }
        Answer { status: status.try_into().unwrap(), headers, body: Bytes::new(), cut: false }
    }

    #[test]
    fn every_status_has_a_meaning() {
        let address = Address::read("url", "http://h/in").unwrap();
        let judged = |status, told| judge(&address, &answer(status, None), told).unwrap_err();
        for status in [200, 201, 202, 204] {
            assert_eq!(judge(&address, &answer(status, None), None), Ok(()));
        }
        for (kind, statuses) in [
            (FaultKind::Later, &[408, 425, 429, 500, 502, 503, 504, 599][..]),
            (FaultKind::Setup, &[301, 302, 307, 401, 403, 404, 405, 410]),
            (FaultKind::TooLarge, &[413]),
            (FaultKind::Refused, &[400, 409, 415, 422]),
        ] {
            for status in statuses {
                assert_eq!(judged(*status, None).kind, kind, "{status}");
            }
        }
        assert!(judged(302, None).message.contains("redirects are not followed"));
        assert_eq!(
            judged(401, Some("no\n\u{1b}[31m such key")).message,
            "http://h/in answered 401: no  [31m such key; the credentials of the sink are missing, wrong or expired"
        );
        assert!(judged(400, Some(&"x".repeat(5_000))).message.len() < 400);
    }

    #[test]
    fn waits_are_read_as_seconds_and_as_dates() {
        let wait = |text: &str| retry_after(&answer(429, Some(text)).headers);
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Thu, 01 Jan 1970 00:00:01 GMT"), Some(Duration::ZERO));
        assert!(wait("Fri, 01 Jan 2117 00:00:00 GMT").unwrap() > Duration::from_secs(86_400));
        for nothing in ["soon", "-1", ""] {
            assert_eq!(wait(nothing), None);
        }
    }
}
