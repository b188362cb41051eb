//! What has happened to a call: its attempts, and its events in order.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use serde_json::Value;

use super::{
    super::{
        frame::Frame,
        parts::{Tone, badge, instant, short, table, text, text_or_none, words},
    },
    json, number,
};
use crate::flow::view::{Attempt, Call, CallEvent};

/// What an event says elsewhere on its line, or only to programs.
const UNTOLD: [&str; 5] = ["outcome", "why", "eventClaimNo", "ended", "delayMs"];

/// A row for each claim.
pub(super) fn attempts(frame: &Frame, call: &Call) -> Markup {
    let rows: Vec<_> = call
        .attempts
        .iter()
        .map(|one| attempt(frame, one))
        .collect();
    table(
        "Attempts",
        &[
            "Attempt", "Number", "Trunk", "From", "Accepted", "Ended", "Outcome", "In words",
        ],
        &rows,
        "It has not been dialled.",
    )
}

fn attempt(frame: &Frame, one: &Attempt) -> Vec<Markup> {
    let after = |at: Option<DateTime<Utc>>| {
        let after = at.zip(one.claimed_at).map(|(at, from)| offset(at - from));
        html! { @if let Some(after) = after { span.nowrap { "after " (after) } } }
    };
    vec![
        html! { (one.attempt) " " span.soft { "claim " (one.claim_no) } },
        number(&one.to),
        html! { @if let Some(trunk) = &one.trunk { a href=(frame.to(&format!("trunks/{trunk}"))) { (text(trunk)) } } },
        html! { @if let Some(from) = &one.caller_id { (number(from)) } },
        after(one.in_call_at),
        after(one.ended_at),
        html! {
            @match (&one.outcome, &one.ended_as) {
                (Some(outcome), _) => { (badge(tone(outcome), &words(outcome))) },
                (None, Some(ended)) => { (badge(Tone::Calm, &words(ended))) },
                (None, None) => { (badge(Tone::Good, "in flight")) },
            }
            @if let Some(disposition) = &one.disposition { " " (words(disposition)) }
        },
        text_or_none(one.why.as_deref()),
    ]
}

/// Everything in order, each with its distance from the first.
pub(super) fn timeline(call: &Call) -> Markup {
    html! {
        ol.timeline {
            @for event in &call.events { (entry(event, call.created_at)) }
        }
    }
}

fn entry(event: &CallEvent, from: DateTime<Utc>) -> Markup {
    let outcome = event.detail.0.get("outcome").and_then(Value::as_str);
    let tone = outcome.map_or_else(|| tone(&event.kind), tone);
    let why = event.detail.0.get("why").and_then(Value::as_str);
    html! {
        li.(tone.as_str()) {
            time.soft datetime=(event.at.to_rfc3339()) title=(event.at.format("%Y-%m-%d %H:%M:%S%.3fZ")) {
                "+" (offset(event.at - from))
            }
            " " strong { (words(&event.kind)) }
            @if let Some(outcome) = outcome { " " (badge(tone, &words(outcome))) }
            @if let Some(why) = why { " " (text(why)) }
            div.soft.details {
                @for (name, value) in &event.detail.0 {
                    @if !UNTOLD.contains(&name.as_str()) { (field(event.seq, name, value)) }
                }
            }
        }
    }
}

fn field(seq: i64, name: &str, value: &Value) -> Markup {
    let name = spoken(name);
    match value {
        Value::Null => html! {},
        Value::Object(_) | Value::Array(_) => html! {
            details id={ "event-" (seq) "-" (name.replace(' ', "-")) } { summary { (name) } (json(value)) }
        },
        Value::String(said) => html! {
            span { (name) " " @match said.parse() { Ok(at) => { (instant(at)) } Err(_words) => { (text(said)) } } }
        },
        other => html! { span { (name) " " (other.to_string()) } },
    }
}

/// A distance; short ones with their tenths, in which dials differ.
fn offset(distance: TimeDelta) -> String {
    let ms = distance.num_milliseconds();
    if ms < 10_000 {
        let tenths = ms.max(0) / 100;
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    short(distance)
}

/// `ringTimeoutSec` and `ring_timeout_sec` are "ring timeout sec".
fn spoken(name: &str) -> String {
    let mut said = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            said.push(' ');
        }
        said.push(c.to_ascii_lowercase());
    }
    words(&said)
}

/// By the word of an outcome or of an event.
fn tone(word: &str) -> Tone {
    match word {
        "answered" | "completed" | "in_call" | "active" | "dialing" => Tone::Good,
        "failed" | "blocked" | "invalid_number" | "account" | "provider_fault" => Tone::Bad,
        "unresolved" | "unknown" | "overdue" | "held" | "late_answer" | "deferred" | "retried"
        | "capacity" | "unreachable" => Tone::Warn,
        _ => Tone::Calm,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_distances_have_tenths() {
        let said = [40, 9_950, 65_000].map(|ms| offset(TimeDelta::milliseconds(ms)));
        assert_eq!(said, ["0.0 s", "9.9 s", "1 min 05 s"]);
    }

    #[test]
    fn names_of_fields_are_said_as_words() {
        let said = ["runAt", "ring_timeout_sec", "why"].map(spoken);
        assert_eq!(said, ["run at", "ring timeout sec", "why"]);
    }
}
