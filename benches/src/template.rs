//! [`Template`]: one real event, cut into the text that stays and the places that are filled anew each time.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::entity::{Entity, Fill, Pools, find};
use crate::renewal::Place;
use crate::text::{is_word, read_seconds};

/// An event with its replaceable texts taken out.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    /// All literal texts, one after the other.
    text: Vec<u8>,
    /// For each place: how much of the text stands before it since the place before, and which fill goes there.
    places: Vec<(u32, u32)>,
    /// Each is computed once an event, however often it stands there.
    pub(crate) fills: Vec<Fill>,
}

impl Template {
    /// Reads a line; `None` when it is no JSON object, or nothing in it can be replaced.
    pub(crate) fn read(line: &[u8], pools: &mut Pools) -> Option<Template> {
        let event: Value = serde_json::from_slice(line).ok()?;
        let found = find(event.as_object()?, pools);
        // Written compactly and in the order of its keys, as vendors deliver.
        let text = serde_json::to_vec(&event).ok()?;
        let template = cut(&text, &found);
        (!template.places.is_empty()).then_some(template)
    }

    /// Appends the event, given the values of its fills one after the other and where each ends.
    #[inline]
    pub(crate) fn write(&self, values: &[u8], ends: &[usize], out: &mut Vec<u8>) {
        let mut rest = self.text.as_slice();
        for (before, fill) in &self.places {
            let (literal, after) = rest.split_at_checked(*before as usize).unwrap_or((rest, &[]));
            rest = after;
            out.extend_from_slice(literal);
            let fill = *fill as usize;
            let start = fill.checked_sub(1).and_then(|previous| ends.get(previous)).copied().unwrap_or(0);
            let end = ends.get(fill).copied().unwrap_or(start);
            out.extend_from_slice(values.get(start..end).unwrap_or_default());
        }
        out.extend_from_slice(rest);
    }

    /// Says where in an event that was written from `start` on, with fills that end there, values can be made new.
    pub(crate) fn places(&self, start: usize, ends: &[usize], out: &mut Vec<Place>) {
        let mut at = start;
        let mut first = vec![None; self.fills.len()];
        for (before, number) in &self.places {
            at += *before as usize;
            let number = *number as usize;
            let from = number.checked_sub(1).and_then(|previous| ends.get(previous)).copied().unwrap_or(0);
            let length = ends.get(number).copied().unwrap_or(from) - from;
            if let (Some(fill), Some(first)) = (self.fills.get(number), first.get_mut(number)) {
                out.extend(Place::of(fill, at, length, *first));
                first.get_or_insert(at);
            }
            at += length;
        }
    }
}

/// An old text as it stands in JSON, and what it becomes.
struct Needle<'e> {
    written: Vec<u8>,
    /// Times without their zone: anything may follow them.
    open: bool,
    entity: &'e Entity,
}

fn cut(text: &[u8], found: &BTreeMap<String, Entity>) -> Template {
    let needles = needles(found);
    let mut template = Template { text: Vec::with_capacity(text.len()), places: Vec::new(), fills: Vec::new() };
    let mut numbers = vec![None; needles.len()];
    let (mut at, mut literal, mut placed) = (0, 0, 0);
    while at < text.len() {
        let starts_word = at.checked_sub(1).and_then(|before| text.get(before)).is_none_or(|b| !is_word(*b));
        let hit = if starts_word { needles.iter().position(|needle| stands(needle, text, at)) } else { None };
        let Some((number, needle)) = hit.and_then(|n| Some((n, needles.get(n)?))) else {
            at += 1;
            continue;
        };
        template.text.extend_from_slice(text.get(literal..at).unwrap_or_default());
        template.text.extend_from_slice(needle.entity.before.as_bytes());
        let fill = numbers.get(number).copied().flatten().unwrap_or(template.fills.len());
        if fill == template.fills.len() {
            template.fills.push(needle.entity.fill.clone());
        }
        if let Some(known) = numbers.get_mut(number) {
            *known = Some(fill);
        }
        template.places.push(((template.text.len() - placed) as u32, fill as u32));
        placed = template.text.len();
        template.text.extend_from_slice(needle.entity.after.as_bytes());
        at += needle.written.len();
        literal = at;
    }
    template.text.extend_from_slice(text.get(literal..).unwrap_or_default());
    template
}

/// Longest first, so that a name is not cut out of a longer one.
fn needles(found: &BTreeMap<String, Entity>) -> Vec<Needle<'_>> {
    let mut needles: Vec<Needle<'_>> = found
        .iter()
        .map(|(old, entity)| {
            if entity.written {
                return Needle { written: old.clone().into_bytes(), open: true, entity };
            }
            let quoted = Value::String(old.clone()).to_string();
            let written = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().as_bytes().to_vec();
            Needle { written, open: old.len() == 19 && read_seconds(old).is_some(), entity }
        })
        .collect();
    needles.sort_by_key(|needle| std::cmp::Reverse(needle.written.len()));
    needles
}

/// Whether the needle stands here as a whole word, and not as a key.
fn stands(needle: &Needle<'_>, text: &[u8], at: usize) -> bool {
    let Some(after) = text.get(at..).and_then(|rest| rest.strip_prefix(needle.written.as_slice())) else { return false };
    let whole = needle.open || after.first().is_none_or(|b| !is_word(*b));
    whole && !after.starts_with(b"\":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(line: &str, values: &[&str]) -> String {
        let template = Template::read(line.as_bytes(), &mut Pools::default()).unwrap();
        assert_eq!(template.fills.len(), values.len(), "{:?}", template.fills);
        let mut ends = Vec::new();
        for value in values {
            ends.push(ends.last().copied().unwrap_or(0) + value.len());
        }
        let mut out = Vec::new();
        template.write(values.concat().as_bytes(), &ends, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn replaces_whole_words_everywhere_but_not_keys() {
        let line = r#"{ "userIdentity": {"type": "IAMUser", "userName": "pedro", "arn": "arn:aws:iam::1:user/pedro"}, "pedro": 1, "x": "pedro2 pedro" }"#;
        let expected = r#"{"userIdentity":{"type":"IAMUser","userName":"ann","arn":"arn:aws:iam::1:user/ann"},"pedro":1,"x":"pedro2 ann"}"#;
        assert_eq!(filled(line, &["ann"]), expected);
    }

    #[test]
    fn times_keep_their_zone_and_fraction() {
        assert_eq!(filled(r#"{"eventTime":"2026-11-22T08:00:00Z"}"#, &["2020-01-01T00:00:00"]), r#"{"eventTime":"2020-01-01T00:00:00Z"}"#);
        let line = r#"{"EventTime":"2026-11-22T08:00:00.204+0000"}"#;
        assert_eq!(filled(line, &["2020-01-01T00:00:00"]), r#"{"EventTime":"2020-01-01T00:00:00.204+0000"}"#);
    }

    #[test]
    fn short_ids_are_replaced_only_where_they_are_the_id() {
        assert_eq!(
            filled(r#"{"eventID":"1","x":"1","eventName":"eventID"}"#, &["new"]),
            r#"{"eventID":"new","x":"1","eventName":"eventID"}"#
        );
    }

    #[test]
    fn what_is_no_event_is_no_template() {
        for line in ["[1]", "{", "{}", "{\"a\":1}"] {
            assert!(Template::read(line.as_bytes(), &mut Pools::default()).is_none(), "{line}");
        }
    }
}
