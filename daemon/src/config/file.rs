//! The configuration file: TOML, read value by value, so that every problem has the line on which it stands.
//!
//! Problem: somebody who mends a file wants all of its errors at once, in the order in which they stand. Mechanism: the parser
//! keeps the place of every key and value; problems are collected with theirs and sorted by it. Limits: a text that is no TOML
//! has one problem only, the first.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use trail_engine::event::DimensionSchema;

use crate::config::json::object;
use crate::config::settings::{Config, SETTINGS, Setting};
use crate::config::tables::{DIMENSION_MEMBERS, Entry, KEY_MEMBERS, Member, Members, TrailEntry, Value, Wrong, read_dimension, read_key};
use crate::dialect::{default_schema, extend};
use crate::nearest::hint;

/// Reads a file into a configuration; what is wrong with it, line by line. `name` is what the messages call the file.
pub(super) fn read_file(config: &mut Config, name: &str, text: &str) -> Vec<String> {
    let mut reader = FileReader { config, name, text, problems: Vec::new() };
    let (root, errors) = DeTable::parse_recoverable(text);
    match errors.first() {
        Some(error) => reader.problem(&error.span().unwrap_or(0..0), error.message()),
        None => reader.read(root.get_ref()),
    }
    let line = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
    let mut problems = reader.problems;
    problems.sort_by_key(|(at, _)| *at);
    problems.into_iter().map(|(at, problem)| format!("{name}:{}: {problem}", line(at))).collect()
}

struct FileReader<'c> {
    config: &'c mut Config,
    name: &'c str,
    text: &'c str,
    /// With the byte at which each stands.
    problems: Vec<(usize, String)>,
}

impl FileReader<'_> {
    fn problem(&mut self, place: &Range<usize>, problem: impl Into<String>) {
        self.problems.push((place.start, problem.into()));
    }

    fn read(&mut self, root: &DeTable<'_>) {
        for (key, value) in root {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("keys", DeValue::Array(entries)) => self.entries(entries, KEY_MEMBERS, Self::key),
                ("dimensions", DeValue::Array(entries)) => self.entries(entries, DIMENSION_MEMBERS, Self::dimension),
                ("trails", DeValue::Array(entries)) => self.trails(entries),
                (name @ ("keys" | "dimensions" | "trails"), _) => {
                    self.problem(&key.span(), format!("`{name}` is a list of tables: write [[{name}]]"));
                }
                (name, value) => {
                    if let Err(problem) = self.setting(name, value) {
                        self.problem(&key.span(), problem);
                    }
                }
            }
        }
    }

    fn setting(&mut self, name: &str, value: &DeValue<'_>) -> Result<(), String> {
        let Some(setting) = Setting::named(name) else {
            let known = SETTINGS.iter().map(|s| s.name).chain(["keys", "dimensions", "trails"]);
            return Err(format!("unknown setting `{name}`{}", hint(name, known)));
        };
        let text = scalar(value).ok_or_else(|| format!("`{name}` must be a text, a whole number or true or false"))?;
        (setting.set)(self.config, &text).map_err(|problem| format!("`{name}`: {problem}"))
    }

    /// Reads the tables of a list; one with a problem is left out, all of them are looked at.
    fn entries(&mut self, entries: &[Spanned<DeValue<'_>>], members: Members, read: fn(&mut Self, &Entry) -> Result<(), Wrong>) {
        for entry in entries {
            let DeValue::Table(table) = entry.get_ref() else {
                self.problem(&entry.span(), "expected a table");
                continue;
            };
            let before = self.problems.len();
            let fields = self.fields(table, members);
            if self.problems.len() > before {
                continue;
            }
            if let Err(wrong) = read(self, &fields) {
                let place = wrong.member.and_then(|name| fields.place(name)).unwrap_or(entry.span());
                self.problem(&place, wrong.problem);
            }
        }
    }

    /// Takes trails as they are written: what they mean is known where they are opened.
    fn trails(&mut self, entries: &[Spanned<DeValue<'_>>]) {
        for entry in entries {
            match entry.get_ref() {
                DeValue::Table(table) => {
                    self.config.trails.push(TrailEntry { place: self.place(&entry.span()), definition: object(table) })
                }
                _ => self.problem(&entry.span(), "expected a table"),
            }
        }
    }

    fn place(&self, span: &Range<usize>) -> String {
        let line = self.text.get(..span.start).unwrap_or(self.text).matches('\n').count() + 1;
        format!("{}:{line}", self.name)
    }

    fn fields(&mut self, table: &DeTable<'_>, (texts, lists): Members) -> Entry {
        let mut members = Vec::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let read = match value.get_ref() {
                _ if !texts.contains(&name) && !lists.contains(&name) => {
                    Err(format!("unknown member `{name}`{}", hint(name, texts.iter().chain(lists).copied())))
                }
                DeValue::Array(items) if lists.contains(&name) => {
                    let items = items.iter().map(|item| scalar(item.get_ref())).collect::<Option<Vec<_>>>();
                    items.map(Value::List).ok_or_else(|| format!("`{name}` must be a list of texts"))
                }
                _ if lists.contains(&name) => Err(format!("`{name}` must be a list of texts")),
                value => scalar(value).map(Value::Text).ok_or_else(|| format!("`{name}` must be a text")),
            };
            match read {
                Ok(value) => members.push(Member { name: name.to_owned(), place: key.span(), value }),
                Err(problem) => self.problem(&key.span(), problem),
            }
        }
        Entry { members }
    }

    fn key(&mut self, entry: &Entry) -> Result<(), Wrong> {
        let key = read_key(entry)?;
        if self.config.keys.iter().any(|known| known.id == key.id) {
            return Err(Wrong::in_member("id", format!("key `{}` is there twice", key.id)));
        }
        self.config.keys.push(key);
        Ok(())
    }

    fn dimension(&mut self, entry: &Entry) -> Result<(), Wrong> {
        const RESERVED: [&str; 3] = ["event_time", "received_at", "sequence"];
        let dimension = read_dimension(entry)?;
        let wrong = |problem| Wrong::in_member("name", problem);
        let schema = default_schema().map_err(|e| wrong(e.to_string()))?;
        let name = &dimension.name;
        if RESERVED.contains(&name.as_str()) || schema.ordinal(name).is_some() {
            return Err(wrong(format!("dimension `{name}` is built in; give yours another name")));
        }
        if self.config.dimensions.iter().any(|known| known.name == *name) {
            return Err(wrong(format!("dimension `{name}` is there twice")));
        }
        // With those before it: how many there may be is checked as well.
        self.config.dimensions.push(dimension);
        if let Err(e) = check(schema, self.config) {
            self.config.dimensions.pop();
            return Err(wrong(e));
        }
        Ok(())
    }
}

fn check(mut schema: DimensionSchema, config: &Config) -> Result<(), String> {
    extend(&mut schema, &config.dimensions).map_err(|e| e.to_string())
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        read_file(&mut Config::default(), "t", text)
    }

    #[test]
    fn problems_come_in_the_order_of_the_file_with_their_lines() {
        let text = "retention = \"soon\"\nlisten = \"here\"\n[[keys]]\nid = \"A\"\nsha256 = \"00\"\nscopes = [\"write\"]\n[[dimensions]]\n\
                    nam = \"x\"\npathes = [\"a.b\"]\n";
        let lines: Vec<String> = problems(text).iter().map(|p| p.split(": ").next().unwrap().to_owned()).collect();
        assert_eq!(lines, ["t:1", "t:2", "t:4", "t:8", "t:9"], "{:?}", problems(text));
    }

    #[test]
    fn a_key_is_wrong_where_its_member_stands() {
        let hash = "ab".repeat(32);
        let key = |id: &str, sha256: &str, scopes: &str| {
            format!("[[keys]]\nid = \"{id}\"\nsha256 = \"{sha256}\"\nscopes = {scopes}\nexpires_at = \"2027-01-31T00:00:00Z\"\n")
        };
        let good = key("a", &hash, "[\"admin\"]");
        assert!(problems(&good).is_empty());
        for (text, place, word) in [
            (key("A", &hash, "[\"admin\"]"), "t:2: ", "cannot name a key"),
            (key("a", "12", "[\"admin\"]"), "t:3: ", "64 hex digits"),
            (key("a", &hash, "[\"write\"]"), "t:4: ", "unknown scope `write`"),
            (key("a", &hash, "[]"), "t:4: ", "needs `scopes`"),
            (key("a", &hash, "\"admin\""), "t:4: ", "must be a list"),
            (good.replace("2027", "some year"), "t:5: ", "is no time"),
            (good.replace("id = \"a\"\n", ""), "t:1: ", "needs an `id`"),
            (good.repeat(2), "t:7: ", "key `a` is there twice"),
            (good.replace("[[keys]]", "[keys]"), "t:1: ", "write [[keys]]"),
        ] {
            let found = problems(&text);
            assert!(found.len() == 1 && found[0].starts_with(place) && found[0].contains(word), "{found:?}\n{text}");
        }
    }

    #[test]
    fn a_dimension_is_wrong_where_its_member_stands() {
        let dimension = |name: &str, kind: &str, path: &str| {
            format!("[[dimensions]]\nname = \"{name}\"\nkind = \"{kind}\"\npaths = [\"a.b\", \"{path}\"]\n")
        };
        let good = dimension("team", "keyword", "labels.team");
        assert!(problems(&good).is_empty());
        for (text, place, word) in [
            (dimension("user", "keyword", "c"), "t:2: ", "dimension `user` is built in"),
            (dimension("event_time", "keyword", "c"), "t:2: ", "dimension `event_time` is built in"),
            (dimension("User", "keyword", "c"), "t:2: ", "`User` cannot name a dimension"),
            (dimension("team", "fast", "c"), "t:3: ", "unknown kind `fast`"),
            (dimension("team", "keyword", "a..b"), "t:4: ", "a..b"),
            (good.repeat(2), "t:6: ", "dimension `team` is there twice"),
            (good.replace("name = \"team\"\n", ""), "t:1: ", "needs a `name`"),
        ] {
            let found = problems(&text);
            assert!(found.len() == 1 && found[0].starts_with(place) && found[0].contains(word), "{found:?}\n{text}");
        }
    }
}
