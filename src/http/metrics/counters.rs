//! What this process did, since it started.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Exposition;

/// A counter for each of some words.
#[derive(Debug)]
pub(in crate::http) struct Family<const N: usize> {
    name: &'static str,
    label: &'static str,
    help: &'static str,
    counts: [(&'static str, AtomicU64); N],
}

impl<const N: usize> Family<N> {
    fn new(
        name: &'static str,
        label: &'static str,
        help: &'static str,
        words: [&'static str; N],
    ) -> Self {
        let counts = words.map(|word| (word, AtomicU64::new(0)));
        Self {
            name,
            label,
            help,
            counts,
        }
    }

    /// One more of this word.
    pub(in crate::http) fn add(&self, word: &str) {
        if let Some((_, count)) = self.counts.iter().find(|count| count.0 == word) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn write(&self, out: &mut Exposition) {
        out.family(self.name, "counter", self.help);
        for (word, count) in &self.counts {
            out.value(
                self.name,
                Some((self.label, word)),
                count.load(Ordering::Relaxed),
            );
        }
    }
}

/// What this process did.
#[derive(Debug)]
pub(in crate::http) struct Counters {
    pub(in crate::http) events: Family<8>,
    pub(in crate::http) rejections: Family<7>,
    pub(in crate::http) enqueued: Family<7>,
    pub(in crate::http) responses: Family<4>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            events: Family::new(
                "pgdial_webhook_events_total",
                "verdict",
                "Webhook events kept, by what became of them.",
                [
                    "applied",
                    "noted",
                    "stale",
                    "late_answer",
                    "mismatch",
                    "parked",
                    "unparsable",
                    "duplicate",
                ],
            ),
            rejections: Family::new(
                "pgdial_webhook_rejections_total",
                "reason",
                "Webhooks not believed, and so not kept.",
                [
                    "unknown_trunk",
                    "unsigned",
                    "malformed",
                    "signature",
                    "tag",
                    "too_old",
                    "unreadable",
                ],
            ),
            enqueued: Family::new(
                "pgdial_enqueue_total",
                "verdict",
                "Requests of the HTTP API to enqueue a call.",
                [
                    "new",
                    "duplicate",
                    "key_reused",
                    "key_locked",
                    "suppressed",
                    "unknown_campaign",
                    "invalid",
                ],
            ),
            responses: Family::new(
                "pgdial_http_responses_total",
                "class",
                "HTTP answers by class of status.",
                ["2xx", "3xx", "4xx", "5xx"],
            ),
        }
    }
}

impl Counters {
    pub(in crate::http) fn write(&self, out: &mut Exposition) {
        self.events.write(out);
        self.rejections.write(out);
        self.enqueued.write(out);
        self.responses.write(out);
    }
}
