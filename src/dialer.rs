//! One dial: ask the provider once, and record the result.
//!
//! The claim has committed claim number, lease and deadline before this begins. The dial request is sent once
//! (P1), and again only by [`Dialer::repeat`], with its key. Recording the result is repeated until the
//! database takes it, because every verb restates its guard and a repetition finds nothing left to do.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{ClaimedCall, Concerns, Outcome, Placement, Reference, Refusal},
    flow::{
        Error, Queue,
        defer::{DeferReason, Deferred},
        settle::Settled,
    },
    provider::{Deadline, Order, Stopwatch, tag},
    telemetry::trace::Span,
    trunks::{Trunk, Trunks},
};

/// How long recording a result is retried. After that the sweep has taken over the row, and the webhook or
/// the deadline ends the call.
const RECORD_FOR: Duration = Duration::from_mins(2);

/// Dials claimed calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dialer {
    calls: Queue,
    trunks: Trunks,
    public_url: Arc<str>,
    stop: CancellationToken,
}

impl Dialer {
    /// `public_url` is where providers reach us; once `stop` is cancelled, calls that were not dialed yet are
    /// put back.
    pub fn new(calls: Queue, trunks: Trunks, public_url: &str, stop: CancellationToken) -> Self {
        for trunk in trunks.names() {
            calls.metrics().know_trunk(&trunk);
        }
        Self {
            calls,
            trunks,
            public_url: public_url.into(),
            stop,
        }
    }

    /// Dials one claimed call. `claimed_at` was started before its claim was sent. Returns false if the
    /// result was never recorded; the call must not be put back then.
    pub async fn dial(&self, mut call: ClaimedCall, claimed_at: Stopwatch) -> bool {
        let reference = call.reference();
        let placement = match self.trunks.get(&call.trunk) {
            // A claim names only trunks that we know; if one is missing all the same, nothing rings.
            None => Dial::Handed(DeferReason::Shutdown, "this worker does not know the trunk"),
            Some(_) if self.stop.is_cancelled() => {
                Dial::Handed(DeferReason::Shutdown, "the worker is stopping")
            }
            Some(trunk) => {
                let deadline = Deadline::of_claim(claimed_at, lease_of(&call));
                let sent = Stopwatch::start();
                let mut span = span_of("dial", &call);
                call.traceparent = span.traceparent().or(call.traceparent.take());
                let placement = self.place(trunk, &call, deadline).await;
                span.add(&[("result", &word(&placement))]);
                self.count(&call, &placement, sent);
                Dial::Sent(placement)
            }
        };
        match placement {
            Dial::Handed(reason, why) => {
                self.put_back(reference, claimed_at, reason, None, why)
                    .await
            }
            Dial::Sent(placement) => {
                tracing::debug!(call.id = %reference.call, call.claim_no = reference.claim_no,
                    dial.reference = %reference, call.attempt = call.attempt, trunk = call.trunk,
                    campaign = call.campaign, traceparent = call.traceparent.as_deref(),
                    ?placement, "dialled");
                self.record_placement(&call, claimed_at, placement).await
            }
        }
    }

    /// Sends the request of a dial in doubt again, with the same key.
    ///
    /// Only on a trunk that declares that its provider then rings once. `booked_at` was started before the
    /// database was asked for the dial. Only "placed" is believed: a refusal may concern this request alone,
    /// and the first one may ring.
    pub async fn repeat(&self, call: ClaimedCall, booked_at: Stopwatch) {
        let dial = call.reference();
        let Some(trunk) = self.trunks.get(&call.trunk) else {
            return;
        };
        let deadline = Deadline::of_repeat(booked_at, lease_of(&call));
        let placement = self.place(trunk, &call, deadline).await;
        let labels = [&*call.trunk, word(&placement)];
        self.calls
            .metrics()
            .repeats
            .with_label_values(&labels)
            .inc();
        tracing::info!(call.id = %dial.call, call.claim_no = dial.claim_no, ?placement, "sent again with the same key");
        match placement {
            Placement::Placed { .. } => {
                self.record_placement(&call, booked_at, placement).await;
            }
            Placement::Refused(Refusal::Capacity {
                retry_after_sec,
                why,
            }) => {
                let held = self.calls.hold_off(dial, retry_after_sec, &why).await;
                if let Err(error) = held {
                    tracing::warn!(
                        trunk = call.trunk,
                        error = &error as &dyn std::error::Error,
                        "the provider asks to wait; that could not be recorded"
                    );
                }
            }
            // Proves nothing: the call stays in doubt until its webhook, a look-up, another repetition or its
            // deadline ends that.
            Placement::Refused(_) | Placement::Late | Placement::Unknown { .. } => {}
        }
    }

    /// Asks the provider, and waits no longer than the lease holds, whatever its adapter does (P1).
    async fn place(&self, trunk: &Trunk, call: &ClaimedCall, deadline: Deadline) -> Placement {
        if deadline.is_over() {
            return Placement::Late;
        }
        let webhook_url = tag::webhook_url(
            &self.public_url,
            &trunk.name,
            call.reference(),
            &trunk.secrets,
        );
        #[cfg(feature = "crash-points")]
        crate::crash::point("claimed");
        let placing = trunk.provider.place(Order {
            call,
            webhook_url,
            deadline,
        });
        let placement = timeout(deadline.left(), placing)
            .await
            .unwrap_or_else(|_elapsed| Placement::Unknown {
                why: "no answer within the lease of the dial".to_owned(),
            });
        #[cfg(feature = "crash-points")]
        crate::crash::point("dialed");
        placement
    }

    fn count(&self, call: &ClaimedCall, placement: &Placement, sent: Stopwatch) {
        let metrics = self.calls.metrics();
        metrics.dialed(&call.trunk, word(placement), sent.elapsed());
        if call.attempt > 1 {
            metrics.retries.with_label_values(&[&call.trunk]).inc();
        }
    }

    /// Returns true once the database has recorded it.
    async fn record_placement(
        &self,
        call: &ClaimedCall,
        claimed_at: Stopwatch,
        placement: Placement,
    ) -> bool {
        let dial = call.reference();
        let _until_recorded = span_of(verb(&placement), call);
        match placement {
            Placement::Placed { provider_call_id } => {
                let dialed = self
                    .record(dial, claimed_at, || {
                        self.calls.dialed(dial, &provider_call_id)
                    })
                    .await;
                if dialed.is_some_and(|dialed| dialed.conflict) {
                    tracing::error!(call.id = %dial.call, call.claim_no = dial.claim_no, provider.call_id = provider_call_id,
                        "the provider answered with another id than its webhook had named");
                }
                Self::say_stale(dial, dialed.is_some_and(|dialed| !dialed.in_call));
                dialed.is_some()
            }
            Placement::Refused(Refusal::Permanent {
                outcome,
                concerns,
                why,
            }) => self.settle(dial, claimed_at, outcome, concerns, &why).await,
            Placement::Refused(Refusal::Transient { why }) => {
                self.settle(
                    dial,
                    claimed_at,
                    Outcome::ProviderFault,
                    Concerns::Request,
                    &why,
                )
                .await
            }
            Placement::Refused(Refusal::Capacity {
                retry_after_sec,
                why,
            }) => {
                self.put_back(
                    dial,
                    claimed_at,
                    DeferReason::Capacity,
                    retry_after_sec,
                    &why,
                )
                .await
            }
            Placement::Refused(Refusal::NumberLimit {
                retry_after_sec,
                why,
            }) => {
                let reason = DeferReason::NumberLimit;
                self.put_back(dial, claimed_at, reason, retry_after_sec, &why)
                    .await
            }
            Placement::Refused(Refusal::Forbidden { why }) => {
                tracing::warn!(call.id = %dial.call, call.claim_no = dial.claim_no, trunk = call.trunk, why,
                    "the provider does not allow this call, or the account");
                self.put_back(dial, claimed_at, DeferReason::Forbidden, None, &why)
                    .await
            }
            Placement::Refused(Refusal::Account { why }) => {
                tracing::error!(
                    call.id = %dial.call,
                    trunk = call.trunk,
                    why,
                    "the provider refuses the account; the trunk pauses itself"
                );
                self.put_back(dial, claimed_at, DeferReason::Account, None, &why)
                    .await
            }
            Placement::Late => {
                let why = "too late to dial within the lease";
                self.put_back(dial, claimed_at, DeferReason::Late, None, why)
                    .await
            }
            Placement::Unknown { why } => {
                tracing::warn!(call.id = %dial.call, call.claim_no = dial.claim_no, why, "nobody knows whether it rings");
                let doubted = self
                    .record(dial, claimed_at, || self.calls.doubt(dial, &why))
                    .await;
                Self::say_stale(dial, doubted == Some(false));
                doubted.is_some()
            }
        }
    }

    async fn settle(
        &self,
        dial: Reference,
        claimed_at: Stopwatch,
        outcome: Outcome,
        concerns: Concerns,
        why: &str,
    ) -> bool {
        let settled = self
            .record(dial, claimed_at, || {
                self.calls.settle_refusal(dial, outcome, concerns, why)
            })
            .await;
        Self::say_stale(dial, settled == Some(Settled::Stale));
        settled.is_some()
    }

    async fn put_back(
        &self,
        dial: Reference,
        claimed_at: Stopwatch,
        reason: DeferReason,
        retry_after_sec: Option<u32>,
        why: &str,
    ) -> bool {
        let deferred = self
            .record(dial, claimed_at, || {
                self.calls.defer(dial, reason, retry_after_sec, why)
            })
            .await;
        Self::say_stale(dial, deferred == Some(Deferred::Stale));
        deferred.is_some()
    }

    /// P6: the row had moved on, and nothing was applied. Occasionally expected; frequent if webhooks are
    /// much faster than responses, or leases run out.
    fn say_stale(dial: Reference, stale: bool) {
        if stale {
            tracing::debug!(call.id = %dial.call, call.claim_no = dial.claim_no, "stale: a webhook or the sweep was faster");
        }
    }

    /// Retries recording a result until the database takes it. `None` if it never did; the row's lease and
    /// deadline then end the attempt.
    async fn record<T, F>(
        &self,
        dial: Reference,
        claimed_at: Stopwatch,
        verb: impl Fn() -> F,
    ) -> Option<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut pause = Duration::from_millis(50);
        loop {
            match verb().await {
                Ok(verdict) => return Some(verdict),
                Err(error) if claimed_at.elapsed() < RECORD_FOR => {
                    self.calls.metrics().records.add("again");
                    tracing::warn!(call.id = %dial.call, call.claim_no = dial.claim_no,
                        error = &error as &dyn std::error::Error, "result not recorded yet; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
                Err(error) => {
                    self.calls.metrics().records.add("lost");
                    tracing::error!(call.id = %dial.call, call.claim_no = dial.claim_no,
                        error = &error as &dyn std::error::Error, "result never recorded; the sweep takes over");
                    return None;
                }
            }
        }
    }
}

fn lease_of(call: &ClaimedCall) -> Duration {
    Duration::from_secs(call.lease_sec.into())
}

/// Span of this call, as a child of its request's trace.
fn span_of(name: &'static str, call: &ClaimedCall) -> Span {
    Span::under(name, call.traceparent.as_deref()).with(&[
        ("call.id", &call.id),
        ("dial.reference", &call.reference()),
        ("call.attempt", &call.attempt),
        ("trunk", &call.trunk),
        ("campaign", &call.campaign),
    ])
}

/// Verb that records a placement.
const fn verb(placement: &Placement) -> &'static str {
    match placement {
        Placement::Placed { .. } => "dialed",
        Placement::Refused(Refusal::Permanent { .. } | Refusal::Transient { .. }) => "settle",
        Placement::Refused(
            Refusal::Capacity { .. }
            | Refusal::NumberLimit { .. }
            | Refusal::Forbidden { .. }
            | Refusal::Account { .. },
        )
        | Placement::Late => "defer",
        Placement::Unknown { .. } => "doubt",
    }
}

/// The placement as a metric label.
fn word(placement: &Placement) -> &'static str {
    match placement {
        Placement::Refused(refusal) => refusal.into(),
        other => other.into(),
    }
}

enum Dial {
    Handed(DeferReason, &'static str),
    Sent(Placement),
}
