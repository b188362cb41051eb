//! One call with its history, for people.

use serde_json::Value;

use crate::cli::{
    Exit, Failure, Out,
    out::{instant, text},
};

/// Shows the object of `GET /calls/{id}`.
pub(super) fn show(call: &Value, out: &mut Out) -> Result<Exit, Failure> {
    if out.style.json {
        out.json(call)?;
        return Ok(Exit::Ok);
    }
    facts(call, out)?;
    let attempts: Vec<_> = rows(&call["attempts"]).map(attempt).collect();
    if !attempts.is_empty() {
        out.line("")?;
        let header = [
            "attempt", "claim", "trunk", "claimed", "in call", "ended", "as", "outcome", "why",
        ];
        out.table(&header, attempts)?;
    }
    let events: Vec<_> = rows(&call["events"]).map(event).collect();
    if !events.is_empty() {
        out.line("")?;
        out.table(&["at", "event", "claim", "detail"], events)?;
    }
    Ok(Exit::Ok)
}

fn facts(call: &Value, out: &mut Out) -> Result<(), Failure> {
    let plain = |name: &str| text(&call[name]);
    let time = |name: &str| instant(&call[name]);
    let canceled = match plain("cancelRequestedBy") {
        by if by.is_empty() => by,
        by => format!(
            "{} by {by} {}",
            time("cancelRequestedAt"),
            plain("cancelRequestedWhy")
        ),
    };
    let pairs = vec![
        ("call", plain("id")),
        ("to", out.phone(&call["to"])),
        ("from", out.phone(&call["from"])),
        ("state", plain("state")),
        ("outcome", plain("outcome")),
        ("last error", plain("lastError")),
        (
            "attempt",
            format!("{} of {}", plain("attempt"), plain("maxAttempts")),
        ),
        ("campaign", plain("campaign")),
        ("priority", plain("priority")),
        ("script", plain("scriptId")),
        ("metadata", plain("metadata")),
        ("run at", time("runAt")),
        ("expires at", time("expiresAt")),
        ("trunk", plain("trunk")),
        ("provider's id", plain("providerCallId")),
        ("lease until", time("leaseUntil")),
        ("deadline", time("deadlineAt")),
        ("held until", time("holdUntil")),
        ("cancel asked", canceled),
        ("owner", plain("owner")),
        ("idempotency key", plain("idempotencyKey")),
        ("created", time("createdAt")),
        ("started", time("startedAt")),
        ("answered", time("answeredAt")),
        ("ended", time("endedAt")),
        ("result", plain("result")),
    ];
    out.pairs(pairs)
}

fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn attempt(attempt: &Value) -> Vec<String> {
    vec![
        text(&attempt["attempt"]),
        text(&attempt["claimNo"]),
        text(&attempt["trunk"]),
        instant(&attempt["claimedAt"]),
        instant(&attempt["inCallAt"]),
        instant(&attempt["endedAt"]),
        text(&attempt["endedAs"]),
        text(&attempt["outcome"]),
        text(&attempt["why"]),
    ]
}

fn event(event: &Value) -> Vec<String> {
    vec![
        instant(&event["at"]),
        text(&event["kind"]),
        text(&event["claimNo"]),
        in_words(&event["detail"]),
    ]
}

/// `{"by": "api", "why": null}` -> `by=api`.
fn in_words(detail: &Value) -> String {
    let fields = detail.as_object().into_iter().flatten();
    let told = fields.filter(|(_, value)| !value.is_null());
    told.map(|(name, value)| format!("{name}={}", text(value)))
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
        let call = json!({
            "id": "0197f5e0-0000-7000-8000-000000000001", "to": "+14155550100", "state": "completed",
            "attempt": 1, "maxAttempts": 3, "outcome": "answered", "lastError": null,
            "attempts": [{"attempt": 1, "claimNo": 1, "trunk": "default", "outcome": "answered"}],
            "events": [{"at": "2026-01-02T03:04:05Z", "kind": "waiting", "claimNo": 0, "detail": {"by": "crm", "why": null}}],
        });
        assert_eq!(show(&call, &mut captured.out).unwrap(), Exit::Ok);
        let data = captured.data();
        assert!(
            data.contains("+141******00") && !data.contains("+14155550100"),
            "{data}"
        );
        assert!(data.contains("1 of 3") && data.contains("by=crm"), "{data}");
        assert!(!data.contains("last error"), "{data}");
    }
}
