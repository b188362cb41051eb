//! The provider's own words, from the shapes in which providers wrap them.

use serde_json::{Map, Value};

/// Fields with words, the most telling first. The value may be a string, a list of strings, or an object with words
/// of its own.
const FIELDS: [&str; 13] = [
    "message",
    "error_message",
    "errorMessage",
    "detail",
    "details",
    "msg",
    "errors",
    "error",
    "error_description",
    "description",
    "reason",
    "title",
    "data",
];
/// Items kept of a list.
const MOST: usize = 3;
/// Levels of nested objects read; nobody nests words deeper.
const DEEPEST: usize = 4;

/// The words of an error body; `None` if it has none.
pub(in crate::provider) fn words(body: &Value) -> Option<String> {
    match body {
        Value::Object(_) | Value::Array(_) => read(body, DEEPEST),
        _ => None,
    }
}

fn read(value: &Value, levels: usize) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        _ if levels == 0 => None,
        Value::Array(items) => {
            let items = items.iter().filter_map(|item| read(item, levels - 1));
            let items: Vec<_> = items.take(MOST).collect();
            (!items.is_empty()).then(|| items.join("; "))
        }
        Value::Object(fields) => {
            let mut found = FIELDS.iter().filter_map(|field| fields.get(*field));
            let words = found.find_map(|value| read(value, levels - 1))?;
            Some(place(fields).map_or(words.clone(), |place| format!("{place}: {words}")))
        }
        _ => None,
    }
}

/// The part of the request that an item is about: `{"loc": ["body", "scriptId"], "msg": ...}`.
fn place(item: &Map<String, Value>) -> Option<String> {
    let parts = item.get("loc")?.as_array()?.iter().take(MOST);
    let parts: Vec<_> = parts
        .map(|part| {
            part.as_str()
                .map_or_else(|| part.to_string(), str::to_owned)
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join("."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_found_in_every_shape_that_providers_use() {
        for (body, expected) in [
            (json!({"message": "no"}), "no"),
            (
                json!({"code": 21212, "message": "from is invalid", "status": 400}),
                "from is invalid",
            ),
            (
                json!({"message": ["assistantId must be a UUID", "x"], "error": "Bad Request", "statusCode": 400}),
                "assistantId must be a UUID; x",
            ),
            (json!({"error": "Agent not found"}), "Agent not found"),
            (
                json!({"error": {"type": "invalid", "message": "no agent"}}),
                "no agent",
            ),
            (json!({"error": {"error": {"message": "deep"}}}), "deep"),
            (json!({"errors": ["a", "b", "c", "d"]}), "a; b; c"),
            (
                json!({"errors": [{"code": "10009", "title": "Failed", "detail": "no route"}]}),
                "no route",
            ),
            (
                json!({"error_message": "phone not verified"}),
                "phone not verified",
            ),
            (
                json!({"status": "error", "errors": null, "message": "", "title": "Bad"}),
                "Bad",
            ),
            (
                json!({"detail": [{"loc": ["body", "scriptId"], "msg": "field required", "type": "missing"}]}),
                "body.scriptId: field required",
            ),
            (
                json!({"detail": {"status": "quota", "message": "no credits"}}),
                "no credits",
            ),
            (
                json!({"title": "Bad Request", "detail": "unknown script", "status": 400}),
                "unknown script",
            ),
            (json!([{"message": "in a list"}]), "in a list"),
            (json!({"data": {"reason": "why"}}), "why"),
        ] {
            assert_eq!(words(&body).as_deref(), Some(expected), "{body}");
        }
        for body in [
            json!({}),
            json!([]),
            json!({"status": 400}),
            json!("text"),
            json!(null),
        ] {
            assert_eq!(words(&body), None, "{body}");
        }
    }
}
