//! Trunks from their variables: `PGDIAL_PROVIDER_URL` and its two companions describe
//! `default`, `PGDIAL_TRUNK_<NAME>_...` every other one.

use std::{collections::BTreeMap, sync::Arc};

use secrecy::SecretString;

use super::{
    Problem, Variables,
    problem::Collected,
    secrets::{provider_key, webhook_secrets},
};
use crate::{
    provider::{self, http::HttpProvider},
    trunks::{Trunk, Trunks},
};

/// The provider's address of trunk `default`.
pub(super) const DEFAULT_URL: &str = "PGDIAL_PROVIDER_URL";
pub(super) const PREFIX: &str = "PGDIAL_TRUNK_";
/// What follows `PGDIAL_` or `PGDIAL_TRUNK_<NAME>_`.
pub(super) const PARTS: [&str; 3] = ["PROVIDER_URL", "PROVIDER_KEY", "WEBHOOK_SECRETS"];
const URL_EXAMPLE: &str = "https://voice.example.com";
pub(super) const DEFAULT: &str = "default";

/// The variables of one trunk.
pub(super) struct Names {
    pub(super) url: String,
    pub(super) key: String,
    pub(super) secrets: String,
}

pub(super) fn names_of(trunk: &str) -> Names {
    let start = match trunk {
        DEFAULT => "PGDIAL_".to_owned(),
        other => format!("{PREFIX}{}_", other.to_ascii_uppercase()),
    };
    let [url, key, secrets] = PARTS.map(|part| format!("{start}{part}"));
    Names { url, key, secrets }
}

/// Every trunk that the variables describe, even in part.
pub(super) fn read(
    default_url: Option<&str>,
    variables: &Variables,
    bad: &mut Collected,
) -> Option<Trunks> {
    let others = bad.keep(other_names(variables))?;
    let own = names_of(DEFAULT);
    let mentioned = [&own.url, &own.key, &own.secrets]
        .iter()
        .any(|name| variables.get(name).is_some());
    let mut trunks = Vec::new();
    // A process may dial for other trunks only; one that knows none has nothing to do.
    if default_url.is_some() || mentioned || others.is_empty() {
        trunks.push(trunk(DEFAULT, default_url, variables, bad));
    }
    for name in &others {
        let url = variables.get(&names_of(name).url);
        trunks.push(trunk(name, url, variables, bad));
    }
    trunks.into_iter().collect()
}

/// The provider's address of every trunk, with the variable that names it.
pub(super) fn addresses<'a>(
    default_url: Option<&'a str>,
    variables: &'a Variables,
) -> Vec<(String, &'a str)> {
    let others = other_names(variables).unwrap_or_default();
    let others = others.iter().filter_map(|name| {
        let variable = names_of(name).url;
        let url = variables.get(&variable)?;
        Some((variable, url))
    });
    default_url
        .map(|url| (DEFAULT_URL.to_owned(), url))
        .into_iter()
        .chain(others)
        .collect()
}

/// The names in `PGDIAL_TRUNK_<NAME>_...`, lower case.
fn other_names(variables: &Variables) -> Result<Vec<String>, Vec<Problem>> {
    // With the variable that brought it up, for the message.
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for variable in variables.names() {
        if let Some(name) = name_in(variable) {
            names.entry(name).or_insert(variable);
        }
    }
    let problems: Vec<Problem> = names
        .iter()
        .filter_map(|(name, variable)| misnamed(name, variable))
        .collect();
    if problems.is_empty() {
        Ok(names.into_keys().collect())
    } else {
        Err(problems)
    }
}

/// `PGDIAL_TRUNK_EU_WEST_PROVIDER_URL` -> `eu_west`.
fn name_in(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix(PREFIX)?;
    let name = PARTS.iter().find_map(|part| rest.strip_suffix(part))?;
    Some(name.trim_end_matches('_').to_ascii_lowercase())
}

fn misnamed(name: &str, variable: &str) -> Option<Problem> {
    let of = |what: String| Problem {
        name: variable.to_owned(),
        what,
        example: format!("{PREFIX}EU_PROVIDER_URL={URL_EXAMPLE}"),
    };
    if name == DEFAULT {
        return Some(of(format!(
            "describes trunk `default`, whose variables are PGDIAL_{}",
            PARTS.join(", PGDIAL_")
        )));
    }
    (!is_trunk_name(name)).then(|| {
        of(format!(
            "names a trunk {name:?}: a name has 1 to 31 letters, digits and underscores and begins with a letter"
        ))
    })
}

/// As `pgdial.trunks` takes them.
fn is_trunk_name(name: &str) -> bool {
    (1..=31).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn trunk(
    name: &str,
    url: Option<&str>,
    variables: &Variables,
    bad: &mut Collected,
) -> Option<Trunk> {
    let names = names_of(name);
    let secrets = bad.keep(webhook_secrets(
        &names.secrets,
        variables.raw(&names.secrets),
    ));
    let key = bad.keep(provider_key(&names.key, variables.raw(&names.key)));
    let url = bad.keep(url.ok_or_else(|| {
        let what = format!("is not set: trunk `{name}` needs the address of its provider");
        url_problem(name, what)
    }));
    let provider = bad.keep(adapter(name, url?, key?))?;
    Some(Trunk {
        name: name.to_owned(),
        provider: Arc::new(provider),
        secrets: secrets?,
    })
}

fn adapter(name: &str, url: &str, key: Option<SecretString>) -> Result<HttpProvider, Problem> {
    HttpProvider::new(url, key).map_err(|error| match error {
        provider::Error::BadKey => {
            let what = "must be visible ASCII";
            Problem::new(names_of(name).key, what, "the key of your account there")
        }
        other => url_problem(name, format!("cannot be used: {other}")),
    })
}

fn url_problem(name: &str, what: String) -> Problem {
    Problem::new(names_of(name).url, what, URL_EXAMPLE)
}
