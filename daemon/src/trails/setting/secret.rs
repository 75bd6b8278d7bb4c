//! [`Secret`]: what must reach a sink and nobody else.
//!
//! A secret is written as a text, or better as the name of an environment variable or the path of a file, which are read each time that
//! the sink is made: when the trail starts, and when the file has changed ([`super::watched`]). A text is kept in the trail's file (mode 0600); what is shown
//! is only where a secret comes from.

use std::fmt;
use std::io::Read;

use serde_json::{Value, json};

/// The longest secret, in bytes: a private key with some room.
const SECRET_BYTES_MAX: usize = 64 << 10;

/// What is shown in place of a secret that stands in a definition.
const HIDDEN: &str = "(hidden)";

/// Where a secret comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// It stands in the definition.
    Given(String),
    /// The environment variable of this name.
    Environment(String),
    /// The first line of the file at this path.
    File(String),
}

impl Secret {
    /// Reads a text, `{"env":"NAME"}` or `{"file":"PATH"}`.
    ///
    /// # Errors
    /// A sentence when it is none of these.
    pub fn read(value: &Value) -> Result<Secret, String> {
        let wrong = || r#"a secret is a text, {"env":"NAME"} or {"file":"PATH"}"#.to_owned();
        match value {
            Value::String(text) if text == HIDDEN => {
                Err(format!("`{HIDDEN}` is what is shown in place of a secret: write the secret again"))
            }
            Value::String(text) if text.len() <= SECRET_BYTES_MAX => Ok(Secret::Given(text.clone())),
            Value::Object(members) if members.len() == 1 => match (members.get("env"), members.get("file")) {
                (Some(Value::String(name)), None) if !name.is_empty() => Ok(Secret::Environment(name.clone())),
                (None, Some(Value::String(path))) if !path.is_empty() => Ok(Secret::File(path.clone())),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        }
    }

    /// The secret itself.
    ///
    /// # Errors
    /// A sentence that names the variable or file, never what is in it.
    pub fn reveal(&self) -> Result<String, String> {
        match self {
            Secret::Given(text) => Ok(text.clone()),
            Secret::Environment(name) => std::env::var(name).map_err(|_| format!("the environment variable {name} is not set")),
            Secret::File(path) => {
                let text = read_file(path).map_err(|e| format!("{path} cannot be read: {e}"))?;
                Ok(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        }
    }

    /// What may be shown of it.
    #[must_use]
    pub fn shown(&self) -> Value {
        match self {
            Secret::Given(_) => json!(HIDDEN),
            Secret::Environment(name) => json!({ "env": name }),
            Secret::File(path) => json!({ "file": path }),
        }
    }
}

/// A file of a bounded length, and no pipe or device, which could keep the reader for ever.
fn read_file(path: &str) -> std::io::Result<String> {
    let mut text = String::new();
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is no file"));
    }
    std::fs::File::open(path)?.take(SECRET_BYTES_MAX as u64).read_to_string(&mut text)?;
    Ok(text)
}

/// Without the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_it_comes_from_is_shown() {
        let given = Secret::read(&json!("hunter2")).unwrap();
        assert_eq!((given.reveal().unwrap().as_str(), given.shown()), ("hunter2", json!("(hidden)")));
        assert!(!format!("{given:?}").contains("hunter2"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from a file\n").unwrap();
        let path = file.path().to_str().unwrap();
        let kept = Secret::read(&json!({ "file": path })).unwrap();
        assert_eq!((kept.reveal().unwrap().as_str(), kept.shown()), ("from a file", json!({ "file": path })));
        let named = Secret::read(&json!({"env": "TRAILD_NO_SUCH_SECRET"})).unwrap();
        assert_eq!(named.reveal().unwrap_err(), "the environment variable TRAILD_NO_SUCH_SECRET is not set");
        for wrong in [json!(1), json!({}), json!({"env": ""}), json!({"env": "A", "file": "B"}), json!({"enw": "A"}), json!(null)] {
            assert!(Secret::read(&wrong).is_err(), "{wrong}");
        }
    }
}
