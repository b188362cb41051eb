//! Validation of secrets and keys, including placeholders that were never replaced.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};

use super::Problem;
use crate::provider::signature::{BadSecret, Secrets};

pub(super) const API_KEYS: &str = "PGDIAL_API_KEYS";
pub(super) const API_KEYS_EXAMPLE: &str = "crm:$(openssl rand -hex 24)";
const SECRETS_EXAMPLE: &str = "whsec_$(openssl rand -base64 32)";
/// Shorter ones can be guessed: a key over the network, a secret from one observed webhook.
const SHORTEST: usize = 24;

/// An API key.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Owner of the calls and scope of the idempotency keys. Two keys may share a name during a rotation.
    pub name: String,
    /// Bearer token.
    pub key: SecretString,
}

/// Texts of published examples, with which anybody could sign.
pub(super) fn is_placeholder(text: &str) -> bool {
    let known = [
        "supersecret",
        "secret",
        "password",
        "example",
        "todo",
        "xxx",
        "test",
    ];
    is_unfilled(text) || known.contains(&bare(text).as_str())
}

/// Texts that ask to be replaced.
pub(super) fn is_unfilled(text: &str) -> bool {
    let begins = ["change-me", "changeme", "replace-me", "your-", "<", "$("];
    begins.iter().any(|start| bare(text).starts_with(start))
}

fn bare(text: &str) -> String {
    let text = text.trim().to_ascii_lowercase().replace('_', "-");
    text.strip_prefix("whsec-").unwrap_or(&text).to_owned()
}

/// Secrets of a trunk in use: none missing, empty, or copied from an example.
pub(super) fn webhook_secrets(name: &str, text: Option<&str>) -> Result<Secrets, Problem> {
    if text.is_some_and(|text| text.split(',').any(is_placeholder)) {
        let what = "holds the placeholder of an example: anybody could sign with it";
        return Err(Problem::new(name, what, SECRETS_EXAMPLE));
    }
    let secrets = any_webhook_secrets(name, text)?;
    if let Some(short) = secrets.all().find(|secret| secret.bytes() < SHORTEST) {
        let what = format!(
            "has a secret of {} bytes: at least {SHORTEST} are needed",
            short.bytes()
        );
        return Err(Problem::new(name, what, SECRETS_EXAMPLE));
    }
    Ok(secrets)
}

/// As above, without the checks for placeholders and length.
pub(super) fn any_webhook_secrets(name: &str, text: Option<&str>) -> Result<Secrets, Problem> {
    let bad = |what: &str| Err(Problem::new(name, what, SECRETS_EXAMPLE));
    match text.map(str::parse::<Secrets>) {
        None => {
            bad("is not set: without it nobody can tell the provider's webhooks from forged ones")
        }
        Some(Ok(secrets)) => Ok(secrets),
        Some(Err(BadSecret::Empty)) => bad("has an empty place: anybody could sign with it"),
        Some(Err(BadSecret::NotBase64)) => {
            bad("has a secret that begins with whsec_, but what follows is not base64")
        }
        Some(Err(BadSecret::NoKey)) => bad("has a secret that cannot be used as a key"),
    }
}

/// A provider's key; none is valid for a provider that needs none.
pub(super) fn provider_key(
    name: &str,
    text: Option<&str>,
) -> Result<Option<SecretString>, Problem> {
    let Some(text) = text.map(str::trim) else {
        return Ok(None);
    };
    let bad = |what: &str| Err(Problem::new(name, what, "the key of your account there"));
    if text.is_empty() {
        bad("is empty: leave it out if the provider asks for no key")
    } else if is_placeholder(text) {
        bad("is the placeholder of an example")
    } else if !text.bytes().all(|b| b.is_ascii_graphic()) {
        bad("must be visible ASCII")
    } else {
        Ok(Some(text.into()))
    }
}

/// Parses `name:key`, separated by commas.
pub(super) fn api_keys(text: Option<&str>) -> Result<Vec<ApiKey>, Vec<Problem>> {
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    let (mut keys, mut problems) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for (at, entry) in text.split(',').enumerate() {
        // Its position and not its text: if the format is wrong, it is unknown which part is the key.
        let place = at + 1;
        match api_key(entry.trim()) {
            Ok(key) if seen.insert(key.key.expose_secret().to_owned()) => keys.push(key),
            Ok(_) => problems.push(format!("has the same key twice, in entry {place}")),
            Err(_) if text.trim().is_empty() => problems
                .push("is empty: fill it in, or leave it out and stay on loopback".to_owned()),
            Err(what) => problems.push(format!("entry {place} {what}")),
        }
    }
    if problems.is_empty() {
        return Ok(keys);
    }
    let problem = |what| Problem::new(API_KEYS, what, API_KEYS_EXAMPLE);
    Err(problems.into_iter().map(problem).collect())
}

fn api_key(entry: &str) -> Result<ApiKey, String> {
    let (name, key) = entry.split_once(':').ok_or("is not name:key")?;
    let (name, key) = (name.trim(), key.trim());
    let named = (1..=60).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !named {
        return Err("has no name of letters, digits, dots, hyphens and underscores".to_owned());
    }
    if is_placeholder(key) {
        return Err(format!("({name}) holds the placeholder of an example"));
    }
    if key.len() < SHORTEST {
        return Err(format!(
            "({name}) has a key of {} characters: at least {SHORTEST} are needed",
            key.len()
        ));
    }
    if !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("({name}) has a key that is not visible ASCII"));
    }
    Ok(ApiKey {
        name: name.to_owned(),
        key: key.into(),
    })
}
