//! The tables of the configuration: `[[keys]]` and `[[dimensions]]`.

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

/// Whether a text can be the id of a key.
#[must_use]
pub(crate) fn is_key_id(id: &str) -> bool {
    (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The plain values of one table entry, as the loader hands them over.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// Members that hold one text.
    pub(crate) texts: Vec<(String, String)>,
    /// Members that hold a list of texts.
    pub(crate) lists: Vec<(String, Vec<String>)>,
}

impl Fields {
    fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    fn list(&self, name: &str) -> Option<&[String]> {
        self.lists.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_slice())
    }
}

/// The members of a `[[keys]]` entry, and those of them that are lists.
pub(crate) const KEY_FIELDS: (&[&str], &[&str]) = (&["id", "sha256", "expires_at"], &["scopes"]);
/// The members of a `[[dimensions]]` entry, and those of them that are lists.
pub(crate) const DIMENSION_FIELDS: (&[&str], &[&str]) = (&["name", "kind"], &["paths"]);

/// Reads a `[[keys]]` entry.
pub(crate) fn read_key(fields: &Fields) -> Result<KeyEntry, String> {
    let id = fields.text("id").ok_or("a key needs an `id`")?;
    if !is_key_id(id) {
        return Err(format!("`{id}` cannot name a key: use 1 to 32 of [a-z0-9-]"));
    }
    let hash = fields.text("sha256").ok_or_else(|| format!("key `{id}` needs `sha256`, the hash that `traild key create` prints"))?;
    let sha256 = read_hex(hash).ok_or_else(|| format!("`sha256` of key `{id}` must be 64 hex digits"))?;
    let names = fields.list("scopes").filter(|s| !s.is_empty()).ok_or_else(|| format!("key `{id}` needs `scopes`"))?;
    let scopes = names
        .iter()
        .map(|name| Scope::named(name).ok_or_else(|| format!("key `{id}`: unknown scope `{name}`; there are ingest, query and admin")))
        .collect::<Result<Vec<_>, _>>()?;
    let expires_at = match fields.text("expires_at") {
        None => None,
        Some(text) => Some(read_time(text).ok_or_else(|| format!("key `{id}`: `expires_at` is no time: write 2027-01-31T00:00:00Z"))?),
    };
    Ok(KeyEntry { id: id.to_owned(), sha256, scopes, expires_at })
}

/// Reads a `[[dimensions]]` entry.
pub(crate) fn read_dimension(fields: &Fields) -> Result<OperatorDimension, String> {
    let name = fields.text("name").ok_or("a dimension needs a `name`")?;
    let kind = match fields.text("kind").unwrap_or("keyword") {
        "keyword" => OperatorKind::Keyword,
        "unique" => OperatorKind::Unique,
        other => return Err(format!("dimension `{name}`: unknown kind `{other}`; there are keyword and unique")),
    };
    let written = fields.list("paths").filter(|p| !p.is_empty()).ok_or_else(|| format!("dimension `{name}` needs `paths`"))?;
    for path in written {
        Path::parse(path).map_err(|e| format!("dimension `{name}`: path `{path}`: {e}"))?;
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

    fn key(id: &str, hash: &str, scopes: &[&str]) -> Fields {
        Fields {
            texts: vec![("id".into(), id.into()), ("sha256".into(), hash.into())],
            lists: vec![("scopes".into(), scopes.iter().map(|s| (*s).to_owned()).collect())],
        }
    }

    #[test]
    fn a_key_needs_id_hash_and_known_scopes() {
        let hash = "0f".repeat(32);
        let entry = read_key(&key("ci-1", &hash, &["ingest", "query"])).unwrap();
        assert_eq!(entry.sha256, [0x0f; 32]);
        assert_eq!(entry.scopes, [Scope::Ingest, Scope::Query]);
        assert!(!format!("{entry:?}").contains("15"), "the hash shows in {entry:?}");
        assert!(read_key(&key("CI", &hash, &["query"])).is_err());
        assert!(read_key(&key("ci", &hash[1..], &["query"])).unwrap_err().contains("64 hex"));
        assert!(read_key(&key("ci", &hash, &["write"])).unwrap_err().contains("write"));
        assert!(read_key(&key("ci", &hash, &[])).is_err());
    }

    #[test]
    fn a_dimension_needs_paths_that_can_be_read() {
        let mut fields = Fields { texts: vec![("name".into(), "team".into())], lists: vec![("paths".into(), vec!["a.b".into()])] };
        assert_eq!(read_dimension(&fields).unwrap().kind, OperatorKind::Keyword);
        fields.lists[0].1.push("a..b".into());
        assert!(read_dimension(&fields).unwrap_err().contains("a..b"));
        fields.lists.clear();
        assert!(read_dimension(&fields).unwrap_err().contains("paths"));
    }
}
