//! [`Params`]: the parameters of a request, read strictly.
//!
//! An unknown or repeated parameter is an error: a mistyped `form=` that is ignored would answer another question than the one asked.

use std::borrow::Cow;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::api::refusal::Refusal;
use crate::api::route::{Form, Parameter, Place};
use crate::nearest::hint;

/// Names and values, each known and of its form.
#[derive(Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query string against the parameters of a route. Bytes that are no UTF-8 are an error: with a stand-in for them another
    /// question would be answered.
    ///
    /// # Errors
    /// 400 `invalid_parameter`.
    pub fn of_query(query: Option<&str>, known: &[Parameter]) -> Result<Params, Refusal> {
        let pieces = query.unwrap_or_default().split('&').filter(|piece| !piece.is_empty());
        Params::check(pieces.map(read_pair).collect::<Result<_, _>>()?, known)
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

/// The one parameter of a path, or why it cannot be read.
pub type PathText = Result<Path<String>, PathRejection>;

/// The text of the parameter `name` of a path.
///
/// # Errors
/// 400 `invalid_parameter` when its bytes are no UTF-8.
pub fn path_text(path: PathText, name: &str) -> Result<String, Refusal> {
    path.map(|Path(text)| text).map_err(|_| invalid(format!("`{name}` is not UTF-8")))
}

/// 400 for a parameter.
#[must_use]
pub fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::bad_request("invalid_parameter", message)
}

/// One `name=value` with its escapes undone.
fn read_pair(piece: &str) -> Result<(String, String), Refusal> {
    let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
    let name = unescape(name).ok_or_else(|| invalid(format!("the name of the parameter `{name}` is not UTF-8")))?;
    let value = unescape(value).ok_or_else(|| invalid(format!("`{name}` is not UTF-8")))?;
    Ok((name, value))
}

/// The text with `+` as a blank and `%XX` as a byte; `None` when the bytes are no UTF-8.
fn unescape(text: &str) -> Option<String> {
    let blanks = text.replace('+', " ");
    percent_decode_str(&blanks).decode_utf8().ok().map(Cow::into_owned)
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
    fn escapes_that_are_no_text_are_refused_by_name() {
        for (query, part) in [
            ("q=a%FFb", "`q` is not UTF-8"),
            ("limit=3&q=%ED%A0%80", "`q` is not UTF-8"),
            ("from=%C3", "`from` is not UTF-8"),
            ("%FF=a", "the name of the parameter `%FF` is not UTF-8"),
        ] {
            let refusal = refused(query);
            assert!(refusal.contains(part) && refusal.contains("invalid_parameter"), "{query}: {refusal}");
        }
        let kept = Params::of_query(Some("&q=%EF%BF%BD%25+%2B%zz%C3%A9&&"), KNOWN).unwrap();
        assert_eq!(kept.text("q"), Some("\u{fffd}% +%zz\u{e9}"));
        assert_eq!(Params::of_query(Some("q"), KNOWN).unwrap().text("q"), Some(""));
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
