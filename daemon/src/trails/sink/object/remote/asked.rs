//! [`Asked`]: how long a busy store asked to be left alone.
//!
//! opendal turns an answer into an error without its headers; so who sees the answer notes `Retry-After` here, and who makes a fault of the error takes it from
//! here. Limits: the last answer counts, whichever of several requests at a time it was for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use hyper::http::HeaderMap;

use crate::trails::sink::http::verdict::retry_after;

/// What a store asked for last, shared by all who speak with it.
#[derive(Debug, Clone, Default)]
pub struct Asked(Arc<Mutex<Option<Duration>>>);

impl Asked {
    /// Notes what an answer asks for, when it is one of a store that is busy or broken.
    pub fn note(&self, status: StatusCode, headers: &HeaderMap) {
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            self.put(retry_after(headers));
        }
    }

    /// What was asked for since this was called last.
    #[must_use]
    pub fn take(&self) -> Option<Duration> {
        self.put(None)
    }

    /// Forgets what was asked for in an answer that nobody minds.
    pub fn forget(&self) {
        self.put(None);
    }

    fn put(&self, wait: Option<Duration>) -> Option<Duration> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), wait)
    }
}

#[cfg(test)]
mod tests {
    use hyper::http::header::RETRY_AFTER;

    use super::*;

    #[test]
    fn only_who_is_busy_is_heard_and_once() {
        let asked = Asked::default();
        let answer = |status: u16, wait: Option<&str>| {
            let headers = wait.map(|wait| (RETRY_AFTER, wait.parse().unwrap())).into_iter().collect();
            asked.note(StatusCode::from_u16(status).unwrap(), &headers);
        };
        for (status, wait) in [(503, Some(7)), (429, Some(7)), (500, Some(7)), (200, None), (404, None)] {
            answer(status, Some("7"));
            assert_eq!(asked.take(), wait.map(Duration::from_secs), "{status}");
            assert_eq!(asked.take(), None);
        }
        answer(503, Some("7"));
        answer(503, None);
        assert_eq!(asked.take(), None);
    }
}
