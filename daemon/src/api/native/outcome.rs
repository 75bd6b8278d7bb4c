//! The answer to an append: what was stored, what was there already, what was refused and why.

use std::fmt::Write as _;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use trail_engine::id::Sequence;
use trail_engine::{Receipt, Rejection};

use crate::api::native::page::json_bytes;
use crate::api::refusal::Refusal;
use crate::backend::{Appended, Rejected};

/// How many rejected events are listed; `rejected_count` says how many there are.
const LISTED_MAX: usize = 100;

/// 200 when anything of the body is in the log now, else an error with the same members: 413 when every event is too long, 400 when
/// anything else is wrong with them.
pub(super) fn answer(appended: &Appended) -> Result<Response, Refusal> {
    let is_any_there = appended.receipt.accepted + appended.receipt.duplicates > 0;
    if is_any_there && appended.rejections.is_empty() {
        return Ok(json_bytes(all_kept(&appended.receipt).into()));
    }
    let members = members(appended);
    if is_any_there {
        return Ok(json_bytes(written(&members).into()));
    }
    let first = appended.rejections.first().map(|r| format!(": {}", r.rejection.message)).unwrap_or_default();
    let message = format!("no event of the body can be stored{first}");
    let refusal = if appended.rejections.iter().all(|r| r.rejection.code == "too_large") {
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "event_too_large", message)
    } else {
        Refusal::bad_request("all_rejected", message)
    };
    Err(members.into_iter().fold(refusal, |refusal, (name, value)| refusal.with(name, value)))
}

/// What [`written`] makes of [`members`] when no event was refused: nearly every answer, and for small requests a good part of the work.
fn all_kept(receipt: &Receipt) -> String {
    let mut json = String::with_capacity(160);
    // Writing to a String cannot fail.
    let _ = write!(json, "{{\"accepted\":{},\"duplicates\":{},\"rejected\":[],\"rejected_count\":0", receipt.accepted, receipt.duplicates);
    for (name, sequence) in [("first_sequence", receipt.first_sequence), ("last_sequence", receipt.last_sequence)] {
        let _ = match sequence {
            Some(Sequence(number)) => write!(json, ",\"{name}\":{number}"),
            None => write!(json, ",\"{name}\":null"),
        };
    }
    json.push('}');
    json
}

/// An object, without a map being made of it first.
fn written(members: &[(&'static str, Value)]) -> String {
    let mut json = String::with_capacity(160);
    for (number, (name, value)) in members.iter().enumerate() {
        // Writing to a String cannot fail. The names need no escapes.
        let _ = write!(json, "{}\"{name}\":{value}", if number == 0 { '{' } else { ',' });
    }
    json.push('}');
    json
}

fn members(appended: &Appended) -> Vec<(&'static str, Value)> {
    let listed = |r: &Rejected| {
        let Rejection { index, code, message } = &r.rejection;
        json!({ "index": index, "code": code, "message": message, "position": r.start })
    };
    let rejected: Vec<Value> = appended.rejections.iter().take(LISTED_MAX).map(listed).collect();
    let number = |sequence: Option<Sequence>| sequence.map_or(Value::Null, |s| s.0.into());
    vec![
        ("accepted", appended.receipt.accepted.into()),
        ("duplicates", appended.receipt.duplicates.into()),
        ("rejected", rejected.into()),
        ("rejected_count", appended.rejections.len().into()),
        ("first_sequence", number(appended.receipt.first_sequence)),
        ("last_sequence", number(appended.receipt.last_sequence)),
    ]
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn rejected(index: usize, code: &'static str) -> Rejected {
        Rejected { rejection: Rejection { index, code, message: "x".into() }, start: index * 10 }
    }

    fn bad(count: usize) -> Vec<Rejected> {
        (0..count).map(|index| rejected(index, "invalid_json")).collect()
    }

    #[test]
    fn lists_a_hundred_and_counts_all() {
        let receipt = Receipt { accepted: 1, duplicates: 0, first_sequence: Some(Sequence(7)), last_sequence: Some(Sequence(7)) };
        let members = members(&Appended { receipt, rejections: bad(250) });
        let of = |name| members.iter().find(|(n, _)| *n == name).unwrap().1.clone();
        assert_eq!(of("rejected").as_array().unwrap().len(), 100);
        assert_eq!(of("rejected_count"), 250);
        assert_eq!(of("rejected")[7], json!({ "index": 7, "code": "invalid_json", "message": "x", "position": 70 }));
        assert_eq!(of("first_sequence"), 7);
    }

    #[test]
    fn the_usual_answer_is_what_its_members_say() {
        let sequence = |n| Some(Sequence(n));
        let kept = Receipt { accepted: 9, duplicates: 1, first_sequence: sequence(7), last_sequence: sequence(u64::MAX) };
        for receipt in [kept, Receipt { duplicates: 3, ..Receipt::default() }] {
            assert_eq!(all_kept(&receipt), written(&members(&Appended { receipt, rejections: Vec::new() })));
        }
    }

    #[test]
    fn nothing_stored_is_an_error_and_a_pure_retry_is_none() {
        let refusal = answer(&Appended { receipt: Receipt::default(), rejections: bad(2) }).unwrap_err();
        let body: Value = serde_json::from_slice(&refusal.render("r")).unwrap();
        assert_eq!((&body["accepted"], &body["rejected_count"], &body["error"]["code"]), (&json!(0), &json!(2), &json!("all_rejected")));
        let status = |codes: [&'static str; 2]| {
            let rejections = codes.map(|code| rejected(0, code)).to_vec();
            answer(&Appended { receipt: Receipt::default(), rejections }).unwrap_err().into_response().status().as_u16()
        };
        assert_eq!([status(["too_large", "too_large"]), status(["too_large", "invalid_json"])], [413, 400]);
        let retry = Receipt { duplicates: 3, ..Receipt::default() };
        assert!(answer(&Appended { receipt: retry, rejections: Vec::new() }).is_ok());
    }
}
