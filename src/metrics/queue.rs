//! State of the queue and of connection pools, read at a scrape.

use std::collections::BTreeMap;

use prometheus::{
    GaugeVec, Opts,
    core::Collector,
    proto::{Metric, MetricFamily},
};
use serde::Deserialize;

/// What `sql/read/metrics.sql` returns.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Depths {
    truncated: bool,
    waiting: Vec<Waiting>,
    in_flight: Vec<InFlight>,
    ended: Vec<Ended>,
    trunks: Vec<Trunk>,
    campaigns: Vec<Campaign>,
    workers: u32,
    parked: Parked,
    paused_itself: PausedItself,
    housekeeping: Vec<Step>,
    endpoints: Vec<Endpoint>,
    /// `None` if the server's statistics could not be read.
    #[serde(skip)]
    pub(crate) server: Option<Server>,
}

/// What `sql/read/metrics_server.sql` returns.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Server {
    tables: Vec<Table>,
    oldest_snapshot_sec: f64,
    notification_usage: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    campaign: String,
    trunk: String,
    calls: u32,
    due: u32,
    closed: u32,
    oldest_due_sec: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
struct InFlight {
    campaign: String,
    state: String,
    calls: u32,
}

#[derive(Debug, Clone, Deserialize)]
struct Ended {
    campaign: String,
    trunk: String,
    outcome: String,
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
    trunk: String,
    paused: bool,
    cap: Option<u32>,
    reason: Option<String>,
}

/// Numbers of trunks, campaigns and endpoints that pgdial has paused.
#[derive(Debug, Clone, Deserialize)]
struct PausedItself {
    trunk: u32,
    campaign: u32,
    endpoint: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    name: String,
    paused: bool,
    unfinished: u32,
    lag_sec: f64,
    failing_sec: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parked {
    events: u32,
    oldest_sec: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    #[serde(rename = "step")]
    name: String,
    failures: u32,
    done_sec: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
struct Table {
    name: String,
    dead: u32,
}

/// Connections of one pool.
#[derive(Debug, Clone)]
pub(crate) struct PoolUse {
    pub(crate) name: String,
    pub(crate) idle: usize,
    pub(crate) used: usize,
    pub(crate) most: u32,
}

/// States that are not terminal.
const LIVING: [&str; 4] = ["waiting", "dialing", "unresolved", "in_call"];

/// A family of gauges. Values are sorted by label, so that two scrapes of one state are the same text.
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
    let mut family = family.collect().pop()?;
    let values = |metric: &Metric| -> Vec<String> {
        let labels = metric.get_label().iter();
        labels.map(|label| label.value().to_owned()).collect()
    };
    family.mut_metric().sort_by_key(values);
    Some(family).filter(|family| !family.get_metric().is_empty())
}

fn one(name: &str, help: &str, value: f64) -> Option<MetricFamily> {
    gauges(name, help, [], [([], value)])
}

/// The database's part of a scrape. `None`: it could not be read.
pub(crate) fn families(queue: Option<&Depths>) -> Vec<MetricFamily> {
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
        all.extend(queue.of_housekeeping());
        all.extend(queue.of_endpoints());
        all.extend(queue.server.iter().flat_map(Server::families));
    }
    all.into_iter().flatten().collect()
}

/// Work of this process that is failing, and for how many seconds.
pub(crate) fn failing(seconds: &[(&'static str, f64)]) -> Option<MetricFamily> {
    let values = seconds
        .iter()
        .map(|(work, seconds)| ([(*work).to_owned()], *seconds));
    gauges(
        "pgdial_failing_seconds",
        "For how long this work of the process has failed, or waited for an answer; 0 when its last try went well.",
        ["work"],
        values,
    )
}

/// Connections of this process's pools.
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

impl Depths {
    fn of_calls(&self) -> Vec<Option<MetricFamily>> {
        // Every campaign exports each state, as 0 if empty: an emptied one must read as 0 rather than as absent.
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
            let all = calls.entry([campaign.clone(), state.to_owned()]);
            *all.or_default() += f64::from(count);
        }
        let by_campaign = |value: fn(&Waiting) -> f64| {
            let named = self.campaigns.iter();
            let mut all: BTreeMap<[String; 2], f64> = named
                .map(|campaign| ([campaign.name.clone(), campaign.trunk.clone()], 0.0))
                .collect();
            let waiting = self.waiting.iter();
            all.extend(waiting.map(|w| ([w.campaign.clone(), w.trunk.clone()], value(w))));
            all
        };
        let ended = self.ended.iter().map(|e| {
            let labels = [e.campaign.clone(), e.trunk.clone(), e.outcome.clone()];
            (labels, f64::from(e.calls))
        });
        vec![
            gauges(
                "pgdial_calls_ended_recently",
                "Of the last ten minutes' calls that are over, the newest 20000: by campaign (200 of their own, the rest as (others)), trunk and outcome.",
                ["campaign", "trunk", "outcome"],
                ended,
            ),
            gauges(
                "pgdial_calls",
                "Calls that have not ended, by campaign and state.",
                ["campaign", "state"],
                calls,
            ),
            gauges(
                "pgdial_calls_due",
                "Waiting calls whose time has come, within their calling hours, by campaign and its trunk.",
                ["campaign", "trunk"],
                by_campaign(|waiting| f64::from(waiting.due)),
            ),
            gauges(
                "pgdial_calls_closed",
                "Waiting calls whose time has come, outside their calling hours, by campaign and its trunk.",
                ["campaign", "trunk"],
                by_campaign(|waiting| f64::from(waiting.closed)),
            ),
            gauges(
                "pgdial_oldest_due_age_seconds",
                "For how long the oldest due call waits, by campaign and its trunk; 0: none is due.",
                ["campaign", "trunk"],
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
        let itself = [
            (["trunk".to_owned()], self.paused_itself.trunk),
            (["campaign".to_owned()], self.paused_itself.campaign),
            (["endpoint".to_owned()], self.paused_itself.endpoint),
        ];
        vec![
            gauges(
                "pgdial_paused_itself",
                "Trunks, campaigns and endpoints that pgdial has paused because of what their provider or they themselves said.",
                ["kind"],
                itself.map(|(kind, n)| (kind, f64::from(n))),
            ),
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
        ]
    }

    fn of_housekeeping(&self) -> Vec<Option<MetricFamily>> {
        let steps = self.housekeeping.iter();
        let done = steps
            .clone()
            .filter_map(|s| Some(([s.name.clone()], s.done_sec?)));
        vec![
            gauges(
                "pgdial_housekeeping_failures",
                "How often in a row a step of housekeeping has failed since it last succeeded.",
                ["step"],
                steps.map(|s| ([s.name.clone()], f64::from(s.failures))),
            ),
            gauges(
                "pgdial_housekeeping_success_age_seconds",
                "How long ago a step of housekeeping last succeeded; absent: it never has.",
                ["step"],
                done,
            ),
        ]
    }
}

impl Depths {
    fn of_endpoints(&self) -> Vec<Option<MetricFamily>> {
        let family = |name, help, value: fn(&Endpoint) -> f64| {
            let all = self.endpoints.iter();
            let values = all.map(|endpoint| ([endpoint.name.clone()], value(endpoint)));
            gauges(name, help, ["endpoint"], values)
        };
        vec![
            family(
                "pgdial_endpoint_paused",
                "1 while nothing is delivered to the endpoint.",
                |endpoint| f64::from(u8::from(endpoint.paused)),
            ),
            family(
                "pgdial_endpoint_unfinished",
                "Deliveries that are not over, up to 10000; further events wait in the log.",
                |endpoint| f64::from(endpoint.unfinished),
            ),
            family(
                "pgdial_endpoint_lag_seconds",
                "Age of the oldest event that the endpoint may not have got; 0: it has them all.",
                |endpoint| endpoint.lag_sec,
            ),
            family(
                "pgdial_endpoint_failing_seconds",
                "For how long every attempt to deliver to the endpoint has failed; 0: the last one succeeded.",
                |endpoint| endpoint.failing_sec,
            ),
        ]
    }
}

impl Server {
    fn families(&self) -> Vec<Option<MetricFamily>> {
        let dead = self.tables.iter();
        vec![
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

    fn example() -> Depths {
        let queue = json!({
            "truncated": false, "workers": 1, "parked": {"events": 0, "oldestSec": 0},
            "waiting": [{"campaign": "default", "trunk": "default", "calls": 5, "due": 2, "closed": 0, "oldestDueSec": 1.5}],
            "inFlight": [{"campaign": "default", "state": "in_call", "calls": 3}],
            "ended": [{"campaign": "default", "trunk": "default", "outcome": "busy", "calls": 4}],
            "trunks": [{"name": "default", "slots": 30, "paused": true, "held": false,
                "breakerOpen": false, "inFlight": 3, "inDoubt": 1, "stuck": 0, "workers": 1}],
            "campaigns": [{"name": "default", "trunk": "default", "paused": false, "cap": null, "reason": "trunk_paused"},
                {"name": "a\"b\\c\nd", "trunk": "default", "paused": true, "cap": 2, "reason": null}],
            "endpoints": [{"name": "crm", "paused": false, "unfinished": 3, "lagSec": 2.5, "failingSec": 0}],
            "pausedItself": {"trunk": 1, "campaign": 0, "endpoint": 0}, "housekeeping": [{"step": "drop_acts", "failures": 2, "doneSec": 61.5},
                {"step": "drop_partitions", "failures": 0, "doneSec": null}]});
        let server = json!({"tables": [{"name": "calls", "dead": 7}],
            "oldestSnapshotSec": 0.25, "notificationUsage": 0});
        Depths {
            server: Some(serde_json::from_value(server).unwrap()),
            ..serde_json::from_value(queue).unwrap()
        }
    }

    #[test]
    fn the_queue_is_written_family_by_family() {
        let text = text(&families(Some(&example())));
        for line in [
            "pgdial_database_up 1",
            "pgdial_calls{campaign=\"default\",state=\"waiting\"} 5",
            "pgdial_calls_ended_recently{campaign=\"default\",outcome=\"busy\",trunk=\"default\"} 4",
            "pgdial_calls{campaign=\"default\",state=\"in_call\"} 3",
            "pgdial_calls{campaign=\"default\",state=\"unresolved\"} 0",
            "pgdial_calls_due{campaign=\"default\",trunk=\"default\"} 2",
            "pgdial_oldest_due_age_seconds{campaign=\"default\",trunk=\"default\"} 1.5",
            "pgdial_housekeeping_failures{step=\"drop_acts\"} 2",
            "pgdial_housekeeping_success_age_seconds{step=\"drop_acts\"} 61.5",
            "pgdial_calls_in_flight{trunk=\"default\"} 3",
            "pgdial_calls_in_doubt{trunk=\"default\"} 1",
            "pgdial_trunk_slots{trunk=\"default\"} 30",
            "pgdial_trunk_paused{trunk=\"default\"} 1",
            "pgdial_paused_itself{kind=\"trunk\"} 1",
            "pgdial_campaign_blocked{campaign=\"default\",reason=\"trunk_paused\"} 1",
            "pgdial_workers 1",
            "pgdial_endpoint_lag_seconds{endpoint=\"crm\"} 2.5",
            "pgdial_table_dead_rows{table=\"calls\"} 7",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_server_that_does_not_say_how_it_is_keeps_nothing_else_back() {
        let queue = Depths {
            server: None,
            ..example()
        };
        let text = text(&families(Some(&queue)));
        assert!(text.contains("\npgdial_workers 1\n"), "{text}");
        assert!(!text.contains("pgdial_table_dead_rows"), "{text}");
    }

    #[test]
    fn the_same_state_is_the_same_text() {
        let values = (0..40).map(|n| ([format!("c{n}")], f64::from(n)));
        let family = gauges("pgdial_x", "X.", ["campaign"], values).unwrap();
        let names = family.get_metric().iter();
        let names: Vec<&str> = names.map(|m| m.get_label()[0].value()).collect();
        assert!(names.is_sorted(), "{names:?}");
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
