//! The tables of the configuration: `[[keys]]` and `[[dimensions]]`.

use std::ops::Range;

use trail_engine::event::{Path, read_time};
use trail_engine::id::Timestamp;

use crate::dialect::{OperatorDimension, OperatorKind};

/// What a key may do. Scopes are independent of each other; `admin` holds all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Write events.
    Ingest,
    /// Read events and what is known about them.
    Query,
    /// Everything.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Scope; 3] = [Scope::Ingest, Scope::Query, Scope::Admin];

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scope::Ingest => "ingest",
            Scope::Query => "query",
            Scope::Admin => "admin",
        }
    }

    /// The scope of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// One `[[keys]]` entry: who may do what. The token itself is nowhere; only its SHA-256 is.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// The public part of the token, 1 to 32 of `[a-z0-9-]`.
    pub id: String,
    /// SHA-256 of the whole token.
    pub sha256: [u8; 32],
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

/// The hash is left out: nothing derived from a secret belongs in a log.
impl std::fmt::Debug for KeyEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyEntry").field("id", &self.id).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// One `[[trails]]` entry: a trail as its author wrote it. What it means is read when the trails are opened.
#[derive(Clone, PartialEq)]
pub struct TrailEntry {
    /// The file and the line at which it stands.
    pub place: String,
    /// The table as JSON.
    pub definition: serde_json::Value,
}

/// The definition is left out: it may hold secrets.
impl std::fmt::Debug for TrailEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrailEntry").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Whether a text can be the id of a key.
#[must_use]
pub(crate) fn is_key_id(id: &str) -> bool {
    (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A member of a table entry, as the loader hands it over.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: String,
    /// The bytes of the file in which its name stands.
    pub(crate) place: Range<usize>,
    /// What it holds.
    pub(crate) value: Value,
}

/// What a member holds.
#[derive(Debug)]
pub(crate) enum Value {
    /// One text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// The members of one table entry.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// In the order of their names.
    pub(crate) members: Vec<Member>,
}

impl Entry {
    /// Where a member stands.
    pub(crate) fn place(&self, name: &str) -> Option<Range<usize>> {
        self.member(name).map(|member| member.place.clone())
    }

    fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.member(name).and_then(|member| if let Value::Text(text) = &member.value { Some(text.as_str()) } else { None })
    }

    fn list(&self, name: &str) -> Option<&[String]> {
        self.member(name).and_then(|member| if let Value::List(list) = &member.value { Some(list.as_slice()) } else { None })
    }
}

/// What is wrong with a table entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The member that is wrong; `None` for the entry as a whole.
    pub(crate) member: Option<&'static str>,
    /// One sentence.
    pub(crate) problem: String,
}

impl Wrong {
    /// A member is wrong.
    pub(crate) fn in_member(member: &'static str, problem: impl Into<String>) -> Wrong {
        Wrong { member: Some(member), problem: problem.into() }
    }

    /// Something is missing.
    fn whole(problem: impl Into<String>) -> Wrong {
        Wrong { member: None, problem: problem.into() }
    }
}

/// The names of members that hold a text, and of those that hold a list.
pub(crate) type Members = (&'static [&'static str], &'static [&'static str]);

/// The members of a `[[keys]]` entry.
pub(crate) const KEY_MEMBERS: Members = (&["id", "sha256", "expires_at"], &["scopes"]);
/// The members of a `[[dimensions]]` entry.
pub(crate) const DIMENSION_MEMBERS: Members = (&["name", "kind"], &["paths"]);

/// Reads a `[[keys]]` entry.
pub(crate) fn read_key(entry: &Entry) -> Result<KeyEntry, Wrong> {
    let id = entry.text("id").ok_or_else(|| Wrong::whole("a key needs an `id`"))?;
    if !is_key_id(id) {
        return Err(Wrong::in_member("id", format!("`{id}` cannot name a key: use 1 to 32 of [a-z0-9-]")));
    }
    let hash = entry.text("sha256");
    let hash = hash.ok_or_else(|| Wrong::whole(format!("key `{id}` needs `sha256`, the hash that `traild key create` prints")))?;
    let sha256 = read_hex(hash).ok_or_else(|| Wrong::in_member("sha256", format!("`sha256` of key `{id}` must be 64 hex digits")))?;
    let names = entry.list("scopes").filter(|s| !s.is_empty());
    let names = names.ok_or_else(|| Wrong::in_member("scopes", format!("key `{id}` needs `scopes`")))?;
    let scopes = names.iter().map(|name| read_scope(name, id)).collect::<Result<Vec<_>, _>>()?;
    let expires_at =
        match entry.text("expires_at") {
            None => None,
            Some(text) => Some(read_time(text).ok_or_else(|| {
                Wrong::in_member("expires_at", format!("key `{id}`: `expires_at` is no time: write 2027-01-31T00:00:00Z"))
            })?),
        };
    Ok(KeyEntry { id: id.to_owned(), sha256, scopes, expires_at })
}

fn read_scope(name: &str, id: &str) -> Result<Scope, Wrong> {
    let unknown = || format!("key `{id}`: unknown scope `{name}`; there are ingest, query and admin");
    Scope::named(name).ok_or_else(|| Wrong::in_member("scopes", unknown()))
}

/// Reads a `[[dimensions]]` entry.
pub(crate) fn read_dimension(entry: &Entry) -> Result<OperatorDimension, Wrong> {
    let name = entry.text("name").ok_or_else(|| Wrong::whole("a dimension needs a `name`"))?;
    let kind = match entry.text("kind").unwrap_or("keyword") {
        "keyword" => OperatorKind::Keyword,
        "unique" => OperatorKind::Unique,
        other => {
            let problem = format!("dimension `{name}`: unknown kind `{other}`; there are keyword and unique");
            return Err(Wrong::in_member("kind", problem));
        }
    };
    let written = entry.list("paths").filter(|p| !p.is_empty());
    let written = written.ok_or_else(|| Wrong::in_member("paths", format!("dimension `{name}` needs `paths`")))?;
    for path in written {
        Path::parse(path).map_err(|e| Wrong::in_member("paths", format!("dimension `{name}`: path `{path}`: {e}")))?;
    }
    Ok(OperatorDimension { name: name.to_owned(), kind, paths: written.to_vec() })
}

fn read_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0_u8; 32];
    let mut digits = text.chars().map(|c| c.to_digit(16));
    for byte in &mut bytes {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    digits.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(texts: &[(&str, &str)], list: &str, items: &[&str]) -> Entry {
        let member = |name: &str, value| Member { name: name.into(), place: 0..1, value };
        let texts = texts.iter().map(|(name, text)| member(name, Value::Text((*text).into())));
        let list = member(list, Value::List(items.iter().map(|item| (*item).to_owned()).collect()));
        Entry { members: texts.chain([list]).collect() }
    }

    fn key(id: &str, hash: &str, scopes: &[&str]) -> Entry {
        entry(&[("id", id), ("sha256", hash)], "scopes", scopes)
    }

    #[test]
    fn a_key_needs_id_hash_and_known_scopes() {
        let hash = "0f".repeat(32);
        let entry = read_key(&key("ci-1", &hash, &["ingest", "query"])).unwrap();
        assert_eq!(entry.sha256, [0x0f; 32]);
        assert_eq!(entry.scopes, [Scope::Ingest, Scope::Query]);
        assert!(!format!("{entry:?}").contains("15"), "the hash shows in {entry:?}");
        assert!(read_key(&key("CI", &hash, &["query"])).is_err());
        assert!(read_key(&key("ci", &hash[1..], &["query"])).unwrap_err().problem.contains("64 hex"));
        assert!(read_key(&key("ci", &hash, &["write"])).unwrap_err().problem.contains("write"));
        assert!(read_key(&key("ci", &hash, &[])).is_err());
    }

    #[test]
    fn a_dimension_needs_paths_that_can_be_read() {
        let dimension = |paths: &[&str]| read_dimension(&entry(&[("name", "team")], "paths", paths));
        assert_eq!(dimension(&["a.b"]).unwrap().kind, OperatorKind::Keyword);
        assert!(dimension(&["a.b", "a..b"]).unwrap_err().problem.contains("a..b"));
        assert!(dimension(&[]).unwrap_err().problem.contains("paths"));
    }
}
