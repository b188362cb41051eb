//! URL from which Twilio fetches the call's TwiML, a template filled with the call's facts.
//!
//! Twilio has no field that a script could read, so metadata travels in the URL. It is logged on both sides:
//! no place for secrets.

use serde_json::Value;

use crate::{
    domain::ClaimedCall,
    provider::{
        platform::{Scripts, variables},
        words,
    },
};

/// Alias of the URL for all scripts without one of their own.
const ANY: &str = "*";

/// URL of the call's script, or why there is none.
pub(super) fn url(scripts: &Scripts, call: &ClaimedCall) -> Result<String, &'static str> {
    let script = scripts.resolve(&call.script_id);
    // The application's callback would replace ours, and the end of the call would go unreported.
    if is_application(script) {
        return Err(
            "the script id is that of a TwiML application, which takes the callback away from pgdial: name the address of its TwiML",
        );
    }
    [script, scripts.resolve(ANY)]
        .into_iter()
        .find(|url| is_url(url))
        .map(|template| filled(template, call))
        .ok_or("the script id is no https address of TwiML, and SCRIPTS has neither it nor `*`")
}

pub(super) fn is_url(script: &str) -> bool {
    script.starts_with("https://") || script.starts_with("http://")
}

/// `AP` and 32 hexadecimal digits.
fn is_application(script: &str) -> bool {
    let digits = script.strip_prefix("AP").unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Fills in `{scriptId}`, `{reference}` and the fields of the metadata; a missing one is empty.
fn filled(template: &str, call: &ClaimedCall) -> String {
    let fields = variables(&call.metadata);
    let value = |name: &str| match name {
        "scriptId" => call.script_id.clone(),
        "reference" => call.reference().to_string(),
        name => match fields.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        },
    };
    let mut parts = template.split('{');
    let mut url = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if let Some((name, rest)) = part.split_once('}') {
            url.push_str(&words::percent(&value(name)));
            url.push_str(rest);
        } else {
            url.push('{');
            url.push_str(part);
        }
    }
    url
}
