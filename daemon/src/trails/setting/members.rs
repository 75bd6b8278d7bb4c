//! [`Members`]: the members of a JSON object, read strictly.
//!
//! Problem: a mistyped member that is ignored makes a trail that does something else than its author thinks. Mechanism: a table names
//! every member that there can be and what form it has; whatever is not in it is refused with the nearest name. Limits: one problem is told
//! at a time.

use serde_json::{Map, Value};

use crate::nearest::hint;
use crate::trails::setting::secret::Secret;

/// What a member may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A text that is not empty.
    Text,
    /// A secret: a text, `{"env":"NAME"}` or `{"file":"PATH"}`. Never shown again.
    Secret,
    /// `true` or `false`.
    Flag,
    /// A whole number within these bounds.
    Integer(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An object of texts, such as headers. Their values may be secrets, and are never shown again.
    Texts,
}

/// One member that an object can have.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub form: Form,
    /// Whether it must be there.
    pub required: bool,
    /// What it means, in one sentence.
    pub doc: &'static str,
}

impl Member {
    /// A member that may be left out.
    #[must_use]
    pub const fn new(name: &'static str, form: Form, doc: &'static str) -> Member {
        Member { name, form, required: false, doc }
    }

    /// The same, but it must be there.
    #[must_use]
    pub const fn required(mut self) -> Member {
        self.required = true;
        self
    }

    /// What is wrong with a value for it.
    fn problem(&self, value: &Value) -> Option<String> {
        let fits = match (self.form, value) {
            (Form::Text, Value::String(text)) => !text.is_empty(),
            (Form::Secret, value) => Secret::read(value).is_ok(),
            (Form::Flag, Value::Bool(_)) => true,
            (Form::Integer(min, max), value) => value.as_u64().is_some_and(|number| (min..=max).contains(&number)),
            (Form::Choice(words), Value::String(word)) => words.contains(&word.as_str()),
            (Form::Texts, Value::Object(texts)) => texts.values().all(|text| Secret::read(text).is_ok()),
            _ => false,
        };
        (!fits).then(|| format!("`{}` must be {}", self.name, self.form.told()))
    }
}

impl Form {
    /// The form in words.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Form::Text => "a text".into(),
            Form::Secret => r#"a text, {"env":"NAME"} or {"file":"PATH"}"#.into(),
            Form::Flag => "true or false".into(),
            Form::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Form::Choice(words) => format!("one of {}", words.join(", ")),
            Form::Texts => "an object of texts".into(),
        }
    }
}

/// An object whose members are all known, and of their forms.
#[derive(Debug, Clone, Copy)]
pub struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    /// Checks an object against the members that there can be; `beside` are names that somebody else reads.
    ///
    /// # Errors
    /// A sentence that names the member.
    pub fn check(object: &'a Map<String, Value>, known: &[Member], beside: &[&str]) -> Result<Members<'a>, String> {
        for (name, value) in object {
            if beside.contains(&name.as_str()) || value.is_null() {
                continue;
            }
            let Some(member) = known.iter().find(|member| member.name == name) else {
                let names = known.iter().map(|member| member.name).chain(beside.iter().copied());
                return Err(format!("unknown member `{name}`{}", hint(name, names)));
            };
            if let Some(problem) = member.problem(value) {
                return Err(problem);
            }
        }
        match known.iter().find(|member| member.required && object.get(member.name).is_none_or(Value::is_null)) {
            Some(missing) => Err(format!("`{}` is missing: {}", missing.name, missing.doc)),
            None => Ok(Members(object)),
        }
    }

    /// A member's text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A member's number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Value::as_u64)
    }

    /// Whether a flag is there and true.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool) == Some(true)
    }

    /// What a flag says, when it is there.
    #[must_use]
    pub fn stated(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }

    /// The value behind a secret, read from where it is kept.
    ///
    /// # Errors
    /// A sentence when the variable or file cannot be read.
    pub fn secret(&self, name: &str) -> Result<Option<String>, String> {
        let Some(value) = self.0.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
        Secret::read(value)?.reveal().map(Some).map_err(|problem| format!("`{name}`: {problem}"))
    }

    /// The texts of an object, secrets revealed, in the order of their names as written.
    ///
    /// # Errors
    /// A sentence when a variable or file cannot be read.
    pub fn texts(&self, name: &str) -> Result<Vec<(String, String)>, String> {
        let texts = self.0.get(name).and_then(Value::as_object).into_iter().flatten();
        let read = |(key, value): (&String, &Value)| Ok((key.clone(), Secret::read(value)?.reveal()?));
        texts.map(read).collect::<Result<_, String>>().map_err(|problem| format!("`{name}`: {problem}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KNOWN: &[Member] = &[
        Member::new("path", Form::Text, "a directory").required(),
        Member::new("format", Form::Choice(&["ndjson", "parquet"]), "how events are written"),
        Member::new("secret", Form::Secret, "a key"),
        Member::new("headers", Form::Texts, "sent with each request"),
        Member::new("size", Form::Integer(1, 9), "a number"),
        Member::new("tls", Form::Flag, "whether"),
    ];

    fn problem(value: Value) -> String {
        let Value::Object(object) = value else { panic!("no object") };
        Members::check(&object, KNOWN, &["type"]).map(|_| ()).unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(problem(json!({"type": "file"})), "`path` is missing: a directory");
        assert_eq!(problem(json!({"path": "/a", "formt": "x"})), "unknown member `formt`; did you mean `format`?");
        assert_eq!(problem(json!({"path": ""})), "`path` must be a text");
        assert_eq!(problem(json!({"path": "/a", "format": "csv"})), "`format` must be one of ndjson, parquet");
        assert_eq!(problem(json!({"path": "/a", "size": 10})), "`size` must be a whole number from 1 to 9");
        assert!(problem(json!({"path": "/a", "secret": {"env": 1}})).contains("`secret` must be a text, {\"env\":"));
        assert!(problem(json!({"path": "/a", "headers": {"a": 1}})).contains("an object of texts"));
        assert!(problem(json!({"path": "/a", "tls": "yes"})).contains("true or false"));
    }

    #[test]
    fn what_is_right_is_read() {
        let value =
            json!({"type": "x", "path": "/a", "secret": "s", "headers": {"b": "1", "a": "2"}, "tls": true, "size": 3, "format": null});
        let members = Members::check(value.as_object().unwrap(), KNOWN, &["type"]).unwrap();
        assert_eq!((members.text("path"), members.text("format"), members.number("size")), (Some("/a"), None, Some(3)));
        assert!(members.flag("tls") && !members.flag("format"));
        assert_eq!(members.secret("secret").unwrap().as_deref(), Some("s"));
        let headers = members.texts("headers").unwrap();
        assert_eq!(headers, [("b".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())]);
    }
}
