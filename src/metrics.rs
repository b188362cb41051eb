//! What this process has done since it started, as counters and histograms.
//!
//! Every holder of [`Queue`](crate::flow::Queue) counts here: loops, dialer, batchers, API. Counting costs a few
//! atomic additions and never waits. A scrape (`src/http/metrics.rs`) adds the state of the queue from the database,
//! so that no process can drift from it. No numbers or names of people are included.
//!
//! Names: base units (seconds), `_total` for counters, and labels with few values: words of our own, trunks, verbs.

use std::{collections::BTreeMap, fmt, time::Duration};

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    core::Collector, proto::MetricFamily,
};
use strum::VariantNames;

use crate::domain::{Placement, Refusal};

pub(crate) mod queue;

/// Buckets in seconds for statements, claims and requests, which take milliseconds.
const SHORT: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Buckets in seconds for a dial: the provider responds within 30 s or not at all.
const DIAL: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Buckets in seconds for waits between milliseconds and an hour.
const LONG: [f64; 15] = [
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
];
/// Buckets for items per statement.
const SIZES: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0];

/// Verbs that go through batchers.
const BATCHED: [&str; 6] = ["enqueue", "dialed", "settle", "defer", "doubt", "webhook"];

/// Why a webhook is not believed, or not kept.
const REJECTIONS: [&str; 8] = [
    "unknown_trunk",
    "unsigned",
    "malformed",
    "signature",
    "tag",
    "too_old",
    "no_room",
    "unreadable",
];

/// Why a request is refused for want of a key; forbidden: the key may not do this.
const KEY_REFUSALS: [&str; 6] = [
    "no_key",
    "unknown",
    "revoked",
    "expired",
    "no_session",
    "forbidden",
];

/// Possible verdicts of the verbs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdicts {
    /// Of verbs that go through batchers. Webhooks and enqueues have families of their own.
    pub(crate) batched: &'static [(&'static str, &'static [&'static str])],
    pub(crate) enqueued: &'static [&'static str],
    pub(crate) look_ups: &'static [&'static str],
    pub(crate) events: &'static [&'static str],
}

/// Counters by word, for a fixed set of words.
#[derive(Debug, Clone)]
pub(crate) struct Words(Vec<(&'static str, IntCounter)>);

impl Words {
    /// Counts the word; an unforeseen word is not counted.
    pub(crate) fn add(&self, word: &str) {
        if let Some((_, count)) = self.0.iter().find(|known| known.0 == word) {
            count.inc();
        }
    }
}

/// Measures of one batcher.
#[derive(Debug, Clone)]
pub(crate) struct Batches {
    pub(crate) seconds: Histogram,
    pub(crate) items: Histogram,
    pub(crate) errors: IntCounter,
}

/// All that one process counts.
pub struct Metrics {
    registry: Registry,
    batches: BTreeMap<&'static str, Batches>,
    verdicts: BTreeMap<&'static str, Words>,

    pub(crate) enqueued: Words,
    pub(crate) enqueue_seconds: Histogram,
    pub(crate) events: Words,
    pub(crate) rejections: Words,
    /// By trunk and outcome.
    pub(crate) reported: IntCounterVec,
    pub(crate) webhook_seconds: Histogram,
    pub(crate) responses: Words,
    keys_refused: Words,

    pub(crate) claims: Words,
    pub(crate) claimed: IntCounter,
    pub(crate) claim_seconds: Histogram,
    pub(crate) pickup_seconds: Histogram,
    pub(crate) refill_seconds: Histogram,
    pub(crate) permits: IntGauge,
    pub(crate) permits_used: IntGauge,

    /// By trunk and result.
    pub(crate) dials: IntCounterVec,
    /// By trunk.
    pub(crate) dial_seconds: HistogramVec,
    /// By trunk: dials that were a second or later attempt.
    pub(crate) retries: IntCounterVec,
    /// By trunk and result.
    pub(crate) repeats: IntCounterVec,
    pub(crate) records: Words,

    pub(crate) sweeps: Words,
    /// By kind.
    pub(crate) swept: IntCounterVec,
    pub(crate) sweep_seconds: Histogram,
    pub(crate) look_ups: Words,

    pub(crate) deliveries: Words,
    pub(crate) delivery_seconds: Histogram,

    pub(crate) listening: IntGauge,
    pub(crate) listens: IntCounter,
    pub(crate) heard: IntCounter,
    pub(crate) notifies: Words,
    pub(crate) pool_wait_seconds: Histogram,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// All at 0.
    #[expect(clippy::too_many_lines, reason = "a list of what is counted")]
    pub(crate) fn new(known: &Verdicts) -> Self {
        let new = Maker(Registry::new());
        new.build_info();
        Self {
            batches: new.batches(),
            verdicts: new.verdicts(known.batched),
            enqueued: new.enqueued(known.enqueued),
            enqueue_seconds: new.histogram(
                "pgdial_enqueue_seconds",
                "From a request for one call to its answer, which is durable.",
                &SHORT,
            ),
            events: new.events(known.events),
            rejections: new.rejections(),
            reported: new.counters(
                "pgdial_reported_outcomes_total",
                "Ends of attempts that webhooks reported and that counted, by outcome.",
                &["trunk", "outcome"],
            ),
            webhook_seconds: new.histogram(
                "pgdial_webhook_seconds",
                "From a believed webhook's last byte to the commit of what it says.",
                &SHORT,
            ),
            responses: new.words(
                "pgdial_http_responses_total",
                "HTTP answers by class of status.",
                "class",
                &["2xx", "3xx", "4xx", "5xx"],
            ),
            keys_refused: new.words(
                "pgdial_http_key_refusals_total",
                "Requests refused for want of a key that may do it, by reason.",
                "reason",
                &KEY_REFUSALS,
            ),
            claims: new.words(
                "pgdial_claim_total",
                "Claims by what they brought; gate_timeout: others kept the gate for 2 s.",
                "result",
                &["calls", "none", "gate_timeout", "error"],
            ),
            claimed: new.counter("pgdial_claim_calls_total", "Calls that this process has claimed."),
            claim_seconds: new.histogram(
                "pgdial_claim_seconds",
                "How long a claim took, its wait at the gate included.",
                &SHORT,
            ),
            pickup_seconds: new.histogram(
                "pgdial_pickup_seconds",
                "From the moment that a call was due to its claim, on the database's clock.",
                &LONG,
            ),
            refill_seconds: new.histogram(
                "pgdial_refill_seconds",
                "From the first hint of work (a call enqueued, a slot or a number free) to the start of the dials that it led to.",
                &SHORT,
            ),
            permits: new.gauge("pgdial_permits", "Dials that this process may make at once."),
            permits_used: new.gauge(
                "pgdial_permits_used",
                "Permits held by dials that are under way or being recorded.",
            ),
            dials: new.counters(
                "pgdial_dial_total",
                "Dials by what the provider's answer means.",
                &["trunk", "result"],
            ),
            dial_seconds: new.histograms(
                "pgdial_dial_seconds",
                "From the request of a dial to the provider's answer.",
                "trunk",
                &DIAL,
            ),
            retries: new.counters(
                "pgdial_dial_retries_total",
                "Dials that were a second or later attempt.",
                &["trunk"],
            ),
            repeats: new.counters(
                "pgdial_repeat_total",
                "Dial requests sent once more with the same key, by result.",
                &["trunk", "result"],
            ),
            records: new.words(
                "pgdial_record_troubles_total",
                "Results of dials that the database did not take at once (again), or never (lost).",
                "trouble",
                &["again", "lost"],
            ),
            sweeps: new.words("pgdial_sweep_total", "Sweeps.", "result", &["done", "error"]),
            swept: new.swept(),
            sweep_seconds: new.histogram("pgdial_sweep_seconds", "How long a sweep took.", &SHORT),
            look_ups: new.words(
                "pgdial_look_up_total",
                "Questions to providers about dials that nobody explained, by what came of them.",
                "verdict",
                &[known.look_ups, &["inconclusive", "unsupported", "error"]].concat(),
            ),
            deliveries: new.words(
                "pgdial_deliveries_total",
                "Attempts to deliver an event to an endpoint; given_up: it was the last.",
                "result",
                crate::flow::delivered::Delivered::VARIANTS,
            ),
            delivery_seconds: new.histogram(
                "pgdial_delivery_seconds",
                "From the start of an attempt to deliver to its response, or its failure.",
                &DIAL,
            ),
            listening: new.gauge("pgdial_listening", "1 while a connection of this process listens; else a worker polls each second."),
            listens: new.counter(
                "pgdial_listener_connects_total",
                "How often the listener has connected: one more for each time that it was cut off.",
            ),
            heard: new.counter("pgdial_notifications_heard_total", "Wakes of other processes that were heard."),
            notifies: new.words(
                "pgdial_notifications_sent_total",
                "Wakes sent to other processes.",
                "result",
                &["sent", "error"],
            ),
            pool_wait_seconds: new.histogram(
                "pgdial_pool_wait_seconds",
                "How long claims and batches waited for a connection.",
                &SHORT,
            ),
            registry: new.0,
        }
    }

    /// Measures of one verb's batcher; `None` for a verb without one.
    pub(crate) fn batches(&self, verb: &'static str) -> Option<Batches> {
        self.batches.get(verb).cloned()
    }

    /// Counts one verdict of a verb.
    pub(crate) fn verdict(&self, verb: &'static str, word: &str) {
        if let Some(words) = self.verdicts.get(verb) {
            words.add(word);
        }
    }

    /// Counts a request that was refused for want of a key.
    pub(crate) fn key_refused(&self, reason: &str) {
        self.keys_refused.add(reason);
    }

    /// Creates the counters of a trunk this process can dial, so that they are exported as 0 from the start.
    pub(crate) fn know_trunk(&self, trunk: &str) {
        for result in Placement::VARIANTS.iter().chain(Refusal::VARIANTS) {
            self.dials.with_label_values(&[trunk, *result]);
            self.repeats.with_label_values(&[trunk, *result]);
        }
        self.dial_seconds.with_label_values(&[trunk]);
        self.retries.with_label_values(&[trunk]);
    }

    /// Counts and times one dial.
    pub(crate) fn dialed(&self, trunk: &str, result: &str, took: Duration) {
        self.dials.with_label_values(&[trunk, result]).inc();
        let seconds = self.dial_seconds.with_label_values(&[trunk]);
        seconds.observe(took.as_secs_f64());
    }

    /// Everything counted so far.
    pub(crate) fn families(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}

/// A permit in use; dropping it lowers the gauge.
#[derive(Debug)]
pub(crate) struct Used(IntGauge);

impl Used {
    pub(crate) fn of(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Creates families and registers them.
struct Maker(Registry);

/// Bad or duplicate names are impossible: ours are constants.
#[expect(
    clippy::expect_used,
    reason = "every family is made whenever one is, so any test finds a bad name"
)]
fn made<T>(family: prometheus::Result<T>) -> T {
    family.expect("the names of the metrics are right")
}

impl Maker {
    fn enter<C: Collector + Clone + 'static>(&self, family: C) -> C {
        made(self.0.register(Box::new(family.clone())));
        family
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.enter(made(IntCounter::new(name, help)))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.enter(made(IntGauge::new(name, help)))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.enter(made(IntCounterVec::new(Opts::new(name, help), labels)))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.enter(made(Histogram::with_opts(options)))
    }

    fn histograms(&self, name: &str, help: &str, label: &str, buckets: &[f64]) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.enter(made(HistogramVec::new(options, &[label])))
    }

    /// Every word is exported as 0 from the start: an alert on one that never occurred would find no series.
    fn words(&self, name: &str, help: &str, label: &str, words: &[&'static str]) -> Words {
        let family = self.counters(name, help, &[label]);
        let of = |word: &&'static str| (*word, family.with_label_values(&[*word]));
        Words(words.iter().map(of).collect())
    }

    fn build_info(&self) {
        let labels = ["release", "migration"];
        let help = "1; this process's release, and the last migration that it knows.";
        let options = Opts::new("pgdial_build_info", help);
        let family = self.enter(made(prometheus::IntGaugeVec::new(options, &labels)));
        let migration = crate::db::MIGRATION.to_string();
        let values = [env!("CARGO_PKG_VERSION"), migration.as_str()];
        family.with_label_values(&values).set(1);
    }

    fn batches(&self) -> BTreeMap<&'static str, Batches> {
        let seconds = self.histograms(
            "pgdial_statement_seconds",
            "How long the statement of a verb took that gathers what many tasks write.",
            "verb",
            &SHORT,
        );
        let items = self.histograms(
            "pgdial_batch_items",
            "Items in one such statement.",
            "verb",
            &SIZES,
        );
        let errors = self.counters(
            "pgdial_statement_errors_total",
            "Such statements that failed.",
            &["verb"],
        );
        let of = |verb: &'static str| Batches {
            seconds: seconds.with_label_values(&[verb]),
            items: items.with_label_values(&[verb]),
            errors: errors.with_label_values(&[verb]),
        };
        BATCHED.into_iter().map(|verb| (verb, of(verb))).collect()
    }

    fn verdicts(
        &self,
        batched: &[(&'static str, &'static [&'static str])],
    ) -> BTreeMap<&'static str, Words> {
        let family = self.counters(
            "pgdial_verdicts_total",
            "What became of the results of dials; stale: the call had moved on, nothing was applied.",
            &["verb", "verdict"],
        );
        let of = |verb: &'static str, words: &[&'static str]| {
            let word = |word: &&'static str| (*word, family.with_label_values(&[verb, *word]));
            Words(words.iter().map(word).collect())
        };
        batched
            .iter()
            .map(|(verb, words)| (*verb, of(verb, words)))
            .collect()
    }

    fn swept(&self) -> IntCounterVec {
        let help = "Rows that sweeps have moved, by kind; unknown: deadlines over without a word.";
        let family = self.counters("pgdial_swept_total", help, &["kind"]);
        for kind in [
            "unresolved",
            "not_placed",
            "unknown",
            "expired",
            "suppressed",
            "placed",
            "guarded",
            "unmatched",
            "parked_applied",
            "removed",
        ] {
            family.with_label_values(&[kind]).reset();
        }
        family
    }

    fn enqueued(&self, words: &[&'static str]) -> Words {
        self.words(
            "pgdial_enqueue_total",
            "Requests of the HTTP API to enqueue a call.",
            "verdict",
            words,
        )
    }

    fn events(&self, words: &[&'static str]) -> Words {
        let kept = words.iter().copied();
        let kept: Vec<_> = kept.filter(|word| !REJECTIONS.contains(word)).collect();
        self.words(
            "pgdial_webhook_events_total",
            "Webhook events kept, by what became of them.",
            "verdict",
            &kept,
        )
    }

    fn rejections(&self) -> Words {
        self.words(
            "pgdial_webhook_rejections_total",
            "Webhooks not believed, and so not kept.",
            "reason",
            &REJECTIONS,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::VERDICTS;

    #[test]
    fn names_are_as_prometheus_wants_them() {
        let metrics = Metrics::new(&VERDICTS);
        metrics.dialed("default", "placed", Duration::from_millis(3));
        for family in metrics.families() {
            let name = family.name();
            assert!(name.starts_with("pgdial_"), "{name}");
            let is_counter = family.get_field_type() == prometheus::proto::MetricType::COUNTER;
            assert_eq!(is_counter, name.ends_with("_total"), "{name}");
            for unit in ["_ms", "_millis", "_minutes", "_count", "_sum", "_bucket"] {
                assert!(!name.ends_with(unit), "{name}");
            }
            assert!(family.help().ends_with('.'), "{name}: {}", family.help());
        }
    }

    #[test]
    fn a_word_counts_and_a_strange_one_changes_nothing() {
        let metrics = Metrics::new(&VERDICTS);
        metrics.verdict("settle", "stale");
        metrics.verdict("settle", "no such word");
        metrics.verdict("no such verb", "stale");
        let text = crate::http::metrics::text(&metrics.families());
        let counted = |line: &str| text.lines().any(|l| l == line);
        assert!(counted(
            "pgdial_verdicts_total{verb=\"settle\",verdict=\"stale\"} 1"
        ));
        assert!(counted(
            "pgdial_verdicts_total{verb=\"doubt\",verdict=\"stale\"} 0"
        ));
        assert!(!text.contains("no such"));
    }
}
