//! One call with its history, for people; JSON passes through unchanged.

use crate::{
    cli::{
        Exit, Failure, Out,
        out::{instant, or_empty, text},
    },
    flow::view::{Attempt, Call, CallEvent, Detail},
};

/// Prints the object of `GET /calls/{id}`.
pub(super) fn show(call: &Call, out: &mut Out) -> Result<Exit, Failure> {
    if out.style.json {
        out.json(call)?;
        return Ok(Exit::Ok);
    }
    facts(call, out)?;
    if !call.attempts.is_empty() {
        out.line("")?;
        let header = [
            "attempt",
            "claim",
            "to",
            "trunk",
            "from",
            "claimed",
            "in call",
            "ended",
            "as",
            "outcome",
            "disposition",
            "why",
        ];
        out.table(
            &header,
            call.attempts.iter().map(|one| attempt(one, out)).collect(),
        )?;
    }
    if !call.events.is_empty() {
        out.line("")?;
        let header = ["at", "event", "claim", "detail"];
        out.table(
            &header,
            call.events.iter().map(|one| event(one, out)).collect(),
        )?;
    }
    Ok(Exit::Ok)
}

fn facts(call: &Call, out: &mut Out) -> Result<(), Failure> {
    let time = |at: Option<_>| or_empty(at.map(instant));
    let canceled = call.cancel_requested_by.as_ref().map(|by| {
        let at = time(call.cancel_requested_at);
        format!(
            "{at} by {by} {}",
            or_empty(call.cancel_requested_why.as_ref())
        )
    });
    let from = call.from.as_deref();
    let pairs = vec![
        ("call", call.id.to_string()),
        ("to", out.phone(&call.to)),
        (
            "numbers",
            or_empty(call.numbers.as_ref().map(|numbers| out.phones(numbers))),
        ),
        ("from", or_empty(from.map(|from| out.phone(from)))),
        ("state", call.state.as_str().to_owned()),
        ("outcome", or_empty(call.outcome)),
        ("disposition", or_empty(call.disposition.as_ref())),
        ("last error", or_empty(call.last_error.as_ref())),
        (
            "attempt",
            format!("{} of {}", call.attempt, call.max_attempts),
        ),
        ("campaign", call.campaign.clone()),
        ("priority", call.priority.to_string()),
        ("script", call.script_id.clone()),
        ("metadata", text(&call.metadata.clone().into())),
        ("run at", instant(call.run_at)),
        ("expires at", time(call.expires_at)),
        ("trunk", or_empty(call.trunk.as_ref())),
        ("provider's id", or_empty(call.provider_call_id.as_ref())),
        ("lease until", time(call.lease_until)),
        ("deadline", time(call.deadline_at)),
        ("held until", time(call.hold_until)),
        ("cancel asked", or_empty(canceled)),
        ("owner", call.owner.clone()),
        ("idempotency key", or_empty(call.idempotency_key.as_ref())),
        ("created", instant(call.created_at)),
        ("started", time(call.started_at)),
        ("answered", time(call.answered_at)),
        ("ended", time(call.ended_at)),
        ("callback of", or_empty(call.callback_of)),
        ("consent", time(call.consent_at)),
        ("consent recorded", or_empty(call.consent_ref.as_ref())),
        ("consent until", time(call.consent_expires_at)),
        ("result", or_empty(call.result.as_ref().map(text))),
    ];
    out.pairs(pairs)
}

fn attempt(attempt: &Attempt, out: &Out) -> Vec<String> {
    let time = |at: Option<_>| or_empty(at.map(instant));
    vec![
        attempt.attempt.to_string(),
        attempt.claim_no.to_string(),
        out.phone(&attempt.to),
        or_empty(attempt.trunk.as_ref()),
        or_empty(attempt.caller_id.as_deref().map(|from| out.phone(from))),
        time(attempt.claimed_at),
        time(attempt.in_call_at),
        time(attempt.ended_at),
        or_empty(attempt.ended_as.as_ref()),
        or_empty(attempt.outcome.as_ref()),
        or_empty(attempt.disposition.as_ref()),
        or_empty(attempt.why.as_ref()),
    ]
}

fn event(event: &CallEvent, out: &Out) -> Vec<String> {
    vec![
        instant(event.at),
        event.kind.clone(),
        event.claim_no.to_string(),
        in_words(&event.detail, out),
    ]
}

/// Renders `{"by": "api", "why": null}` as `by=api`.
fn in_words(detail: &Detail, out: &Out) -> String {
    let told = detail.0.iter().filter(|(_, value)| !value.is_null());
    told.map(|(name, value)| match value.as_str() {
        Some(number) if name == "caller_id" => format!("{name}={}", out.phone(number)),
        _ => format!("{name}={}", text(value)),
    })
    .collect::<Vec<_>>()
    .join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::{out::Style, testing::Captured};

    #[test]
    fn a_call_is_shown_with_its_attempts_and_events_and_its_number_masked() {
        let mut captured = Captured::new(Style::default());
        let at = "2026-01-02T03:04:05Z";
        let call = json!({
            "id": "0197f5e0-0000-7000-8000-000000000001", "to": "+14155550100",
            "numbers": ["+14155550100", "+14155550101"], "scriptId": "welcome", "metadata": {}, "campaign": "default", "priority": 0, "state": "completed", "runAt": at,
            "attempt": 1, "maxAttempts": 3, "deferrals": 0, "claimNo": 1, "outcome": "answered",
            "owner": "crm", "createdAt": at,
            "attempts": [{"attempt": 1, "claimNo": 1, "to": "+14155550101", "trunk": "default", "outcome": "answered"}],
            "events": [{"seq": 1, "at": at, "kind": "waiting", "claimNo": 0, "attempt": 0, "detail": {"by": "crm", "why": null}}],
        });
        let call = serde_json::from_value(call).unwrap();
        assert_eq!(show(&call, &mut captured.out).unwrap(), Exit::Ok);
        let data = captured.data();
        assert!(
            data.contains("+141******00")
                && data.contains("+141******01")
                && !data.contains("+1415555"),
            "{data}"
        );
        assert!(data.contains("1 of 3") && data.contains("by=crm"), "{data}");
        assert!(!data.contains("last error"), "{data}");
    }
}
