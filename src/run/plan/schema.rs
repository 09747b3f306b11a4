//! The configuration as a JSON Schema: every key with its type and default, and its bounds where the table of bounds has some.
//! Made from the defaults themselves, so that it can't forget a key.

use serde_json::{Map, Value, json};

use super::Plan;
use super::files::FREE_FORM;
use super::ranges::RANGES;

/// The schema (draft 2020-12).
pub fn schema() -> Value {
    let defaults = serde_json::to_value(Plan::default()).unwrap_or_default();
    let mut schema = describe(&defaults, "");
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("interlock configuration");
    schema
}

fn describe(value: &Value, at: &str) -> Value {
    match value {
        Value::Object(_) if FREE_FORM.contains(&at) => json!({ "type": "object", "default": value }),
        Value::Object(map) => {
            let mut properties = Map::new();
            for (key, inner) in map {
                let dotted = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                properties.insert(key.clone(), describe(inner, &dotted));
            }
            json!({ "type": "object", "additionalProperties": false, "properties": properties })
        }
        Value::Array(items) => {
            let mut schema = json!({ "type": "array", "default": value });
            if let Some(first) = items.first() {
                schema["items"] = describe(first, at);
            }
            schema
        }
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            let mut schema = json!({ "type": "integer", "default": value });
            if let Some(range) = RANGES.iter().find(|range| range.path == at) {
                schema["minimum"] = json!(range.min);
                schema["maximum"] = json!(range.max);
                schema["description"] = json!(range.why);
            }
            schema
        }
        Value::Bool(_) => json!({ "type": "boolean", "default": value }),
        Value::String(_) => json!({ "type": "string", "default": value }),
        Value::Number(_) | Value::Null => json!({ "default": value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_of_the_table_is_in_the_schema_of_its_key() {
        let schema = schema();
        for range in RANGES {
            let place = range.path.split('.').fold(&schema, |at, key| &at["properties"][key]);
            assert_eq!(place["minimum"], range.min, "{}", range.path);
            assert_eq!(place["maximum"], range.max, "{}", range.path);
        }
        assert_eq!(schema["properties"]["gates"]["properties"]["drills_min"]["default"], 3);
    }
}
