//! Compares JSON by its shape: names and kinds of fields, not their values.

use serde_json::Value;

/// Asserts that `actual` has every field of `documented`, of the same kind, and no other fields than those and
/// `also`. A list has the shape of its first item.
pub(crate) fn assert_same(documented: &Value, actual: &Value, also: &[&str]) {
    let (wanted, given) = (shape(documented), shape(actual));
    let missing: Vec<_> = wanted.iter().filter(|one| !given.contains(one)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}\nin: {actual:#}");
    let is_strange = |one: &&(String, &str)| {
        !wanted.contains(one) && !also.iter().any(|known| one.0.starts_with(known))
    };
    let strange: Vec<_> = given.iter().filter(is_strange).collect();
    assert!(
        strange.is_empty(),
        "not documented: {strange:?}\nin: {actual:#}"
    );
}

/// Every field's pointer with its kind.
fn shape(value: &Value) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

fn walk(value: &Value, at: &str, found: &mut Vec<(String, &'static str)>) {
    found.push((at.to_owned(), kind(value)));
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                walk(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            if let Some(first) = items.first() {
                walk(first, &format!("{at}/0"), found);
            }
        }
        _ => {}
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}
