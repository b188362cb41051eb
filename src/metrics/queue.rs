//! The state of the queue and of the pools, as the database and the pools tell it at a scrape.

use std::collections::BTreeMap;

use prometheus::{GaugeVec, Opts, core::Collector, proto::MetricFamily};
use serde::Deserialize;

/// What sql/read/metrics.sql answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Queue {
    truncated: bool,
    waiting: Vec<Waiting>,
    in_flight: Vec<InFlight>,
    trunks: Vec<Trunk>,
    campaigns: Vec<Campaign>,
    workers: u32,
    parked: Parked,
    tables: Vec<Table>,
    oldest_snapshot_sec: f64,
    notification_usage: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    campaign: String,
    calls: u32,
    due: u32,
    oldest_due_sec: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
struct InFlight {
    campaign: String,
    state: String,
    calls: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trunk {
    name: String,
    slots: u32,
    paused: bool,
    held: bool,
    breaker_open: bool,
    in_flight: u32,
    in_doubt: u32,
    stuck: u32,
    workers: u32,
}

#[derive(Debug, Clone, Deserialize)]
struct Campaign {
    name: String,
    paused: bool,
    cap: Option<u32>,
    reason: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parked {
    events: u32,
    oldest_sec: f64,
}

#[derive(Debug, Clone, Deserialize)]
struct Table {
    name: String,
    dead: u32,
}

/// How full a pool of connections is.
#[derive(Debug, Clone)]
pub(crate) struct PoolUse {
    pub(crate) name: String,
    pub(crate) idle: usize,
    pub(crate) used: usize,
    pub(crate) most: u32,
}

/// States that a call may be in and that are no end.
const LIVING: [&str; 4] = ["waiting", "dialing", "unresolved", "in_call"];

/// A family of gauges: its values by their labels.
pub(crate) fn gauges<const N: usize>(
    name: &str,
    help: &str,
    labels: [&str; N],
    values: impl IntoIterator<Item = ([String; N], f64)>,
) -> Option<MetricFamily> {
    let family = GaugeVec::new(Opts::new(name, help), &labels).ok()?;
    for (labels, value) in values {
        family.with_label_values(&labels).set(value);
    }
    family
        .collect()
        .pop()
        .filter(|family| !family.get_metric().is_empty())
}

fn one(name: &str, help: &str, value: f64) -> Option<MetricFamily> {
    gauges(name, help, [], [([], value)])
}

/// The part of a scrape that the database answers; none: it did not answer.
pub(crate) fn families(queue: Option<&Queue>) -> Vec<MetricFamily> {
    let up = one(
        "pgdial_database_up",
        "Whether the database answered this scrape.",
        if queue.is_some() { 1.0 } else { 0.0 },
    );
    let mut all = vec![up];
    if let Some(queue) = queue {
        all.extend(queue.of_calls());
        all.extend(queue.of_trunks());
        all.extend(queue.of_campaigns());
        all.extend(queue.of_the_rest());
    }
    all.into_iter().flatten().collect()
}

/// The pools of this process.
pub(crate) fn pools(pools: &[PoolUse]) -> Vec<MetricFamily> {
    let connections = pools.iter().flat_map(|pool| {
        let of = |state: &str, count: usize| {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            ([pool.name.clone(), state.to_owned()], f64::from(count))
        };
        [of("idle", pool.idle), of("used", pool.used)]
    });
    let most = pools
        .iter()
        .map(|pool| ([pool.name.clone()], f64::from(pool.most)));
    let families = [
        gauges(
            "pgdial_pool_connections",
            "Connections to the database, by pool and use.",
            ["pool", "state"],
            connections,
        ),
        gauges(
            "pgdial_pool_limit",
            "Connections that a pool may have.",
            ["pool"],
            most,
        ),
    ];
    families.into_iter().flatten().collect()
}

impl Queue {
    fn of_calls(&self) -> Vec<Option<MetricFamily>> {
        // Every campaign has each state, as 0 where there is none: what is gone reads as 0, not as absent.
        let mut calls: BTreeMap<[String; 2], f64> = BTreeMap::new();
        let named = self.campaigns.iter().map(|campaign| &campaign.name);
        for campaign in named.chain(self.waiting.iter().map(|waiting| &waiting.campaign)) {
            for state in LIVING {
                calls.insert([campaign.clone(), state.to_owned()], 0.0);
            }
        }
        let waiting = self
            .waiting
            .iter()
            .map(|w| (&w.campaign, "waiting", w.calls));
        let flying = self
            .in_flight
            .iter()
            .map(|f| (&f.campaign, f.state.as_str(), f.calls));
        for (campaign, state, count) in waiting.chain(flying) {
            calls.insert([campaign.clone(), state.to_owned()], f64::from(count));
        }
        let by_campaign = |value: fn(&Waiting) -> f64| {
            let mut all: BTreeMap<[String; 1], f64> = self
                .campaigns
                .iter()
                .map(|campaign| ([campaign.name.clone()], 0.0))
                .collect();
            all.extend(
                self.waiting
                    .iter()
                    .map(|w| ([w.campaign.clone()], value(w))),
            );
            all
        };
        vec![
            gauges(
                "pgdial_calls",
                "Calls that have not ended, by campaign and state.",
                ["campaign", "state"],
                calls,
            ),
            gauges(
                "pgdial_calls_due",
                "Waiting calls whose time has come, by campaign.",
                ["campaign"],
                by_campaign(|waiting| f64::from(waiting.due)),
            ),
            gauges(
                "pgdial_oldest_due_age_seconds",
                "For how long the oldest due call waits, by campaign; 0: none is due.",
                ["campaign"],
                by_campaign(|waiting| waiting.oldest_due_sec.unwrap_or(0.0)),
            ),
            one(
                "pgdial_queue_truncated",
                "1 while more calls wait than are counted: the counts are lower bounds.",
                f64::from(u8::from(self.truncated)),
            ),
        ]
    }

    fn of_trunks(&self) -> Vec<Option<MetricFamily>> {
        let of = |name: &str, help: &str, value: fn(&Trunk) -> f64| {
            let values = self
                .trunks
                .iter()
                .map(|trunk| ([trunk.name.clone()], value(trunk)));
            gauges(name, help, ["trunk"], values)
        };
        vec![
            of(
                "pgdial_calls_in_flight",
                "Calls in flight, by trunk.",
                |t| f64::from(t.in_flight),
            ),
            of(
                "pgdial_calls_in_doubt",
                "Calls in flight of which nobody knows whether they ring, by trunk.",
                |t| f64::from(t.in_doubt),
            ),
            of(
                "pgdial_calls_stuck",
                "Calls in flight that are past their deadline, by trunk.",
                |t| f64::from(t.stuck),
            ),
            of(
                "pgdial_trunk_slots",
                "Calls in flight at most, by trunk.",
                |t| f64::from(t.slots),
            ),
            of("pgdial_trunk_paused", "1 while the trunk is paused.", |t| {
                f64::from(u8::from(t.paused))
            }),
            of(
                "pgdial_trunk_held",
                "1 while a recovery holds the trunk.",
                |t| f64::from(u8::from(t.held)),
            ),
            of(
                "pgdial_trunk_breaker_open",
                "1 while the provider fails and one call at a time probes it.",
                |t| f64::from(u8::from(t.breaker_open)),
            ),
            of(
                "pgdial_trunk_workers",
                "Live workers that can dial the trunk.",
                |t| f64::from(t.workers),
            ),
        ]
    }

    fn of_campaigns(&self) -> Vec<Option<MetricFamily>> {
        let campaigns = &self.campaigns;
        vec![
            gauges(
                "pgdial_campaign_paused",
                "1 while the campaign is paused.",
                ["campaign"],
                campaigns
                    .iter()
                    .map(|c| ([c.name.clone()], f64::from(u8::from(c.paused)))),
            ),
            gauges(
                "pgdial_campaign_cap",
                "Calls in flight of the campaign at most, where it has a cap of its own.",
                ["campaign"],
                campaigns
                    .iter()
                    .filter_map(|c| Some(([c.name.clone()], f64::from(c.cap?)))),
            ),
            gauges(
                "pgdial_campaign_blocked",
                "1, with the reason, while nothing of the campaign may be claimed.",
                ["campaign", "reason"],
                campaigns
                    .iter()
                    .filter_map(|c| Some(([c.name.clone(), c.reason.clone()?], 1.0))),
            ),
        ]
    }

    fn of_the_rest(&self) -> Vec<Option<MetricFamily>> {
        let dead = self.tables.iter();
        vec![
            one(
                "pgdial_workers",
                "Workers that are alive.",
                f64::from(self.workers),
            ),
            one(
                "pgdial_webhooks_parked",
                "Webhook events that wait for their call.",
                f64::from(self.parked.events),
            ),
            one(
                "pgdial_webhooks_parked_oldest_age_seconds",
                "For how long the oldest parked event waits; 0: none does.",
                self.parked.oldest_sec,
            ),
            gauges(
                "pgdial_table_dead_rows",
                "Dead rows that vacuum has not removed, as the server estimates them.",
                ["table"],
                dead.map(|table| ([table.name.clone()], f64::from(table.dead))),
            ),
            one(
                "pgdial_oldest_snapshot_age_seconds",
                "Age of the oldest transaction that keeps vacuum from removing rows, of the sessions that this login may see.",
                self.oldest_snapshot_sec,
            ),
            one(
                "pgdial_notification_queue_usage_ratio",
                "How full the server's queue of notifications is, 0 to 1.",
                self.notification_usage,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::metrics::text;

    fn example() -> Queue {
        let queue = json!({
            "truncated": false, "workers": 1, "parked": {"events": 0, "oldestSec": 0},
            "waiting": [{"campaign": "default", "calls": 5, "due": 2, "oldestDueSec": 1.5}],
            "inFlight": [{"campaign": "default", "state": "in_call", "calls": 3}],
            "trunks": [{"name": "default", "slots": 30, "paused": true, "held": false,
                "breakerOpen": false, "inFlight": 3, "inDoubt": 1, "stuck": 0, "workers": 1}],
            "campaigns": [{"name": "default", "paused": false, "cap": null, "reason": "trunk_paused"},
                {"name": "a\"b\\c\nd", "paused": true, "cap": 2, "reason": null}],
            "tables": [{"name": "calls", "dead": 7}],
            "oldestSnapshotSec": 0.25, "notificationUsage": 0});
        serde_json::from_value(queue).unwrap()
    }

    #[test]
    fn the_queue_is_written_family_by_family() {
        let text = text(&families(Some(&example())));
        for line in [
            "pgdial_database_up 1",
            "pgdial_calls{campaign=\"default\",state=\"waiting\"} 5",
            "pgdial_calls{campaign=\"default\",state=\"in_call\"} 3",
            "pgdial_calls{campaign=\"default\",state=\"unresolved\"} 0",
            "pgdial_calls_due{campaign=\"default\"} 2",
            "pgdial_oldest_due_age_seconds{campaign=\"default\"} 1.5",
            "pgdial_calls_in_flight{trunk=\"default\"} 3",
            "pgdial_calls_in_doubt{trunk=\"default\"} 1",
            "pgdial_trunk_slots{trunk=\"default\"} 30",
            "pgdial_trunk_paused{trunk=\"default\"} 1",
            "pgdial_campaign_blocked{campaign=\"default\",reason=\"trunk_paused\"} 1",
            "pgdial_workers 1",
            "pgdial_table_dead_rows{table=\"calls\"} 7",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        let text = text(&families(Some(&example())));
        assert!(
            text.contains("pgdial_campaign_cap{campaign=\"a\\\"b\\\\c\\nd\"} 2\n"),
            "{text}"
        );
    }

    #[test]
    fn without_the_database_only_that_is_said() {
        let text = text(&families(None));
        assert!(text.contains("\npgdial_database_up 0\n"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }
}
