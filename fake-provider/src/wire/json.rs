//! Reading JSON by pointers: what is not there is null.

use serde_json::{Map, Value};

static NULL: Value = Value::Null;

/// The value at a pointer.
pub(super) fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&NULL)
}

/// The text at a pointer.
pub(super) fn text(value: &Value, pointer: &str) -> Option<String> {
    at(value, pointer).as_str().map(str::to_owned)
}

/// The whole number at a pointer.
pub(super) fn number(value: &Value, pointer: &str) -> Option<u64> {
    at(value, pointer).as_u64()
}

/// The fields of the object at a pointer; none if it is no object.
pub(super) fn fields(value: &Value, pointer: &str) -> Map<String, Value> {
    at(value, pointer).as_object().cloned().unwrap_or_default()
}

/// An object with the fields of both; those of `more` win.
pub(super) fn merged(object: &Value, more: &Value) -> Value {
    let mut all = fields(object, "");
    all.extend(fields(more, ""));
    Value::Object(all)
}
