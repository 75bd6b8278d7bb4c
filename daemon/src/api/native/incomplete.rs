//! What an answer lacks: the member `incomplete` of JSON answers, the header `X-Incomplete` and a comment of NDJSON ones.
//!
//! A client learns which file and which sequences; what is wrong there is for the operator, in the log and the statistics.

use axum::http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use trail_engine::Gap;

/// The header of NDJSON answers.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-incomplete");
/// The most gaps that a header or comment names.
const NAMED_MAX: usize = 10;

/// Adds `incomplete` to an answer, when it is.
pub(super) fn with_gaps(mut answer: Value, gaps: &[Gap]) -> Value {
    if let (Some(members), false) = (answer.as_object_mut(), gaps.is_empty()) {
        members.insert("incomplete".into(), list(gaps));
    }
    answer
}

/// The gaps as JSON.
pub(super) fn list(gaps: &[Gap]) -> Value {
    let gap = |gap: &Gap| {
        json!({
            "part": gap.part, "first_sequence": gap.first_sequence.0, "last_sequence": gap.last_sequence.0, "events": gap.events,
        })
    };
    gaps.iter().map(gap).collect()
}

/// The gaps in a line: `segment-0000000000000002 sequences 2049-4096 (2048 events)`, with commas.
pub(super) fn line(gaps: &[Gap]) -> String {
    let gap = |gap: &Gap| format!("{} sequences {}-{} ({} events)", gap.part, gap.first_sequence, gap.last_sequence, gap.events);
    let mut named: Vec<String> = gaps.iter().take(NAMED_MAX).map(gap).collect();
    if gaps.len() > NAMED_MAX {
        named.push(format!("and {} more", gaps.len() - NAMED_MAX));
    }
    named.join(", ")
}

/// The header's value, when there are gaps.
pub(super) fn header(gaps: &[Gap]) -> Option<HeaderValue> {
    HeaderValue::from_str(&line(gaps)).ok().filter(|_| !gaps.is_empty())
}

#[cfg(test)]
mod tests {
    use trail_engine::id::Sequence;

    use super::*;

    #[test]
    fn gaps_are_named_up_to_a_bound() {
        let gap = |i: u64| Gap {
            part: format!("segment-{i:016x}"),
            first_sequence: Sequence(i),
            last_sequence: Sequence(i + 9),
            events: 10,
            reason: "in /srv/secret".into(),
        };
        let gaps: Vec<Gap> = (0..12).map(gap).collect();
        assert_eq!(line(&gaps[1..2]), "segment-0000000000000001 sequences 1-10 (10 events)");
        assert!(line(&gaps).ends_with(", and 2 more"));
        let answer = with_gaps(json!({"count": 1}), &gaps);
        assert!(answer["incomplete"].as_array().unwrap().len() == 12 && !answer.to_string().contains("secret"), "{answer}");
        assert_eq!(with_gaps(json!({"count": 1}), &[]), json!({"count": 1}));
        assert_eq!(header(&[]), None);
    }
}
