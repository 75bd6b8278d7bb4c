//! Bearer tokens: `traild_<id>_<secret>`, where the secret is 32 random bytes as 43 base64url characters.
//!
//! The server keeps the SHA-256 of the whole token only. The secret has full entropy, so that a slow password hash would add
//! nothing but cost to every request. The id is public: it finds the entry, shows in logs and lets two keys live side by side.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::config::Scope;

const PREFIX: &str = "traild_";
const SECRET_CHARS: usize = 43;

/// A new key: shown once, never stored.
#[derive(Clone)]
pub struct NewKey {
    /// What clients send as `Authorization: Bearer ...`.
    pub token: String,
    /// The `[[keys]]` entry for the configuration of the server.
    pub snippet: String,
}

/// The token is a secret, so it is left out.
impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("snippet", &self.snippet).finish_non_exhaustive()
    }
}

/// Makes a key with these scopes. Without an id a random one is taken.
///
/// # Errors
/// A sentence when the id cannot name a key, no scope is given, or the system has no randomness.
pub fn create(id: Option<&str>, scopes: &[Scope]) -> Result<NewKey, String> {
    if scopes.is_empty() {
        return Err("a key needs at least one scope: ingest, query or admin".into());
    }
    let mut random = [0_u8; 36];
    getrandom::fill(&mut random).map_err(|e| format!("the system gives no randomness: {e}"))?;
    let (secret, rest) = random.split_at(32);
    let id = match id {
        Some(id) if crate::config::is_key_id(id) => id.to_owned(),
        Some(id) => return Err(format!("`{id}` cannot name a key: use 1 to 32 of [a-z0-9-]")),
        None => rest.iter().fold(String::from("k"), |id, byte| id + &format!("{byte:02x}")),
    };
    let token = format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret));
    let hash = hash(&token).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let names: Vec<String> = scopes.iter().map(|scope| format!("\"{}\"", scope.name())).collect();
    let snippet = format!("[[keys]]\nid = \"{id}\"\nsha256 = \"{hash}\"\nscopes = [{}]\n", names.join(", "));
    Ok(NewKey { token, snippet })
}

/// SHA-256 of a whole token.
#[must_use]
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The id inside a token; `None` when the text does not have the form of one.
#[must_use]
pub fn id_of(token: &str) -> Option<&str> {
    let rest = token.strip_prefix(PREFIX)?;
    let cut = rest.len().checked_sub(SECRET_CHARS + 1)?;
    let (id, secret) = (rest.get(..cut)?, rest.get(cut..)?.strip_prefix('_')?);
    let plain = secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (plain && crate::config::is_key_id(id)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_read_back() {
        let key = create(Some("ci-7"), &[Scope::Ingest, Scope::Query]).unwrap();
        assert_eq!(id_of(&key.token), Some("ci-7"));
        assert!(key.snippet.contains("scopes = [\"ingest\", \"query\"]"));
        assert!(!key.snippet.contains(&key.token[12..]), "the secret is in the snippet");
        assert!(!format!("{key:?}").contains(&key.token));
        assert_ne!(key.token, create(Some("ci-7"), &[Scope::Ingest]).unwrap().token);
        assert!(id_of(&create(None, &[Scope::Admin]).unwrap().token).is_some());
        assert!(create(Some("A_b"), &[Scope::Admin]).is_err());
        assert!(create(None, &[]).is_err());
    }

    #[test]
    fn other_texts_are_no_tokens() {
        let good = create(Some("a"), &[Scope::Query]).unwrap().token;
        for text in [
            "",
            "traild_",
            "traild_a_",
            "Bearer x",
            &good[1..],
            &good[..good.len() - 1],
            "traild_é_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(id_of(text), None, "{text}");
        }
    }
}
