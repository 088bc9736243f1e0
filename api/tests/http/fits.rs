//! Whether a JSON value fits a schema, as far as our documents use JSON Schema. A
//! keyword that is not known here is a failure, so that nothing passes unseen.

use serde_json::{Map, Value};

/// Keywords that say nothing about which values are good, or only what a form is
/// called.
const SILENT: [&str; 6] = ["description", "title", "default", "format", "$ref", "pattern"];

/// What does not fit, if anything.
pub(crate) fn fits(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    let Some(schema) = schema.as_object() else {
        return (schema == &Value::Bool(false)).then(|| format!("{value} is not allowed"));
    };
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = document.pointer(reference.trim_start_matches('#'));
        let Some(target) = target else { return Some(format!("{reference} does not exist")) };
        if let Some(misfit) = fits(document, target, value) {
            return Some(misfit);
        }
    }
    schema.iter().find_map(|(keyword, wanted)| {
        one(document, schema, keyword, wanted, value)
            .map(|misfit| format!("{misfit} ({keyword}: {wanted})"))
    })
}

fn one(
    document: &Value,
    schema: &Map<String, Value>,
    keyword: &str,
    wanted: &Value,
    value: &Value,
) -> Option<String> {
    let list = || wanted.as_array().into_iter().flatten();
    let good = match keyword {
        "type" => match wanted {
            Value::Array(_) => list().any(|name| is(name, value)),
            name => is(name, value),
        },
        "enum" => list().any(|each| each == value),
        "const" => wanted == value,
        "anyOf" | "oneOf" => list().any(|each| fits(document, each, value).is_none()),
        "allOf" => return list().find_map(|each| fits(document, each, value)),
        "required" => list().all(|name| value.get(name.as_str().unwrap_or_default()).is_some()),
        "properties" => return properties(document, wanted, schema, value),
        "additionalProperties" => return None,
        "items" => {
            let items = value.as_array().into_iter().flatten();
            return items.into_iter().find_map(|each| fits(document, wanted, each));
        }
        "minimum" => value.as_f64().is_none_or(|number| Some(number) >= wanted.as_f64()),
        "maximum" => value.as_f64().is_none_or(|number| Some(number) <= wanted.as_f64()),
        "minLength" => length(value).is_none_or(|length| Some(length) >= wanted.as_u64()),
        "maxLength" => length(value).is_none_or(|length| Some(length) <= wanted.as_u64()),
        "minItems" => value.as_array().is_none_or(|all| Some(all.len() as u64) >= wanted.as_u64()),
        "maxItems" => value.as_array().is_none_or(|all| Some(all.len() as u64) <= wanted.as_u64()),
        "minProperties" => {
            value.as_object().is_none_or(|all| Some(all.len() as u64) >= wanted.as_u64())
        }
        "maxProperties" => {
            value.as_object().is_none_or(|all| Some(all.len() as u64) <= wanted.as_u64())
        }
        "uniqueItems" => true,
        _ => SILENT.contains(&keyword),
    };
    (!good).then(|| format!("{value} does not fit"))
}

fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}

/// Each field against its schema; a field that is not described is a misfit, even
/// where other programs would let it pass.
fn properties(
    document: &Value,
    described: &Value,
    schema: &Map<String, Value>,
    value: &Value,
) -> Option<String> {
    let closed = !schema.contains_key("$ref") && !schema.contains_key("allOf");
    value.as_object()?.iter().find_map(|(name, field)| match described.get(name) {
        Some(of_field) => fits(document, of_field, field).map(|misfit| format!("{name}: {misfit}")),
        None => closed.then(|| format!("{name} is not described")),
    })
}

fn is(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap_or_default() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[test]
fn what_fits_and_what_does_not() {
    let document = serde_json::json!({"a": {"type": "string", "maxLength": 2}});
    let schema = serde_json::json!({
        "type": "object", "required": ["x"],
        "properties": {"x": {"$ref": "#/a"}, "n": {"type": ["integer", "null"], "minimum": 1}},
    });
    for good in [r#"{"x": "ab"}"#, r#"{"x": "", "n": 1}"#, r#"{"x": "", "n": null}"#] {
        assert_eq!(fits(&document, &schema, &serde_json::from_str(good).unwrap()), None, "{good}");
    }
    for bad in [
        "{}",
        r#"{"x": "abc"}"#,
        r#"{"x": 1}"#,
        r#"{"x": "", "n": 0}"#,
        r#"{"x": "", "y": 1}"#,
        "[]",
    ] {
        assert!(fits(&document, &schema, &serde_json::from_str(bad).unwrap()).is_some(), "{bad}");
    }
    let odd = serde_json::json!({"newKeyword": 1});
    assert!(fits(&document, &odd, &Value::Null).is_some());
}
