//! [`Params`]: the parameters of a request, read strictly.
//!
//! An unknown or repeated parameter is an error: a mistyped `form=` that is ignored would answer another question than the one asked.

use serde_json::Value;

use crate::api::refusal::Refusal;
use crate::api::route::{Form, Parameter, Place};
use crate::nearest::hint;

/// Names and values, each known and of its form.
#[derive(Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query string against the parameters of a route.
    ///
    /// # Errors
    /// 400 `invalid_parameter`.
    pub fn of_query(query: Option<&str>, known: &[Parameter]) -> Result<Params, Refusal> {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Params::check(pairs.map(|(n, v)| (n.into_owned(), v.into_owned())).collect(), known)
    }

    /// Reads the same parameters from a JSON object.
    ///
    /// # Errors
    /// 400 `invalid_json` or `invalid_parameter`.
    pub fn of_json(body: &[u8], known: &[Parameter]) -> Result<Params, Refusal> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Params::check(Vec::new(), known);
        }
        let value: Value =
            serde_json::from_slice(body).map_err(|e| Refusal::bad_request("invalid_json", format!("the body is no JSON: {e}")))?;
        let Value::Object(members) = value else {
            return Err(Refusal::bad_request("invalid_json", "the body must be a JSON object"));
        };
        let mut pairs = Vec::new();
        for (name, value) in members {
            match value {
                Value::Null => {}
                Value::String(text) => pairs.push((name, text)),
                Value::Number(number) => pairs.push((name, number.to_string())),
                Value::Bool(flag) => pairs.push((name, flag.to_string())),
                _ => return Err(invalid(format!("`{name}` must be a text, a number or true or false"))),
            }
        }
        Params::check(pairs, known)
    }

    fn check(pairs: Vec<(String, String)>, known: &[Parameter]) -> Result<Params, Refusal> {
        let asked = || known.iter().filter(|p| p.place == Place::Query);
        for (i, (name, value)) in pairs.iter().enumerate() {
            let Some(parameter) = asked().find(|p| p.name == name) else {
                return Err(invalid(format!("unknown parameter `{name}`{}", hint(name, asked().map(|p| p.name)))));
            };
            if pairs.iter().take(i).any(|(n, _)| n == name) {
                return Err(invalid(format!("parameter `{name}` is there twice")));
            }
            check_form(parameter, value)?;
        }
        match asked().find(|p| p.required && !pairs.iter().any(|(n, _)| n == p.name)) {
            Some(missing) => Err(invalid(format!("parameter `{}` is missing", missing.name))),
            None => Ok(Params(pairs)),
        }
    }

    /// A parameter's text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// A parameter's text as an owned value.
    #[must_use]
    pub fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// A number that was checked against its bounds.
    #[must_use]
    pub fn number(&self, name: &str, default: usize) -> usize {
        self.text(name).and_then(|v| v.parse().ok()).unwrap_or(default)
    }

    /// Whether a flag is there and true.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }
}

/// 400 for a parameter.
#[must_use]
pub fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::bad_request("invalid_parameter", message)
}

fn check_form(parameter: &Parameter, value: &str) -> Result<(), Refusal> {
    let name = parameter.name;
    match parameter.form {
        Form::Text => Ok(()),
        Form::Integer(min, max) => match value.parse::<u64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(()),
            _ => Err(invalid(format!("`{name}` must be a whole number from {min} to {max}"))),
        },
        Form::Flag if matches!(value, "true" | "false") => Ok(()),
        Form::Flag => Err(invalid(format!("`{name}` must be true or false"))),
        Form::Choice(words) if words.contains(&value) => Ok(()),
        Form::Choice(words) => Err(invalid(format!("`{name}` must be one of {}", words.join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Parameter] = &[
        Parameter::query("q", Form::Text, ""),
        Parameter::query("from", Form::Text, ""),
        Parameter::query("limit", Form::Integer(1, 10), ""),
        Parameter::query("explain", Form::Flag, ""),
        Parameter::query("order", Form::Choice(&["asc", "desc"]), ""),
    ];

    fn refused(query: &str) -> String {
        String::from_utf8(Params::of_query(Some(query), KNOWN).unwrap_err().render("r")).unwrap()
    }

    #[test]
    fn both_sources_read_the_same() {
        let query = Params::of_query(Some("q=user%3Aa+b&limit=7&explain=true&from=1000"), KNOWN).unwrap();
        let json = Params::of_json(br#"{"q":"user:a b","limit":7,"explain":true,"from":1000,"order":null}"#, KNOWN).unwrap();
        for params in [query, json] {
            assert_eq!(params.text("q"), Some("user:a b"));
            assert_eq!(params.number("limit", 50), 7);
            assert!(params.flag("explain"));
            assert_eq!(params.text("from"), Some("1000"));
            assert_eq!(params.text("order"), None);
        }
    }

    #[test]
    fn strict_about_names_and_forms() {
        assert!(refused("form=1").contains("did you mean `from`?"));
        assert!(refused("q=a&q=b").contains("twice"));
        assert!(refused("limit=11").contains("from 1 to 10"));
        assert!(refused("limit=-1").contains("whole number"));
        assert!(refused("explain=yes").contains("true or false"));
        assert!(refused("order=up").contains("asc, desc"));
        assert!(Params::of_json(b"[1]", KNOWN).is_err());
        assert!(Params::of_json(b"{\"q\":[1]}", KNOWN).is_err());
        assert!(Params::of_json("[".repeat(100_000).as_bytes(), KNOWN).is_err());
        assert!(Params::of_query(None, &[Parameter::query("a", Form::Text, "").required()]).is_err());
    }
}
