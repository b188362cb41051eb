//! Trunks from their variables: `PGDIAL_PROVIDER`, `PGDIAL_PROVIDER_URL` and so on describe `default`,
//! `PGDIAL_TRUNK_<NAME>_...` all others. The settings of an adapter are listed in [`ADAPTERS`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use super::{
    Problem, Variables,
    problem::Collected,
    secrets::{provider_key, webhook_secrets},
};
use crate::{
    provider::{
        adapters::{ADAPTERS, Adapter, Given, Setting},
        signature::Secrets,
    },
    trunks::{Trunk, Trunks},
};

/// Variable with the provider's address of trunk `default`.
pub(super) const DEFAULT_URL: &str = "PGDIAL_PROVIDER_URL";
pub(super) const PREFIX: &str = "PGDIAL_TRUNK_";
pub(super) const DEFAULT: &str = "default";
const URL: &str = "PROVIDER_URL";
const KIND: &str = "PROVIDER";
const SECRETS: &str = "WEBHOOK_SECRETS";
const KEY_EXAMPLE: &str = "the key of your account there";

/// Valid suffixes of `PGDIAL_` and `PGDIAL_TRUNK_<NAME>_`.
pub(super) static PARTS: LazyLock<BTreeSet<&str>> = LazyLock::new(|| {
    let settings = ADAPTERS.iter().flat_map(|adapter| adapter.settings);
    let names = settings.map(|setting| setting.name);
    names.chain([KIND, SECRETS]).collect()
});

/// Variable of a trunk with this suffix.
pub(super) fn variable(trunk: &str, part: &str) -> String {
    match trunk {
        DEFAULT => format!("PGDIAL_{part}"),
        other => format!("{PREFIX}{}_{part}", other.to_ascii_uppercase()),
    }
}

/// Variable with the address of a trunk's provider.
pub(super) fn url_variable(trunk: &str) -> String {
    variable(trunk, URL)
}

/// Variable with the secrets that sign a trunk's webhooks.
pub(super) fn secrets_variable(trunk: &str) -> String {
    variable(trunk, SECRETS)
}

/// Whether a trunk uses the default adapter.
pub(super) fn speaks_protocol(variables: &Variables, trunk: &str) -> bool {
    let named = variables.get(&variable(trunk, KIND));
    named.is_none_or(|named| named == ADAPTERS[0].name)
}

/// All trunks that the variables describe, even in part.
pub(super) fn read(
    default_url: Option<&str>,
    variables: &Variables,
    bad: &mut Collected,
) -> Option<Trunks> {
    let others = bad.keep(other_names(variables))?;
    let mentioned = PARTS
        .iter()
        .any(|part| variables.get(&variable(DEFAULT, part)).is_some());
    let mut trunks = Vec::new();
    // A process may dial on other trunks only; one without any trunk has nothing to do.
    if default_url.is_some() || mentioned || others.is_empty() {
        trunks.push(trunk(DEFAULT, default_url, variables, bad));
    }
    for name in &others {
        let url = variables.get(&url_variable(name));
        trunks.push(trunk(name, url, variables, bad));
    }
    trunks.into_iter().collect()
}

/// Provider address of every trunk, with its variable.
pub(super) fn addresses<'a>(
    default_url: Option<&'a str>,
    variables: &'a Variables,
) -> Vec<(String, &'a str)> {
    let others = other_names(variables).unwrap_or_default();
    let others = others.iter().filter_map(|name| {
        let variable = url_variable(name);
        let url = variables.get(&variable)?;
        Some((variable, url))
    });
    default_url
        .map(|url| (DEFAULT_URL.to_owned(), url))
        .into_iter()
        .chain(others)
        .collect()
}

/// Names in `PGDIAL_TRUNK_<NAME>_...`, in lower case.
fn other_names(variables: &Variables) -> Result<Vec<String>, Vec<Problem>> {
    // With a variable that has the name, for the message.
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
        example: format!("{PREFIX}EU_PROVIDER_URL=https://voice.example.com"),
    };
    if name == DEFAULT {
        return Some(of(format!(
            "describes trunk `default`, whose variables are PGDIAL_{}",
            PARTS.iter().copied().collect::<Vec<_>>().join(", PGDIAL_")
        )));
    }
    (!is_trunk_name(name)).then(|| {
        of(format!(
            "names a trunk {name:?}: a name has 1 to 31 letters, digits and underscores and begins with a letter"
        ))
    })
}

/// Same rule as in `pgdial.trunks`.
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
    let adapter = bad.keep(adapter(name, variables))?;
    let get = |part: &str| match part {
        URL => url,
        other => variables.get(&variable(name, other)),
    };
    bad.keep(only_its_own(adapter, name, &get));
    let mut is_complete = true;
    for setting in adapter.settings {
        is_complete &= bad
            .keep(usable(setting, name, get(setting.name), variables))
            .is_some();
    }
    let secrets = secrets(adapter, name, variables);
    // A key that is missing is told once, although it signs as well.
    let secrets = if is_complete || adapter.signs_with.is_none() {
        bad.keep(secrets)
    } else {
        secrets.ok()
    };
    let provider = is_complete.then(|| (adapter.build)(&Given(&get)))?;
    let provider = bad.keep(provider.map_err(|fault| {
        let known = adapter.settings.iter();
        let setting = known.clone().find(|setting| setting.name == fault.setting);
        problem(
            name,
            fault.setting,
            fault.what,
            setting.map_or("", |setting| setting.example),
        )
    }));
    Some(Trunk {
        name: name.to_owned(),
        provider: provider?,
        secrets: secrets?,
    })
}

/// Adapter of a trunk.
fn adapter(trunk: &str, variables: &Variables) -> Result<&'static Adapter, Problem> {
    let Some(named) = variables.get(&variable(trunk, KIND)) else {
        return Ok(&ADAPTERS[0]);
    };
    Adapter::named(named).ok_or_else(|| {
        let known: Vec<_> = ADAPTERS.iter().map(|adapter| adapter.name).collect();
        let what = format!("is {named:?}, and must be one of {}", known.join(", "));
        problem(trunk, KIND, what, ADAPTERS[1].name)
    })
}

/// Rejects settings of another adapter: they would be silently ignored.
fn only_its_own<'a>(
    adapter: &Adapter,
    trunk: &str,
    get: &dyn Fn(&str) -> Option<&'a str>,
) -> Result<(), Vec<Problem>> {
    let is_own = |part: &str| {
        [KIND, SECRETS].contains(&part) || adapter.settings.iter().any(|own| own.name == part)
    };
    let strange = PARTS
        .iter()
        .filter(|part| !is_own(part) && get(part).is_some());
    let problems: Vec<_> = strange
        .map(|part| {
            let own: Vec<_> = adapter.settings.iter().map(|own| own.name).collect();
            let what = format!(
                "means nothing to the adapter {}, which is told {}",
                adapter.name,
                own.join(", ")
            );
            problem(trunk, part, what, "")
        })
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

fn usable(
    setting: &Setting,
    trunk: &str,
    text: Option<&str>,
    variables: &Variables,
) -> Result<(), Problem> {
    let name = variable(trunk, setting.name);
    if setting.is_secret {
        // A variable that is set but empty is a mistake here, not a default.
        provider_key(&name, variables.raw(&name))?;
    }
    if setting.is_needed && text.is_none() {
        let what = format!("is not set: trunk `{trunk}` needs {}", setting.what);
        return Err(problem(trunk, setting.name, what, setting.example));
    }
    Ok(())
}

/// Secrets that sign the trunk's webhooks.
fn secrets(adapter: &Adapter, trunk: &str, variables: &Variables) -> Result<Secrets, Problem> {
    let own = variable(trunk, SECRETS);
    let signing = adapter.signs_with.map(|part| variable(trunk, part));
    let (name, example) = match signing {
        Some(signing) if variables.raw(&own).is_none() => (signing, KEY_EXAMPLE),
        _ => (own, "the secret that signs webhooks there"),
    };
    webhook_secrets(&name, variables.raw(&name)).map_err(|problem| {
        if adapter.has_own_secret {
            problem
        } else {
            // Nobody makes up what the platform has made.
            Problem::new(problem.name, problem.what, example)
        }
    })
}

fn problem(trunk: &str, part: &str, what: String, example: &str) -> Problem {
    Problem::new(variable(trunk, part), what, example)
}
