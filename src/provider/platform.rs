//! Helpers shared by the platforms' adapters.

use std::{collections::BTreeMap, str::FromStr};

use chrono::TimeDelta;
use serde_json::{Map, Value, value::RawValue};

use crate::domain::{Outcome, Phone, Reference, Report};

/// Field of the call's metadata at the platform that carries the reference.
pub(super) const REFERENCE: &str = "pgdial_reference";
/// Field that carries the trunk's name, for people who look at the platform's dashboard.
pub(super) const TRUNK: &str = "pgdial_trunk";

/// Upper bound of the difference between a platform's clock and the database's.
pub(super) const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// Aliases of a platform's scripts: `welcome=agent_0123,spring=agent_4567@3`. A script id that is not an
/// alias is taken as the platform's own.
#[derive(Debug, Clone, Default)]
pub struct Scripts(BTreeMap<String, String>);

impl Scripts {
    /// The platform's id for a script id.
    pub(super) fn resolve<'a>(&'a self, script_id: &'a str) -> &'a str {
        self.0.get(script_id).map_or(script_id, String::as_str)
    }

    /// Each alias with its id.
    pub(super) fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        let aliases = self.0.iter();
        aliases.map(|(alias, id)| (alias.as_str(), id.as_str()))
    }

    /// The platform's id, and the version after its last `@`.
    pub(super) fn with_version<'a>(&'a self, script_id: &'a str) -> (&'a str, Option<&'a str>) {
        let id = self.resolve(script_id);
        match id.rsplit_once('@') {
            Some((id, version)) if !id.is_empty() && !version.is_empty() => (id, Some(version)),
            _ => (id, None),
        }
    }
}

/// A list of scripts has an entry without a name or an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not of the form NAME=ID")]
pub struct BadScript(String);

impl FromStr for Scripts {
    type Err = BadScript;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scripts = entries(text).map(|entry| match entry.split_once('=') {
            Some((name, id)) if !name.trim().is_empty() && !id.trim().is_empty() => {
                Ok((name.trim().to_owned(), id.trim().to_owned()))
            }
            _ => Err(BadScript(entry.to_owned())),
        });
        scripts.collect::<Result<_, _>>().map(Self)
    }
}

/// Text that the caller gave for a machine that answers: `voicemailMessage` in the metadata.
pub(super) fn voicemail_message(metadata: &RawValue) -> Option<String> {
    let message = variables(metadata).remove("voicemailMessage")?;
    let message = message.as_str().map(str::trim)?;
    (!message.is_empty()).then(|| message.to_owned())
}

/// The platform's ids of the account's caller ids: `+14155550100=phnum_01,+14155550101=phnum_02`.
#[derive(Debug, Clone, Default)]
pub struct Numbers(Vec<(Phone, String)>);

impl Numbers {
    /// Each number with its id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Phone, &str)> {
        self.0.iter().map(|(number, id)| (number, id.as_str()))
    }

    /// Id of this number, or of the first one if none is given.
    pub(super) fn id(&self, number: Option<&Phone>) -> Option<&str> {
        let mut known = self.0.iter();
        let found = match number {
            Some(number) => known.find(|(known, _)| known == number),
            None => known.next(),
        };
        found.map(|(_, id)| id.as_str())
    }
}

/// A list of numbers has an entry without a number or an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not of the form +NUMBER=ID")]
pub struct BadNumber(String);

impl FromStr for Numbers {
    type Err = BadNumber;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = |entry: &str| {
            let (number, id) = entry.split_once('=')?;
            let id = id.trim();
            let number = number.trim().parse().ok()?;
            (!id.is_empty()).then(|| (number, id.to_owned()))
        };
        entries(text)
            .map(|entry| read(entry).ok_or_else(|| BadNumber(entry.to_owned())))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

/// Text at a JSON pointer, unless empty.
pub(super) fn text(value: &Value, pointer: &str) -> Option<String> {
    let text = value.pointer(pointer)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// Number at a JSON pointer.
pub(super) fn number(value: &Value, pointer: &str) -> Option<f64> {
    value.pointer(pointer)?.as_f64()
}

/// Seconds of a duration, as precisely as platforms write times.
pub(super) fn seconds(duration: TimeDelta) -> f64 {
    (duration.as_seconds_f64() * 1e3).round() / 1e3
}

/// Only the named fields of an object.
pub(super) fn only(value: Value, names: &[&str]) -> Map<String, Value> {
    match value {
        Value::Object(mut fields) => {
            fields.retain(|name, _| names.contains(&name.as_str()));
            fields
        }
        _ => Map::new(),
    }
}

/// Takes a field out of an object; null if there is none.
pub(super) fn take(value: &mut Value, name: &str) -> Value {
    value.get_mut(name).map(Value::take).unwrap_or_default()
}

/// The call's metadata as variables of a script; none if the metadata is not an object.
pub(super) fn variables(metadata: &RawValue) -> Map<String, Value> {
    match serde_json::from_str(metadata.get()) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// The most informative of several calls that a platform lists under one reference.
pub(super) fn most_telling(calls: impl Iterator<Item = Report>, dial: Reference) -> Option<Report> {
    let calls: Vec<_> = calls.collect();
    if calls.len() > 1 {
        tracing::error!(
            call.id = %dial.call, reference = %dial, calls = calls.len(),
            "the provider has several calls with one reference; somebody may have been rung twice"
        );
    }
    calls.into_iter().max_by_key(Report::weight)
}

/// Outcome of a dial by its final SIP response code; none if the code does not determine it.
pub(super) const fn sip_outcome(code: u16) -> Option<Outcome> {
    Some(match code {
        200 => Outcome::Answered,
        486 | 600 => Outcome::Busy,
        487 => Outcome::NoAnswer,
        603 | 607 => Outcome::Declined,
        404 | 410 | 484 | 604 => Outcome::InvalidNumber,
        408 | 480 => Outcome::Unreachable,
        403 | 608 => Outcome::Blocked,
        401 | 402 | 407 => Outcome::Account,
        400 | 405 | 406 | 415 | 422 | 481 | 482 | 483 | 488 | 491 | 500..=599 | 606 => {
            Outcome::ProviderFault
        }
        _ => return None,
    })
}

#[cfg(test)]
pub(super) mod testing;
