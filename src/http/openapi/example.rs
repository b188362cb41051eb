//! Examples of bodies, composed of the examples of a schema's fields.

use serde_json::{Map, Value, json};

/// A value that fits the schema: of an object the required fields and those with an example.
///
/// None if a required text has neither an example nor a format.
pub(super) fn example(schema: &Value, schemas: &Value) -> Option<Value> {
    let given = schema.get("example");
    if let Some(given) = given.or_else(|| schema.get("examples")?.get(0)) {
        return Some(given.clone());
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = name.rsplit('/').next()?;
        return example(schemas.get(name)?, schemas);
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.first().cloned();
    }
    if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
        return choices.iter().find_map(|choice| example(choice, schemas));
    }
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        let parts = parts.iter().map(|part| example(part, schemas));
        let mut whole = Map::new();
        for part in parts {
            whole.extend(part?.as_object().cloned()?);
        }
        return Some(whole.into());
    }
    match kind(schema)? {
        "object" => object(schema, schemas),
        "array" => Some(json!([example(schema.get("items")?, schemas)?])),
        "boolean" => Some(json!(false)),
        "integer" | "number" => Some(schema.get("minimum").cloned().unwrap_or(json!(1))),
        "string" => match schema.get("format")?.as_str()? {
            "uuid" => Some(json!("0197f5e0-0000-7000-8000-000000000001")),
            "date-time" => Some(json!("2026-01-31T09:00:00Z")),
            _ => None,
        },
        _ => None,
    }
}

/// Type of the schema; of several the one that is not null.
fn kind(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null"),
        kind => kind.as_str(),
    }
}

fn has_example(schema: &Value, schemas: &Value) -> bool {
    let named = schema.get("$ref").and_then(Value::as_str);
    let named = named.and_then(|name| schemas.get(name.rsplit('/').next()?));
    let choices = schema.get("oneOf").and_then(Value::as_array);
    schema.get("example").is_some()
        || named.is_some_and(|named| has_example(named, schemas))
        || choices.is_some_and(|all| all.iter().any(|one| has_example(one, schemas)))
}

fn object(schema: &Value, schemas: &Value) -> Option<Value> {
    let mut whole = Map::new();
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|n| n == name));
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        if is_required(name) || has_example(property, schemas) {
            whole.insert(name.clone(), example(property, schemas)?);
        }
    }
    Some(whole.into())
}
