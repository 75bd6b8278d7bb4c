//! [`Truth`]: the right answers, from one plain reading of the file that every peer stores.
//!
//! A peer that answers as the file says answers as every other peer does. Where the question leaves a choice, every choice is right: events of
//! the same second come in any order, and which of them end a page is free; so are terms of the same count. Who gives back whole events gives them back
//! as they were stored, but for white space and the order of names; of others the time and the id are compared.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::Value;
use trail_corpus::{Facts, most_frequent};
use trail_rig::Result;

use crate::question::{Question, Reply, Row, digest, matches};

/// What is right for one question.
#[derive(Debug)]
enum Right {
    /// All that match, newest first.
    Rows(Vec<Row>),
    Terms(BTreeMap<String, u64>),
    Hours(BTreeMap<i64, u64>),
    Count(u64),
}

/// The questions and their right answers.
#[derive(Debug)]
pub(crate) struct Truth {
    all: Vec<(Question, Right)>,
}

impl Truth {
    /// Reads the file.
    pub(crate) fn read(file: &Path, questions: &[(String, Question)]) -> Result<Truth> {
        let mut all: Vec<_> = questions.iter().map(|(_, question)| (question.clone(), nothing(question))).collect();
        let mut reader = BufReader::with_capacity(1 << 20, File::open(file)?);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let event: Value = serde_json::from_slice(&line)?;
            let facts = Facts::of(&event).ok_or("a line of the file is no event")?;
            for (question, right) in &mut all {
                add(question, right, &event, &facts)?;
            }
            line.clear();
        }
        for (_, right) in &mut all {
            if let Right::Rows(rows) = right {
                rows.sort_by_key(|row| Reverse(row.time));
            }
        }
        Ok(Truth { all })
    }

    /// Whether an answer is right; if not, why.
    pub(crate) fn check(&self, number: usize, reply: &Reply) -> Result<()> {
        let (question, right) = self.all.get(number).ok_or("there is no such question")?;
        let same = match (question, right, reply) {
            (Question::Newest { limit, pages, .. }, Right::Rows(right), Reply::Rows(rows)) => {
                return check_rows(right, rows, limit * pages);
            }
            (Question::TopNames { limit }, Right::Terms(right), Reply::Terms(terms)) => same_terms(right, terms, *limit),
            (_, Right::Hours(right), Reply::Hours(hours)) => {
                hours.iter().copied().filter(|(_, count)| *count > 0).collect::<BTreeMap<_, _>>() == *right
            }
            (_, Right::Count(right), Reply::Count(count)) => count == right,
            _ => false,
        };
        if same { Ok(()) } else { Err(format!("{reply:?} instead of {right:?}").into()) }
    }
}

fn nothing(question: &Question) -> Right {
    match question {
        Question::Newest { .. } => Right::Rows(Vec::new()),
        Question::TopNames { .. } => Right::Terms(BTreeMap::new()),
        Question::Hours { .. } => Right::Hours(BTreeMap::new()),
        Question::Count { .. } => Right::Count(0),
    }
}

fn add(question: &Question, right: &mut Right, event: &Value, facts: &Facts) -> Result<()> {
    let filter = match question {
        Question::Newest { filter, .. } | Question::Hours { filter } | Question::Count { filter } => Some(filter),
        Question::TopNames { .. } => None,
    };
    if filter.is_some_and(|filter| !matches(filter, facts)) {
        return Ok(());
    }
    let time = facts.time.ok_or("an event of the file has no time")?;
    match right {
        Right::Rows(rows) => rows.push(Row { time, id: facts.id.clone(), whole: Some(digest(event)) }),
        Right::Terms(terms) => *terms.entry(facts.event_name.clone()).or_default() += 1,
        Right::Hours(hours) => *hours.entry(time.div_euclid(3_600)).or_default() += 1,
        Right::Count(count) => *count += 1,
    }
    Ok(())
}

fn check_rows(right: &[Row], rows: &[Row], limit: usize) -> Result<()> {
    let expected = right.get(..limit).unwrap_or(right);
    if rows.len() != expected.len() {
        return Err(format!("{} events instead of {}", rows.len(), expected.len()).into());
    }
    if let Some((row, right)) = rows.iter().zip(expected).find(|(row, right)| row.time != right.time) {
        return Err(format!("{row:?} stands where an event of {} belongs", right.time).into());
    }
    // Those of the last second may all stand at the end.
    let last = expected.last().map_or(i64::MAX, |row| row.time);
    let matching: Vec<&Row> = right.iter().take_while(|row| row.time >= last).collect();
    let named: HashSet<(i64, &str)> = matching.iter().map(|row| (row.time, row.id.as_str())).collect();
    if let Some(row) = rows.iter().find(|row| !named.contains(&(row.time, row.id.as_str()))) {
        return Err(format!("{row:?} does not belong there").into());
    }
    let matching: HashSet<&Row> = matching.into_iter().collect();
    if let Some(row) = rows.iter().find(|row| row.whole.is_some() && !matching.contains(row)) {
        return Err(format!("{row:?} is not as it was stored").into());
    }
    let distinct: HashSet<&Row> = rows.iter().collect();
    if distinct.len() == rows.len() { Ok(()) } else { Err("an event came twice".into()) }
}

fn same_terms(right: &BTreeMap<String, u64>, terms: &[(String, u64)], limit: usize) -> bool {
    let expected = most_frequent(right.iter().map(|(term, count)| (term.clone(), *count)), limit);
    let distinct: HashSet<&String> = terms.iter().map(|(term, _)| term).collect();
    distinct.len() == expected.len()
        && terms.len() == expected.len()
        && terms.iter().zip(&expected).all(|((_, count), (_, right))| count == right)
        && terms.iter().all(|(term, count)| right.get(term) == Some(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(time: i64, id: &str) -> Row {
        Row { time, id: id.into(), whole: None }
    }

    #[test]
    fn events_of_one_second_may_change_places_and_nothing_else_may() {
        let right = [row(9, "a"), row(8, "b"), row(7, "c"), row(7, "d")];
        for good in [["a", "b", "c"], ["a", "b", "d"]] {
            let rows: Vec<Row> = good.iter().zip([9, 8, 7]).map(|(id, time)| row(time, id)).collect();
            assert!(check_rows(&right, &rows, 3).is_ok(), "{good:?}");
        }
        let stored = [Row { whole: Some(1), ..row(9, "a") }];
        assert!(check_rows(&stored, &stored, 1).is_ok() && check_rows(&stored, &[row(9, "a")], 1).is_ok());
        assert!(check_rows(&stored, &[Row { whole: Some(2), ..row(9, "a") }], 1).is_err(), "another event of this id");
        assert!(check_rows(&right, &[row(9, "a"), row(7, "c"), row(7, "d")], 3).is_err(), "one was left out");
        assert!(check_rows(&right, &[row(9, "a"), row(8, "x"), row(7, "d")], 3).is_err(), "a stranger");
        assert!(check_rows(&right, &[row(9, "a"), row(8, "b")], 3).is_err(), "too few");
        assert!(check_rows(&right, &[row(9, "a"), row(8, "b"), row(7, "c"), row(7, "c")], 4).is_err(), "one twice");
    }

    #[test]
    fn terms_of_one_count_may_change_places_and_nothing_else_may() {
        let right: BTreeMap<String, u64> = [("a", 3), ("b", 2), ("c", 2), ("d", 1)].map(|(t, n)| (t.to_owned(), n)).into();
        let terms = |given: &[(&str, u64)]| given.iter().map(|(t, n)| ((*t).to_owned(), *n)).collect::<Vec<_>>();
        assert!(same_terms(&right, &terms(&[("a", 3), ("c", 2)]), 2));
        assert!(!same_terms(&right, &terms(&[("a", 3), ("d", 1)]), 2));
        assert!(!same_terms(&right, &terms(&[("a", 3), ("x", 2)]), 2));
        assert!(!same_terms(&right, &terms(&[("a", 3), ("b", 2), ("b", 2)]), 3));
    }
}
