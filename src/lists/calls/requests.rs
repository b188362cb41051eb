//! From a row to a request, for every file format.
//!
//! SQL decides whether a request is accepted, as it does for every other way in; here only the form is read.
//! [`check`] repeats as much of SQL's rules as needs no database, for `--dry-run` and to know which of several rows
//! with one number counts.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{OnDuplicate, Rules, parts};
use crate::{
    domain::{CallId, CallRequest, Phone, Region},
    lists,
};

/// Why a row yields no request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) is_error: bool,
    pub(crate) code: &'static str,
    pub(crate) detail: String,
}

impl From<String> for Refusal {
    fn from(detail: String) -> Self {
        Self {
            is_error: true,
            code: "invalid",
            detail,
        }
    }
}

impl Refusal {
    /// The campaign already has a call to this number.
    pub(crate) fn queued(id: CallId) -> Self {
        Self {
            is_error: false,
            code: "queued",
            detail: format!("call {id} of the same campaign waits or is in flight to this number"),
        }
    }

    /// An exported call that is in flight or has ended.
    pub(crate) fn not_waiting(state: &str) -> Self {
        Self {
            is_error: false,
            code: "not_waiting",
            detail: format!(
                "the call is {state}, not waiting: leave \"state\" out of the file to ring it again"
            ),
        }
    }
}

/// First line of a row, counted from 1, and its request or why there is none.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) line: u64,
    pub(crate) request: Result<Value, Refusal>,
}

/// What is the same for all rows of a file, and what earlier rows have shown.
pub(crate) struct Requests {
    campaign: Option<String>,
    script: Option<String>,
    key_prefix: Option<String>,
    region: Option<Region>,
    on_duplicate: OnDuplicate,
    seen: Seen,
}

impl Requests {
    pub(crate) fn of(rules: &Rules) -> Self {
        Self {
            campaign: rules.campaign.clone(),
            script: rules.script.clone(),
            key_prefix: rules.key_prefix.clone(),
            region: rules.read.region,
            on_duplicate: rules.on_duplicate,
            seen: Seen::default(),
        }
    }

    /// Completes a row's request with the command line's campaign, script, region and key. A second row of one number
    /// is refused unless both have the same key.
    pub(crate) fn finish(
        &mut self,
        line: u64,
        request: Result<Map<String, Value>, Refusal>,
    ) -> Row {
        let request = request.and_then(|request| self.finished(line, request));
        Row { line, request }
    }

    fn finished(&mut self, line: u64, mut request: Map<String, Value>) -> Result<Value, Refusal> {
        for (name, value) in [("campaign", &self.campaign), ("scriptId", &self.script)] {
            if let (Some(value), false) = (value, request.contains_key(name)) {
                request.insert(name.to_owned(), value.clone().into());
            }
        }
        if let Some(country) = self.region {
            let region = match request.get("region").and_then(Value::as_str) {
                Some(part) => parts::within(country, part),
                None => country.to_string(),
            };
            request.insert("region".to_owned(), region.into());
        }
        normalise(&mut request);
        if let Some(prefix) = &self.key_prefix
            && !request.contains_key("idempotencyKey")
        {
            let key = format!("{prefix}:{}", fingerprint(&request));
            request.insert("idempotencyKey".to_owned(), key.into());
        }
        let request = Value::Object(request);
        if self.on_duplicate != OnDuplicate::Allow
            && check(&request).is_ok()
            && let Some(first) = self.seen.before(line, &request)
        {
            return Err(Refusal {
                is_error: self.on_duplicate == OnDuplicate::Error,
                code: "same_number",
                detail: format!("the number of line {first}, in the same campaign"),
            });
        }
        Ok(request)
    }
}

/// Rewrites numbers into E.164, after which a country has nothing more to say. An unreadable number stays as it is:
/// SQL says why, or knows its campaign's region.
fn normalise(request: &mut Map<String, Value>) {
    let region = region_of(request.get("region"));
    let mut are_all = true;
    for name in ["to", "from"] {
        for spelled in numbers_mut(request.get_mut(name)) {
            match spelled.as_str().map(|text| Phone::parse_in(text, region)) {
                Some(Ok(phone)) => *spelled = phone.as_e164().into(),
                _ => are_all = false,
            }
        }
    }
    let is_country = |value: &Value| value.as_str().is_some_and(|text| !text.contains('-'));
    if are_all && region.is_some() && request.get("region").is_some_and(is_country) {
        request.remove("region");
    }
}

/// The numbers of a field: one, or each of a list.
pub(crate) fn numbers_mut(field: Option<&mut Value>) -> &mut [Value] {
    match field {
        Some(Value::Array(list)) => list,
        Some(one) => std::slice::from_mut(one),
        None => &mut [],
    }
}

/// The same, to read.
fn numbers(field: Option<&Value>) -> &[Value] {
    match field {
        Some(Value::Array(list)) => list,
        Some(one) => std::slice::from_ref(one),
        None => &[],
    }
}

fn region_of(value: Option<&Value>) -> Option<Region> {
    let country = value.and_then(Value::as_str)?.split('-').next();
    country?.parse().ok()
}

/// Hash of what a row asks for, independent of its place in the file and of the order of columns.
fn fingerprint(request: &Map<String, Value>) -> String {
    let digest = Sha256::digest(Value::Object(request.clone()).to_string());
    hex::encode(digest.get(..12).unwrap_or_default())
}

/// The numbers seen so far, by campaign; kept small, because a file may have millions.
#[derive(Default)]
struct Seen {
    campaigns: HashMap<String, usize>,
    /// Line of the first occurrence, and part of its key's digest.
    numbers: HashMap<(u64, u32), (u32, u32)>,
}

impl Seen {
    /// The earlier line with one of these numbers in this campaign, unless both rows have the same key and so are one
    /// request.
    fn before(&mut self, line: u64, request: &Value) -> Option<u32> {
        let text = |name: &str| request.get(name).and_then(Value::as_str);
        let to = numbers(request.get("to"))
            .iter()
            .filter_map(|to| Some(lists::packed(&Phone::parse(to.as_str()?).ok()?)));
        let to: Vec<u64> = to.collect();
        let campaign = text("campaign").unwrap_or("default");
        let campaign = if let Some(at) = self.campaigns.get(campaign) {
            *at
        } else {
            let next = self.campaigns.len();
            self.campaigns.insert(campaign.to_owned(), next);
            next
        };
        let key = text("idempotencyKey").map_or(0, part_of);
        let campaign = u32::try_from(campaign).unwrap_or(u32::MAX);
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        let known = |number: &u64| self.numbers.get(&(*number, campaign)).copied();
        let before = to
            .iter()
            .filter_map(known)
            .find(|(first, its_key)| *first != line && (key == 0 || key != *its_key));
        if let Some((first, _)) = before {
            return Some(first);
        }
        for number in to {
            self.numbers
                .entry((number, campaign))
                .or_insert((line, key));
        }
        None
    }
}

/// Part of a key's digest; never 0, which stands for no key.
fn part_of(key: &str) -> u32 {
    let digest = Sha256::digest(key);
    let bytes = digest.first_chunk().copied().unwrap_or_default();
    u32::from_be_bytes(bytes).max(1)
}

const TEXTS: [&str; 10] = [
    "region",
    "scriptId",
    "campaign",
    "from",
    "runAt",
    "expiresAt",
    "idempotencyKey",
    "consentAt",
    "consentRef",
    "consentExpiresAt",
];

/// Finds faults that need no database to be found.
pub(crate) fn check(request: &Value) -> Result<(), String> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    for name in TEXTS {
        if request.get(name).is_some_and(|value| !value.is_string()) {
            return Err(format!("{name:?} must be a string"));
        }
    }
    check_shape_of_to(request.get("to"))?;
    if text("scriptId").is_none() {
        return Err("\"scriptId\" is missing: what the provider should say".to_owned());
    }
    let region = region_of(request.get("region"));
    for name in ["to", "from"] {
        let is_list = request.get(name).is_some_and(Value::is_array);
        for (n, number) in numbers(request.get(name)).iter().enumerate() {
            let at = if is_list {
                format!("[{n}]")
            } else {
                String::new()
            };
            Phone::parse_in(number.as_str().unwrap_or_default(), region)
                .map_err(|why| format!("{name:?}{at} is {why}"))?;
        }
    }
    for (name, least, most) in [("priority", 0, 9), ("maxAttempts", 1, 20)] {
        if let Some(number) = request.get(name)
            && !number
                .as_i64()
                .is_some_and(|number| (least..=most).contains(&number))
        {
            return Err(format!(
                "{name:?} must be a whole number from {least} to {most}"
            ));
        }
    }
    for name in ["runAt", "expiresAt", "consentAt", "consentExpiresAt"] {
        if let Some(time) = text(name) {
            chrono::DateTime::parse_from_rfc3339(time).map_err(|_not_one| {
                format!(
                    "{name:?} must be an RFC 3339 time with an offset, as in 2026-01-31T09:00:00Z"
                )
            })?;
        }
    }
    CallRequest::deserialize(request)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn check_shape_of_to(to: Option<&Value>) -> Result<(), String> {
    let fault = match to {
        None => "\"to\" is missing: the number to ring, as in +1415…",
        Some(Value::Array(list)) if !(1..=10).contains(&list.len()) => {
            "\"to\" must be a number, or a list of 1 to 10 numbers of one person"
        }
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => return Ok(()),
        Some(Value::String(_)) => return Ok(()),
        Some(_) => "\"to\" must be a string, or a list of strings",
    };
    Err(fault.to_owned())
}
