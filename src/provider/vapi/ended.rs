//! Vapi's end reasons: the outcome, and whether the call had been answered.
//!
//! Vapi keeps adding reasons, so most are read by their prefix; those named here differ from their prefix.

use crate::domain::{Outcome, Report};

/// What a reason implies about an answer. A wrong yes costs a retry; a wrong no rings the callee a second
/// time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    /// Answered, or it cannot be excluded that a callee heard silence.
    Yes,
    /// Answered if the call has a start time.
    IfStarted,
    /// Not answered. A start time proves nothing: it may be that of the dial, which is undocumented.
    No,
}

/// Report of a call that ended for this reason. `started`: the call has a start time.
pub(super) fn report(reason: &str, started: bool) -> Report {
    let (outcome, answered) = read(reason);
    let answered = match answered {
        Answered::Yes => true,
        Answered::IfStarted => started,
        Answered::No => false,
    };
    let outcome = match outcome {
        Outcome::Account | Outcome::Capacity | Outcome::Unknown if answered => Outcome::Answered,
        outcome => outcome,
    };
    let report = Report::ended(outcome);
    Report {
        answered: answered || report.answered,
        ..report
    }
}

/// Outcome of a call that ended before any telephone call began; none if one may have begun.
pub(super) fn before_the_call(reason: &str) -> Option<Outcome> {
    reason.starts_with("call.start.").then(|| read(reason).0)
}

fn read(reason: &str) -> (Outcome, Answered) {
    match reason {
        "assistant-ended-call"
        | "assistant-ended-call-after-message-spoken"
        | "assistant-ended-call-with-hangup-task"
        | "assistant-forwarded-call"
        | "assistant-said-end-call-phrase"
        | "call.in-progress.error-transfer-failed"
        | "call.in-progress.error-warm-transfer-assistant-cancelled"
        | "call.in-progress.error-warm-transfer-max-duration"
        | "call.in-progress.error-warm-transfer-microphone-timeout"
        | "call.in-progress.error-warm-transfer-silence-timeout"
        | "call.in-progress.sip-completed-call"
        | "call.in-progress.twilio-completed-call"
        | "customer-ended-call"
        | "customer-ended-call-after-warm-transfer-attempt"
        | "customer-ended-call-before-warm-transfer"
        | "customer-ended-call-during-transfer"
        | "exceeded-max-duration"
        | "silence-timed-out"
        | "vonage-completed" => (Outcome::Answered, Answered::Yes),
        "voicemail" => (Outcome::Voicemail, Answered::Yes),
        "customer-busy" => (Outcome::Busy, Answered::No),
        "customer-did-not-answer" => (Outcome::NoAnswer, Answered::No),
        "call.in-progress.error-providerfault-outbound-sip-408-request-timeout"
        | "call.in-progress.error-providerfault-outbound-sip-480-temporarily-unavailable" => {
            (Outcome::NoAnswer, Answered::IfStarted)
        }
        "vonage-rejected" => (Outcome::Declined, Answered::No),
        "sip-outbound-unallocated-number" | "twilio-reported-customer-misdialed" => {
            (Outcome::InvalidNumber, Answered::No)
        }
        "call.in-progress.error-sip-outbound-call-failed-to-connect"
        | "twilio-failed-to-connect-call"
        | "vonage-failed-to-connect-call" => (Outcome::Unreachable, Answered::No),
        "sip-outbound-carrier-released-call" => (Outcome::Unreachable, Answered::IfStarted),
        "assistant-not-found"
        | "assistant-not-valid"
        | "call-start-error-neither-assistant-nor-server-set"
        | "call.in-progress.error-providerfault-outbound-sip-403-forbidden"
        | "call.start.assistant-version-error-validation"
        | "call.start.error-get-assistant"
        | "call.start.error-get-customer"
        | "call.start.error-get-resources-validation"
        | "call.start.error-vapi-number-international"
        | "call.start.squad-version-error-validation" => (Outcome::Blocked, Answered::IfStarted),
        "call.start.error-subscription-concurrency-limit-reached"
        | "call.start.error-vapi-number-outbound-daily-limit" => {
            (Outcome::Capacity, Answered::IfStarted)
        }
        "call.in-progress.error-providerfault-outbound-sip-407-proxy-authentication-required"
        | "call.start.error-enterprise-feature-not-available-recording-consent"
        | "call.start.error-fraud-check-failed"
        | "call.start.error-get-phone-number"
        | "call.start.error-get-transport"
        | "call.start.error-subscription-frozen"
        | "call.start.error-subscription-insufficient-credits"
        | "call.start.error-subscription-upgrade-failed"
        | "call.start.error-subscription-wallet-does-not-exist" => {
            (Outcome::Account, Answered::IfStarted)
        }
        "manually-canceled" | "scheduled-call-deleted" => (Outcome::Canceled, Answered::IfStarted),
        // Before anything rang.
        "assistant-request-failed"
        | "assistant-request-returned-error"
        | "assistant-request-returned-forwarding-phone-number"
        | "assistant-request-returned-invalid-assistant"
        | "assistant-request-returned-no-assistant"
        | "assistant-request-returned-unspeakable-error"
        | "call.in-progress.error-providerfault-outbound-sip-503-service-unavailable"
        | "call.in-progress.error-providerfault-transport-never-connected"
        | "call.in-progress.error-vapifault-transport-never-connected"
        | "call.in-progress.error-vapifault-worker-not-available" => {
            (Outcome::ProviderFault, Answered::IfStarted)
        }
        "assistant-error"
        | "assistant-join-timed-out"
        | "phone-call-provider-closed-websocket"
        | "vonage-disconnected"
        | "worker-shutdown" => (Outcome::ProviderFault, Answered::Yes),
        // Only for inbound calls.
        "call.in-progress.error-sip-inbound-call-failed-to-connect" => {
            (Outcome::Unknown, Answered::IfStarted)
        }
        other => by_beginning(other),
    }
}

fn by_beginning(reason: &str) -> (Outcome, Answered) {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| reason.starts_with(prefix));
    if begins(&["call.forwarding.", "call.ending."]) {
        (Outcome::Answered, Answered::Yes)
    } else if begins(&["call.in-progress.error-", "pipeline-"]) {
        // A model, voice or transcriber failed while the callee listened.
        (Outcome::ProviderFault, Answered::Yes)
    } else if begins(&["call.start."]) {
        (Outcome::ProviderFault, Answered::IfStarted)
    } else {
        (Outcome::Unknown, Answered::IfStarted)
    }
}
