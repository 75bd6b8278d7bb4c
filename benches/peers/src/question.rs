//! [`Question`] and [`Reply`]: what every peer is asked and what it answers, in words that belong to none of them.
//!
//! They are those of `trail-corpus`, Q1 to Q9: Q1 an event by its id, Q2 the newest events of a rare user, Q3 those of a frequent event name,
//! Q4 the most frequent event names, Q5 an hourly histogram of a service, Q6 three properties together (Q6b their count), Q7 a part of a nested
//! value, Q8 ten pages of a user's events, Q9 the count of everything.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use trail_corpus::{Facts, Questions};
use trail_rig::Result;

/// A property of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Field {
    Id,
    User,
    EventName,
    Service,
    Region,
    ReadOnly,
    /// `requestParameters.bucketName`, of which a part is given.
    BucketPart,
}

/// A property and its value; every condition of a filter must hold.
pub(crate) type Filter = Vec<(Field, String)>;

/// Something to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Question {
    /// The newest events, whole: so many a page, one page after the other.
    Newest { filter: Filter, limit: usize, pages: usize },
    /// The most frequent event names of all events.
    TopNames { limit: usize },
    /// How many events in each hour.
    Hours { filter: Filter },
    /// How many events.
    Count { filter: Filter },
}

/// What is compared of an event: it came, in the right order, and as it was stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    /// `eventTime`, in seconds since 1970-01-01T00:00:00Z.
    pub(crate) time: i64,
    /// `eventID`.
    pub(crate) id: String,
    /// What the event says, of those who give back all of it.
    pub(crate) whole: Option<u64>,
}

impl Row {
    /// Of a whole event.
    pub(crate) fn of(event: &Value) -> Result<Row> {
        let facts = Facts::of(event).ok_or("an event is no object")?;
        Ok(Row { time: facts.time.ok_or("an event has no time")?, id: facts.id, whole: Some(digest(event)) })
    }

    /// Of an event's text.
    pub(crate) fn read(event: &str) -> Result<Row> {
        Row::of(&serde_json::from_str(event)?)
    }
}

/// A number of all that an event says; neither white space nor the order of names is a part of it.
pub(crate) fn digest(event: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    add(event, &mut hasher);
    hasher.finish()
}

fn add(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            ('{', members.len()).hash(hasher);
            for (name, value) in members {
                name.hash(hasher);
                add(value, hasher);
            }
        }
        Value::Array(items) => {
            ('[', items.len()).hash(hasher);
            items.iter().for_each(|item| add(item, hasher));
        }
        // As JSON: a text and the number that it looks like differ by their quotes.
        single => single.to_string().hash(hasher),
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// In the order they came in.
    Rows(Vec<Row>),
    /// Most frequent first.
    Terms(Vec<(String, u64)>),
    /// Hours since 1970-01-01T00:00:00Z; those without events may be there or not.
    Hours(Vec<(i64, u64)>),
    Count(u64),
}

/// The questions with their names, for the table.
pub(crate) fn questions(asked: &Questions) -> Vec<(String, Question)> {
    let newest = |filter: Filter, limit| Question::Newest { filter, limit, pages: 1 };
    let [service, region, read_only] = asked.triple.clone();
    let triple = vec![(Field::Service, service), (Field::Region, region), (Field::ReadOnly, read_only)];
    let one = |field: Field, value: &str| vec![(field, value.to_owned())];
    let named = |name: &str, matching: u64| format!("{name} ({matching} match)");
    let paged = Question::Newest { filter: one(Field::User, &asked.paged_user.value), limit: 100, pages: 10 };
    vec![
        ("Q1 event id".into(), newest(one(Field::Id, &asked.id), 50)),
        (named("Q2 newest 50 of a rare user", asked.rare_user.tally.count), newest(one(Field::User, &asked.rare_user.value), 50)),
        (
            named("Q3 newest 50 of a frequent event name", asked.frequent_name.tally.count),
            newest(one(Field::EventName, &asked.frequent_name.value), 50),
        ),
        ("Q4 top 10 event names, all".into(), Question::TopNames { limit: 10 }),
        (
            named("Q5 hourly histogram of one service", asked.service.tally.count),
            Question::Hours { filter: one(Field::Service, &asked.service.value) },
        ),
        (named("Q6 three dimensions ANDed, newest 100", asked.triple_tally.count), newest(triple.clone(), 100)),
        ("Q6b the same, count".into(), Question::Count { filter: triple }),
        (named("Q7 part of a nested value, newest 50", asked.part.tally.count), newest(one(Field::BucketPart, &asked.part.value), 50)),
        (named("Q8 a user's events, 10 pages of 100", asked.paged_user.tally.count), paged),
        ("Q9 count of everything".into(), Question::Count { filter: Filter::new() }),
    ]
}

/// Whether an event is meant.
pub(crate) fn matches(filter: &Filter, facts: &Facts) -> bool {
    filter.iter().all(|(field, value)| match field {
        Field::Id => facts.id == *value,
        Field::User => facts.user == *value,
        Field::EventName => facts.event_name == *value,
        Field::Service => facts.service == *value,
        Field::Region => facts.region == *value,
        Field::ReadOnly => facts.read_only == *value,
        Field::BucketPart => facts.bucket.contains(value.as_str()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_what_an_event_says() {
        let of = |text: &str| digest(&serde_json::from_str(text).unwrap_or_default());
        let event = of(r#"{"a":1,"b":[true,null,"x"]}"#);
        assert_eq!(event, of(r#"{ "b" : [true, null, "\u0078"], "a" : 1 }"#));
        let others = [
            r#"{"a":"1","b":[true,null,"x"]}"#,
            r#"{"a":1,"b":[true,"x"]}"#,
            r#"{"a":1,"b":[null,true,"x"]}"#,
            r#"{"a":1}"#,
            r#"{"a":1,"b":[true,null,"x"],"c":null}"#,
        ];
        assert!(others.iter().all(|other| of(other) != event));
    }
}
