//! What can be set of a trunk, and how it is shown.

use serde_json::{Map, Value};

use super::{Changes, in_codes, in_words, only_given, paused};
use crate::{
    cli::{
        Failure, Out,
        out::{or_empty, or_none, yes},
        values::{self, Limit},
    },
    flow::{
        Error, Queue,
        groups::GroupKind,
        view::{Trunk, TrunkAdapter},
    },
};

/// What can be set of a trunk.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TrunkChanges {
    /// Maximum calls in flight, summed over all processes, 0 to 100000.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub slots: Option<i64>,
    /// Maximum dials per second, or none.
    #[arg(long, value_name = "N|none", allow_negative_numbers = true, value_parser = values::number_or_none::<f64>)]
    pub calls_per_second: Option<Limit<f64>>,
    /// Whether its provider can be asked about a dial, unlike what its adapter declares. `authoritative`: a dial it
    /// does not know was not placed.
    #[arg(long, value_enum, value_name = "HOW")]
    pub look_up: Option<LookUp>,
    /// Whether its provider rings once per Idempotency-Key, unlike what its adapter declares: then a dial whose answer
    /// was lost is sent again.
    #[arg(long, value_name = "BOOL|declared", value_parser = values::bool_or_declared)]
    pub idempotent: Option<Limit<bool>>,
    /// Time within which its provider first reports every call it places, 1s to 1h, or none, unlike what its adapter
    /// declares. A dial in doubt without a report by then was not placed.
    #[arg(long, value_name = "TIME|none|declared", value_parser = values::interval_or_declared)]
    pub reports_within: Option<Limit<String>>,
}

/// What a provider's look-up proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LookUp {
    /// The provider cannot be asked.
    None,
    /// What it knows counts; what it does not know proves nothing.
    Hint,
    /// A dial that it repeatedly does not know, over a window, was not placed.
    Authoritative,
    /// As its adapter declares.
    Declared,
}

impl LookUp {
    const fn setting(self) -> Option<&'static str> {
        match self {
            Self::None => Some("none"),
            Self::Hint => Some("hint"),
            Self::Authoritative => Some("authoritative"),
            Self::Declared => None,
        }
    }
}

impl Changes for TrunkChanges {
    const KIND: GroupKind = GroupKind::Trunk;

    fn given(&self) -> Map<String, Value> {
        only_given([
            ("slots", self.slots.map(Value::from)),
            (
                "callsPerSecond",
                self.calls_per_second.map(Limit::into_json),
            ),
            ("lookUp", self.look_up.map(|how| Value::from(how.setting()))),
            ("idempotent", self.idempotent.map(Limit::into_json)),
            (
                "reportsWithin",
                self.reports_within.clone().map(Limit::into_json),
            ),
        ])
    }

    type Group = Trunk;

    fn groups(
        calls: &Queue,
        name: Option<&str>,
    ) -> impl Future<Output = Result<Vec<Trunk>, Error>> {
        calls.trunks(name)
    }

    fn is_paused(group: &Trunk) -> bool {
        group.paused
    }

    fn is_archived(group: &Trunk) -> bool {
        group.archived_at.is_some()
    }

    fn table(groups: &[Trunk], out: &mut Out) -> Result<(), Failure> {
        let row = |group: &Trunk| {
            vec![
                group.name.clone(),
                or_empty(
                    group
                        .adapter
                        .as_ref()
                        .and_then(|adapter| adapter.name.as_ref()),
                ),
                group.in_flight.to_string(),
                group.slots.to_string(),
                or_none(group.calls_per_second),
                is_paused(group),
                in_codes(&group.reasons),
            ]
        };
        let header = [
            "trunk",
            "adapter",
            "in flight",
            "slots",
            "calls/s",
            "paused",
            "held by",
        ];
        out.table(&header, groups.iter().map(row).collect())
    }

    fn pairs(group: &Trunk) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("trunk", group.name.clone()),
            ("paused", is_paused(group)),
            ("in flight", group.in_flight.to_string()),
            ("slots", group.slots.to_string()),
            ("calls per second", or_none(group.calls_per_second)),
            ("held by", in_words(&group.reasons)),
        ];
        pairs.extend(terms(group));
        pairs.extend(group.adapter.iter().flat_map(platform));
        let conflicts = group.conflicts.iter();
        pairs.extend(conflicts.map(|conflict| ("conflict", conflict.clone())));
        pairs
    }
}

/// What is in effect, and who says so.
pub(crate) fn terms(group: &Trunk) -> [(&'static str, String); 3] {
    let (now, adapter) = (&group.in_effect, group.adapter.as_ref());
    let term = |in_effect: String, is_set: bool, declared: Option<String>| match declared {
        Some(declared) if is_set => {
            format!("{in_effect}, as set; its adapter declares: {declared}")
        }
        Some(declared) if declared == in_effect => format!("{in_effect}, as its adapter declares"),
        Some(declared) => format!("{in_effect}, as its adapter declares: {declared}"),
        None if is_set => format!("{in_effect}, as set"),
        None => in_effect,
    };
    [
        (
            "look-up",
            term(
                now.look_up.clone(),
                group.look_up.is_some(),
                adapter.and_then(look_up),
            ),
        ),
        (
            "idempotent",
            term(
                yes(now.idempotent).to_owned(),
                group.idempotent.is_some(),
                adapter.and_then(idempotency),
            ),
        ),
        (
            "reports within",
            term(
                or_none(now.reports_within.as_ref()),
                group.reports_within.is_some(),
                adapter.and_then(|adapter| Some(adapter.reports_within.as_ref()?.to_string())),
            ),
        ),
    ]
}

fn look_up(adapter: &TrunkAdapter) -> Option<String> {
    let declared = match adapter.look_up.as_deref()? {
        "none" => "it cannot be asked",
        "by_id" => "by its own id alone",
        "hint" => "by id and by reference, absence proves nothing",
        "authoritative" => "by id and by reference, absence proves that there is no call",
        other => other,
    };
    Some(declared.to_owned())
}

fn idempotency(adapter: &TrunkAdapter) -> Option<String> {
    let kept = or_none(adapter.key_kept.as_ref());
    Some(match adapter.idempotency.as_deref()? {
        "none" => "a request sent again rings again".to_owned(),
        "untried" => format!(
            "a key is kept for {kept}, untried: set it once a test call has shown that it rings once"
        ),
        "honoured" => format!("a key is kept for {kept}"),
        other => other.to_owned(),
    })
}

/// What else the adapter declares.
fn platform(adapter: &TrunkAdapter) -> Vec<(&'static str, String)> {
    let yes_or_unknown = |is: Option<bool>| is.map_or("not known", yes).to_owned();
    let known = |value: Option<String>| value.unwrap_or_else(|| "not known".to_owned());
    vec![
        ("adapter", known(adapter.account.clone())),
        ("ends calls", yes_or_unknown(adapter.cancels)),
        ("lists calls", yes_or_unknown(adapter.lists)),
        (
            "webhook URL",
            known(adapter.webhooks.as_deref().map(|set| set.replace('_', " "))),
        ),
        (
            "platform's pace",
            known(
                adapter
                    .calls_per_second
                    .map(|pace| format!("{pace} a second by default")),
            ),
        ),
        (
            "told of machines",
            known(adapter.answering_machine.as_ref().map(|told| {
                if told.is_empty() {
                    "nothing".to_owned()
                } else {
                    told.join(", ").replace('_', " ")
                }
            })),
        ),
        ("placing may take", or_none(adapter.place_timeout.as_ref())),
    ]
}

fn is_paused(group: &Trunk) -> String {
    let (by, why) = (group.paused_by.as_ref(), group.paused_why.as_ref());
    paused(group.paused, by, group.paused_at, why)
}
