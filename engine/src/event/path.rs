//! [`Path`]: the way to a value inside an event, by keys. Positions in arrays are not part of it.

use std::fmt;

use crate::error::{Error, Result};
use crate::limits::PATH_STEPS_MAX;

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// The member of an object with this (decoded) key.
    Key(String),
    /// Any member of an object; written `*`, for dimension schemas.
    Any,
}

/// Keys from the event's root to a value. Arrays on the way are walked through: `items.id` is the `id` of every element
/// of `items`.
///
/// Written with dots; a key that is not plain is quoted: `requestParameters."LookupAttribute.1.Key"`. `[]` after a key may
/// be written to show that an array is meant; it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Path {
    /// The steps; empty for the event itself.
    pub steps: Vec<Step>,
}

impl Path {
    /// Reads the written form.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`], with the byte, for an empty key, an open quote or too many steps.
    pub fn parse(text: &str) -> Result<Path> {
        let mut steps = Vec::new();
        let mut rest = text;
        loop {
            let at = (text.len() - rest.len()) as u64;
            let (step, after) = read_step(rest).map_err(|e| e.at(at))?;
            steps.push(step);
            if steps.len() > PATH_STEPS_MAX {
                return Err(Error::invalid("path has too many steps").at(at));
            }
            let mut after = after;
            while let Some(plain) = after.strip_prefix("[]") {
                after = plain;
            }
            if after.is_empty() {
                return Ok(Path { steps });
            }
            rest = after
                .strip_prefix('.')
                .ok_or_else(|| Error::invalid("expected `.` between the keys of a path").at((text.len() - after.len()) as u64))?;
        }
    }

    /// A path of plain keys.
    #[must_use]
    pub fn of_keys<S: Into<String>>(keys: impl IntoIterator<Item = S>) -> Path {
        Path { steps: keys.into_iter().map(|k| Step::Key(k.into())).collect() }
    }

    /// Whether a value at `keys` (from the root) is the one this path names.
    #[must_use]
    pub fn names(&self, keys: &[Step]) -> bool {
        self.steps.len() == keys.len() && self.covers(keys)
    }

    /// Whether a value at `keys` is at this path or anywhere beneath it.
    #[must_use]
    pub fn covers(&self, keys: &[Step]) -> bool {
        self.steps.len() <= keys.len() && self.steps.iter().zip(keys).all(|(step, key)| matches!(step, Step::Any) || step == key)
    }
}

fn read_step(text: &str) -> Result<(Step, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut key = String::new();
        let mut chars = quoted.char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => return Ok((Step::Key(key), quoted.get(i + 1..).unwrap_or(""))),
                '\\' => match chars.next() {
                    Some((_, escaped @ ('"' | '\\'))) => key.push(escaped),
                    Some((_, other)) => {
                        key.push('\\');
                        key.push(other);
                    }
                    None => break,
                },
                _ => key.push(c),
            }
        }
        return Err(Error::invalid("the quote around a key is not closed"));
    }
    let end = text.find(['.', '[', '"']).unwrap_or(text.len());
    let (key, rest) = text.split_at(end);
    match key {
        "" => Err(Error::invalid("a key of the path is empty; write \"\" for an empty key")),
        "*" => Ok((Step::Any, rest)),
        _ => Ok((Step::Key(key.to_owned()), rest)),
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            match step {
                Step::Any => f.write_str("*")?,
                Step::Key(key) if is_plain(key) => f.write_str(key)?,
                Step::Key(key) => write!(f, "\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""))?,
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'@' | b'$' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dots_quotes_arrays_and_stars() {
        let path = Path::parse(r#"requestParameters."LookupAttribute.1.Key".items[].*"#).unwrap();
        let expected = ["requestParameters", "LookupAttribute.1.Key", "items"].map(|k| Step::Key(k.into()));
        assert_eq!(path.steps[..3], expected);
        assert_eq!(path.steps[3], Step::Any);
        assert_eq!(Path::parse(&path.to_string()).unwrap(), path);
    }

    #[test]
    fn says_where_a_path_is_wrong() {
        assert_eq!(Path::parse("a..b").unwrap_err().offset(), Some(2));
        assert_eq!(Path::parse("a.\"b").unwrap_err().offset(), Some(2));
        assert_eq!(Path::parse("a[]b").unwrap_err().offset(), Some(3));
        assert!(Path::parse(&"a.".repeat(200)).is_err());
    }

    #[test]
    fn a_star_stands_for_any_key() {
        let path = Path::parse("referencedResources.*").unwrap();
        let keys = [Step::Key("referencedResources".into()), Step::Key("ACS::ECS::Instance".into())];
        assert!(path.names(&keys));
        assert!(!path.names(&keys[..1]));
        assert!(Path::parse("referencedResources").unwrap().covers(&keys));
    }
}
