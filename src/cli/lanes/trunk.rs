//! What can be set of a trunk, and how it is shown.

use serde_json::{Map, Value};

use super::{Changes, only_given, paused};
use crate::{
    cli::{
        Failure, Out,
        out::{or_none, yes},
        values::{self, Limit},
    },
    flow::{Error, Queue, lanes::LaneKind, view::Trunk},
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
    /// Whether its provider can be asked about a dial. `authoritative`: a dial it does not know was not placed.
    #[arg(long, value_enum, value_name = "HOW")]
    pub look_up: Option<LookUp>,
    /// Whether its provider rings once per Idempotency-Key: then a dial whose answer was lost is sent again.
    #[arg(long, value_name = "BOOL")]
    pub idempotent: Option<bool>,
    /// Time within which its provider first reports every call it places, 1s to 1h, or none. A dial in doubt without
    /// a report by then was not placed.
    #[arg(long, value_name = "TIME|none", value_parser = values::interval_or_none)]
    pub reports_within: Option<Limit<String>>,
}

/// What a provider's look-up proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LookUp {
    /// The provider cannot be asked.
    None,
    /// What it knows counts; what it does not know proves nothing.
    Hint,
    /// A dial that it repeatedly does not know, over a window, was not placed.
    Authoritative,
}

impl Changes for TrunkChanges {
    const KIND: LaneKind = LaneKind::Trunk;

    fn given(&self) -> Map<String, Value> {
        only_given([
            ("slots", self.slots.map(Value::from)),
            (
                "callsPerSecond",
                self.calls_per_second.map(Limit::into_json),
            ),
            ("lookUp", self.look_up.map(|how| serde_json::json!(how))),
            ("idempotent", self.idempotent.map(Value::from)),
            (
                "reportsWithin",
                self.reports_within.clone().map(Limit::into_json),
            ),
        ])
    }

    type Lane = Trunk;

    fn lanes(calls: &Queue, name: Option<&str>) -> impl Future<Output = Result<Vec<Trunk>, Error>> {
        calls.trunks(name)
    }

    fn table(lanes: &[Trunk], out: &mut Out) -> Result<(), Failure> {
        let row = |lane: &Trunk| {
            vec![
                lane.name.clone(),
                lane.in_flight.to_string(),
                lane.slots.to_string(),
                or_none(lane.calls_per_second),
                is_paused(lane),
            ]
        };
        let header = ["trunk", "in flight", "slots", "calls/s", "paused"];
        out.table(&header, lanes.iter().map(row).collect())
    }

    fn pairs(lane: &Trunk) -> Vec<(&'static str, String)> {
        vec![
            ("trunk", lane.name.clone()),
            ("paused", is_paused(lane)),
            ("in flight", lane.in_flight.to_string()),
            ("slots", lane.slots.to_string()),
            ("calls per second", or_none(lane.calls_per_second)),
            ("look-up", lane.look_up.clone()),
            ("idempotent", yes(lane.idempotent).to_owned()),
            ("reports within", or_none(lane.reports_within.as_ref())),
        ]
    }
}

fn is_paused(lane: &Trunk) -> String {
    let (by, why) = (lane.paused_by.as_ref(), lane.paused_why.as_ref());
    paused(lane.paused, by, lane.paused_at, why)
}
