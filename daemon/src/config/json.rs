//! Tables of the configuration file as JSON, for parts that others read: `[[trails]]`.

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

/// A table with everything in it.
pub(super) fn object(table: &DeTable<'_>) -> Value {
    let members = table.iter().map(|(key, item)| (key.get_ref().to_string(), value(item.get_ref())));
    Value::Object(members.collect::<Map<_, _>>())
}

/// A value. A number that JSON has not becomes the text that stands in the file, which whoever reads it can name.
fn value(value_of: &DeValue<'_>) -> Value {
    match value_of {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Integer(number) => {
            let text = number.as_str();
            i64::from_str_radix(text, number.radix()).map_or_else(|_| Value::from(text), Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or_else(|_| Value::from(number.as_str()), Value::from),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| value(item.get_ref())).collect(),
        DeValue::Table(table) => object(table),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_value_comes_through() {
        let text =
            "a = \"x\"\nb = true\nc = 1_000\nd = 0.25\ne = 2026-11-22T08:00:00Z\nf = [1, \"y\"]\n[g]\nh = -3\n[[i]]\nj = {k = 0x10}\n";
        let table = DeTable::parse(text).unwrap();
        let wanted = json!({"a": "x", "b": true, "c": 1000, "d": 0.25, "e": "2026-11-22T08:00:00Z", "f": [1, "y"], "g": {"h": -3},
            "i": [{"j": {"k": 16}}]});
        assert_eq!(object(table.get_ref()), wanted);
    }
}
