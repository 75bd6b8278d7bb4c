//! The id that an event brings with it, at the places where services write it.

use std::borrow::Cow;

use serde::Deserialize;

/// The ids of events at their usual places.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Ids<'a> {
    #[serde(borrow, rename = "eventID")]
    event_id_upper: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "eventId")]
    event_id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "auditID")]
    audit_id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "insertId")]
    insert_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
}

/// The id of an event; `None` when it has none, or one that is no text. It is not always unique.
#[must_use]
pub fn event_id(text: &[u8]) -> Option<Cow<'_, str>> {
    let ids: Ids<'_> = serde_json::from_slice(text).ok()?;
    ids.event_id_upper.or(ids.event_id).or(ids.audit_id).or(ids.insert_id).or(ids.id)
}
