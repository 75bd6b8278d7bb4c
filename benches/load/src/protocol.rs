//! [`Protocol`]: how events are written into a request, and what an answer says about them.

use serde::Deserialize;
use trail_rig::Answer;

/// How much of an answer that says no is shown.
const SHOWN_BYTES: usize = 300;

/// What the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `POST /v1/events`, one event a line; the answer counts what was accepted.
    Native,
    /// One event a line to any path; any 2xx accepts all.
    Lines,
    /// Elasticsearch `_bulk`: a line of what to do before each event; the answer has a status for each.
    Bulk,
}

/// What became of the events of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) accepted: u64,
    /// Why others were not, and how many for this reason.
    pub(crate) refused: Vec<(String, u64)>,
    /// What the server said when it refused any.
    pub(crate) said: String,
}

#[derive(Deserialize)]
struct NativeAnswer {
    accepted: u64,
    #[serde(default)]
    duplicates: u64,
}

#[derive(Deserialize)]
struct BulkAnswer {
    items: Vec<BulkItem>,
}

#[derive(Deserialize)]
struct BulkItem {
    #[serde(alias = "index")]
    create: BulkStatus,
}

#[derive(Deserialize)]
struct BulkStatus {
    status: u16,
}

impl Protocol {
    pub(crate) fn read(name: &str) -> Option<Protocol> {
        match name {
            "native" => Some(Protocol::Native),
            "lines" => Some(Protocol::Lines),
            "bulk" => Some(Protocol::Bulk),
            _ => None,
        }
    }

    /// The path where the URL has none.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Protocol::Native => "/v1/events",
            Protocol::Lines => "/",
            Protocol::Bulk => "/_bulk",
        }
    }

    /// What stands before each event.
    pub(crate) fn before(self) -> &'static [u8] {
        match self {
            Protocol::Native | Protocol::Lines => b"",
            Protocol::Bulk => b"{\"create\":{}}\n",
        }
    }

    /// Reads an answer to so many events.
    pub(crate) fn judge(self, answer: &Answer, events: u64) -> Verdict {
        let mut verdict = Verdict::default();
        let good = (200..300).contains(&answer.status);
        let understood = good && self.read_answer(&answer.body, events, &mut verdict).is_some();
        if good && !understood {
            verdict.refused.push((format!("status {} with an answer that is not understood", answer.status), events));
        } else if !good {
            verdict.refused.push((format!("status {}", answer.status), events));
        }
        let known = verdict.accepted + verdict.refused.iter().map(|(_, count)| count).sum::<u64>();
        if known < events {
            verdict.refused.push(("rejected".to_owned(), events - known));
        }
        if !verdict.refused.is_empty() {
            let shown = answer.body.get(..SHOWN_BYTES).unwrap_or(&answer.body);
            verdict.said = String::from_utf8_lossy(shown).into_owned();
        }
        verdict
    }

    fn read_answer(self, body: &[u8], events: u64, verdict: &mut Verdict) -> Option<()> {
        match self {
            Protocol::Lines => verdict.accepted = events,
            Protocol::Native => {
                let answer: NativeAnswer = serde_json::from_slice(body).ok()?;
                verdict.accepted = answer.accepted;
                if answer.duplicates > 0 {
                    verdict.refused.push(("duplicates (the same seed again?)".to_owned(), answer.duplicates));
                }
            }
            Protocol::Bulk => {
                let answer: BulkAnswer = serde_json::from_slice(body).ok()?;
                for BulkItem { create: BulkStatus { status } } in answer.items {
                    if (200..300).contains(&status) {
                        verdict.accepted += 1;
                    } else {
                        verdict.refuse_item(status);
                    }
                }
            }
        }
        Some(())
    }
}

impl Verdict {
    fn refuse_item(&mut self, status: u16) {
        let reason = format!("item with status {status}");
        match self.refused.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.refused.push((reason, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(protocol: Protocol, status: u16, body: &str) -> (u64, Vec<(String, u64)>) {
        let verdict = protocol.judge(&Answer { status, body: body.as_bytes().to_vec(), ..Answer::default() }, 3);
        assert_eq!(verdict.said.is_empty(), verdict.refused.is_empty() || body.is_empty());
        (verdict.accepted, verdict.refused)
    }

    #[test]
    fn every_event_is_accounted_for() {
        let some = |reason: &str, count: u64| vec![(reason.to_owned(), count)];
        assert_eq!(judged(Protocol::Native, 200, r#"{"accepted":3,"duplicates":0}"#), (3, vec![]));
        assert_eq!(judged(Protocol::Native, 200, r#"{"accepted":2,"rejected":[{"index":1}]}"#), (2, some("rejected", 1)));
        assert_eq!(judged(Protocol::Native, 200, r#"{"accepted":1,"duplicates":2}"#), (1, some("duplicates (the same seed again?)", 2)));
        assert_eq!(judged(Protocol::Native, 200, "[]"), (0, some("status 200 with an answer that is not understood", 3)));
        assert_eq!(judged(Protocol::Native, 507, "{}"), (0, some("status 507", 3)));
        assert_eq!(judged(Protocol::Lines, 204, ""), (3, vec![]));
        assert_eq!(judged(Protocol::Lines, 400, "no"), (0, some("status 400", 3)));
    }

    #[test]
    fn items_of_a_bulk_are_counted_by_status() {
        let body = r#"{"took":1,"errors":true,"items":[{"create":{"_index":"a","status":201}},
            {"index":{"status":429,"error":{"type":"x"}}},{"create":{"status":429}}]}"#;
        assert_eq!(judged(Protocol::Bulk, 200, body), (1, vec![("item with status 429".to_owned(), 2)]));
        assert_eq!(judged(Protocol::Bulk, 200, r#"{"items":[{"create":{"status":201}}]}"#), (1, vec![("rejected".to_owned(), 2)]));
    }
}
