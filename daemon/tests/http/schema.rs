//! Holds a JSON value against a schema of the OpenAPI document: the few keywords that the document uses, and no others.
//!
//! Stricter than JSON Schema in one point: a member that an object's schema does not name is an error, so that the document cannot fall
//! behind the code.

use serde_json::Value;

const KNOWN: [&str; 10] =
    ["type", "properties", "required", "items", "enum", "minimum", "format", "description", "$ref", "additionalProperties"];

/// What is wrong with `value`, with the place.
pub(crate) fn check(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).ok_or_else(|| format!("{at}: {reference} leads nowhere"))?,
        None => schema,
    };
    let keywords = schema.as_object().ok_or_else(|| format!("{at}: no schema"))?;
    if let Some(unknown) = keywords.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(format!("{at}: the keyword `{unknown}` is not checked here"));
    }
    check_type(schema, value, at)?;
    if let (Some(allowed), false) = (schema["enum"].as_array(), value.is_null()) {
        allowed.contains(value).then_some(()).ok_or_else(|| format!("{at}: {value} is none of {allowed:?}"))?;
    }
    if let (Some(minimum), Some(number)) = (schema["minimum"].as_i64(), value.as_i64()) {
        (number >= minimum).then_some(()).ok_or_else(|| format!("{at}: {number} is less than {minimum}"))?;
    }
    if let (Some("date-time"), Some(text)) = (schema["format"].as_str(), value.as_str()) {
        is_time(text).then_some(()).ok_or_else(|| format!("{at}: `{text}` is no time"))?;
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        if !schema["items"].is_null() {
            check(document, &schema["items"], item, &format!("{at}[{index}]"))?;
        }
    }
    check_members(document, schema, value, at)
}

/// RFC 3339 in UTC, as the server writes it.
fn is_time(text: &str) -> bool {
    let form: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    form.strip_prefix("0000-00-00T00:00:00").is_some_and(|rest| rest == "Z" || (rest.starts_with(".0") && rest.ends_with("0Z")))
}

fn check_type(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let right = match &schema["type"] {
        Value::String(one) => one == kind,
        Value::Array(several) => several.iter().any(|one| one == kind),
        _ => return Err(format!("{at}: the schema has no type")),
    };
    right.then_some(()).ok_or_else(|| format!("{at}: {kind} is not {}", schema["type"]))
}

fn check_members(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let (Some(properties), Some(members)) = (schema["properties"].as_object(), value.as_object()) else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        members.get(name).map(drop).ok_or_else(|| format!("{at}: `{name}` is missing"))?;
    }
    for (name, member) in members {
        let schema = properties.get(name).ok_or_else(|| format!("{at}: `{name}` is not described"))?;
        check(document, schema, member, &format!("{at}.{name}"))?;
    }
    Ok(())
}

#[test]
fn what_is_wrong_is_found() {
    let document = serde_json::json!({ "a": { "type": "object", "required": ["n"], "properties": {
        "n": { "type": "integer", "minimum": 1 }, "t": { "type": "string", "format": "date-time" }, "l": { "type": "array", "items": { "enum": ["x"], "type": "string" } },
    } } });
    let judge = |text: &str| check(&document, &serde_json::json!({ "$ref": "#/a" }), &serde_json::from_str(text).unwrap(), "$");
    assert_eq!(judge(r#"{"n":1,"t":"2026-11-22T08:00:00Z","l":["x"]}"#), Ok(()));
    for wrong in ["[]", "{}", r#"{"n":0}"#, r#"{"n":"1"}"#, r#"{"n":1,"t":"soon"}"#, r#"{"n":1,"l":["y"]}"#, r#"{"n":1,"more":1}"#] {
        assert!(judge(wrong).is_err(), "{wrong}");
    }
}
