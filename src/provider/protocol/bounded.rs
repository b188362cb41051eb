//! Bounds a result's size and depth. The largest parts are dropped first, above all transcripts, so that the small
//! facts stay: duration, cost, where the recording is. `truncated` names what was dropped; the raw body is kept
//! anyway.

use std::io;

use serde_json::{Map, Value, json};

/// Bytes of the largest result kept.
pub(super) const LARGEST: usize = 64 * 1024;
/// Levels of the deepest result kept. Results are shown inside other JSON, whose readers bound the total depth: one
/// deep result must not make a page of calls unreadable.
const DEEPEST: usize = 32;
/// Bytes left free for the names of dropped parts.
const MARK: usize = 4 * 1024;
/// Names listed in `truncated`, and their length in characters.
const MOST_NAMES: usize = 20;
const LONGEST_NAME: usize = 40;
/// Bytes: an object that would keep less than this is dropped whole.
const LEAST: usize = 1024;

/// The fields, cut to the bounds.
pub(super) fn bounded(mut fields: Map<String, Value>) -> Value {
    let mut cut = Cut::default();
    for (name, value) in &mut fields {
        if prune(value, DEEPEST - 1) {
            cut.note(name, "");
        }
    }
    let most = if cut.0.is_empty() {
        LARGEST
    } else {
        LARGEST - MARK
    };
    if size_of(&fields) > most {
        shrink(&mut fields, LARGEST - MARK, "", &mut cut);
    }
    if !cut.0.is_empty() {
        fields.insert("truncated".to_owned(), json!(cut.0));
        if size_of(&fields) > LARGEST {
            // A name may consist of escapes, which are longer in JSON than the room reserved for names.
            fields.insert("truncated".to_owned(), json!(true));
        }
    }
    Value::Object(fields)
}

/// Names of dropped parts.
#[derive(Default)]
struct Cut(Vec<String>);

impl Cut {
    fn note(&mut self, name: &str, within: &str) {
        if self.0.len() < MOST_NAMES {
            let name: String = name.chars().take(LONGEST_NAME).collect();
            self.0.push(format!("{within}{name}"));
        }
    }
}

/// Drops whatever is nested deeper than `levels`. The parser bounds the recursion.
fn prune(value: &mut Value, levels: usize) -> bool {
    if levels == 0 && (value.is_array() || value.is_object()) {
        *value = Value::Null;
        return true;
    }
    let deeper = |cut, value: &mut Value| prune(value, levels - 1) || cut;
    match value {
        Value::Array(items) => items.iter_mut().fold(false, deeper),
        Value::Object(fields) => fields.values_mut().fold(false, deeper),
        _ => false,
    }
}

/// Makes the fields fit: the largest one is dropped, or shrunk if it is an object and that is enough.
fn shrink(fields: &mut Map<String, Value>, room: usize, within: &str, cut: &mut Cut) {
    let mut sizes: Vec<_> = fields
        .iter()
        .map(|(name, value)| (size_of(value) + size_of(name) + 2, name.clone()))
        .collect();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    let mut total = 2 + sizes.iter().map(|field| field.0).sum::<usize>();
    for (size, name) in sizes {
        if total <= room {
            return;
        }
        total -= size;
        let left = room.saturating_sub(total + size_of(&name) + 2);
        match fields.get_mut(&name) {
            Some(Value::Object(inner)) if left >= LEAST && within.len() < LONGEST_NAME => {
                let name: String = name.chars().take(LONGEST_NAME).collect();
                shrink(inner, left, &format!("{within}{name}."), cut);
                return;
            }
            _ => {
                fields.remove(&name);
                cut.note(&name, within);
            }
        }
    }
}

/// Size as JSON, in bytes.
fn size_of(value: &impl serde::Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_never) => usize::MAX / 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: Value) -> Value {
        let Value::Object(fields) = value else {
            panic!("not an object")
        };
        bounded(fields)
    }

    #[test]
    fn the_largest_part_goes_and_the_facts_stay() {
        let facts =
            json!({"durationSec": 42, "cost": 0.12, "recordingUrl": "https://x/1", "summary": "s"});
        let mut large = facts.clone();
        large["transcript"] = "t".repeat(LARGEST).into();
        let mut kept = facts;
        kept["truncated"] = json!(["transcript"]);
        assert_eq!(of(large), kept);
    }

    #[test]
    fn within_an_object_too() {
        let large = json!({"call": {"cost": 1, "artifact": {"messages": ["m".repeat(LARGEST)], "url": "u"}}, "ok": true});
        assert_eq!(
            of(large),
            json!({"call": {"cost": 1, "artifact": {"url": "u"}}, "ok": true,
                   "truncated": ["call.artifact.messages"]})
        );
    }

    #[test]
    fn many_small_ones_fit_in_the_end() {
        let many: Map<String, Value> = (0..50_000).map(|n| (format!("f{n}"), json!(n))).collect();
        let kept = bounded(many);
        let size = size_of(&kept);
        assert!(size <= LARGEST && size > LARGEST / 2, "{size}");
        assert_eq!(kept["truncated"].as_array().unwrap().len(), MOST_NAMES);
    }

    #[test]
    fn a_name_can_be_the_largest_part() {
        let large = json!({"n".repeat(LARGEST): 1, "cost": 2});
        assert_eq!(
            of(large),
            json!({"cost": 2, "truncated": ["n".repeat(LONGEST_NAME)]})
        );
    }

    #[test]
    fn what_is_too_deep_goes_alone() {
        let deep = |levels: usize| (1..levels).fold(json!([]), |value, _| json!([value]));
        let fits = json!({"a": deep(DEEPEST - 1), "cost": 1});
        assert_eq!(of(fits.clone()), fits);
        let kept = of(json!({"a": deep(DEEPEST), "cost": 1}));
        assert_eq!(
            (&kept["cost"], &kept["truncated"]),
            (&json!(1), &json!(["a"]))
        );
    }
}
