//! The overview: is it dialling, and if not, why? Then the slots, the last hour, and what holds.

use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{
    super::problem::Problem,
    campaigns,
    chart::Columns,
    frame::Frame,
    groups,
    parts::{Tone, badge, count, figure, name, rows, section, short, table, text, time, words},
};
use crate::{
    domain::CallState,
    flow::{
        board::{Board, LiveCall},
        seat::{Dialling, Ends, FirstDue, Lately},
    },
};

/// Calls in flight that are listed.
const LISTED: usize = 40;
/// Campaigns that are listed: those with work first.
const BUSIEST: usize = 12;
/// Slots that are drawn one by one.
const DRAWN: i64 = 120;

/// `GET /ui/`
pub(in crate::http) async fn show(frame: Frame) -> Result<Response, Problem> {
    let (queue, kept) = (&frame.app.calls, &frame.app.kept);
    let (board, dialling, lately) =
        tokio::try_join!(kept.board(queue), kept.dialling(queue), kept.lately(queue))?;
    let verdict = verdict(&board, &dialling);
    let live: Vec<_> = board
        .live
        .iter()
        .take(LISTED)
        .map(|call| live_row(&frame, call, board.now))
        .collect();
    let more = usize::try_from(board.in_flight)
        .unwrap_or(usize::MAX)
        .saturating_sub(live.len());
    let calls = html! {
        (rows(4, "Calls in flight", LIVE_HEADS, &live, "Nothing is in flight."))
        @if more > 0 { p.soft { (more) " more" } }
    };
    let body = html! {
        (verdict.shown(&frame))
        (section("numbers", "Now", &html! { "at " (board.now.format("%H:%M:%SZ")) }, &numbers(&board, &dialling, &lately)))
        div.two {
            (section("hour", "The last hour", &html! {}, &hour(&lately)))
            (section("holds", "What holds", &html! {}, &holds(&frame, &dialling)))
        }
        (section("campaigns", "Campaigns", &html! { a href=(frame.to("campaigns")) { "All" } }, &campaigns::summary(&frame, (&board, &dialling, &lately), Some(BUSIEST))))
        (section("live", "Calls in flight", &html! { (count(board.in_flight)) }, &calls))
    };
    Ok(frame.page("Overview", &body))
}

/// The first line.
#[derive(Debug, PartialEq)]
struct Verdict {
    tone: Tone,
    title: String,
    /// Why, in the database's words, each with a call that waits for it.
    because: Vec<(String, Option<String>)>,
}

/// What a reason of `pgdial.why` says of a campaign, as far as an operator is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// Something is to be done about it.
    Held,
    /// It passes by itself, as somebody wanted it.
    Closed,
    /// It is about this call; others of the campaign may be dialled.
    Own,
    /// As much is dialled as may be.
    Full,
    /// Nothing keeps it.
    Open,
}

impl Weight {
    fn of(first: &FirstDue) -> Self {
        let why = first.reasons.first();
        why.map_or(Self::Open, |why| Self::of_reason(&why.reason))
    }

    fn of_reason(reason: &str) -> Self {
        match reason {
            "next" | "in_line" | "in_turn" => Self::Open,
            "trunk_full" | "campaign_full" | "pacing" | "no_permit" | "on_trial" => Self::Full,
            "outside_hours" | "holiday" | "campaign_not_started" | "campaign_over" => Self::Closed,
            "number_taken" | "twin" | "locked" | "cooldown" | "contact_limit" | "held_back"
            | "suspect" | "unclaimable" | "suppressed" | "expired" | "scheduled" | "retry_due" => {
                Self::Own
            }
            _ => Self::Held,
        }
    }
}

/// Whether anything is dialled. Every reason is one that `pgdial.why` gives for a call that is due.
fn verdict(board: &Board, dialling: &Dialling) -> Verdict {
    let used = format!(
        "{} of {} slots in use",
        count(board.in_flight),
        count(slots(board))
    );
    let mut waits: Vec<(Weight, &FirstDue)> = dialling
        .first
        .iter()
        .map(|first| (Weight::of(first), first))
        .collect();
    waits.sort_by_key(|(weight, _)| *weight);
    let Some(&(worst, first)) = waits.first() else {
        return idle(board, dialling, &used);
    };
    let dials = board.in_flight > 0 || waits.iter().any(|(weight, _)| *weight == Weight::Open);
    waits.retain(|(weight, _)| *weight < if dials { Weight::Own } else { Weight::Open });
    let because = because(&waits);
    if dials {
        let held = waits
            .iter()
            .filter(|(weight, _)| *weight == Weight::Held)
            .count();
        let title = match held {
            0 => format!("Dialling: {used}"),
            1 => format!("Dialling, but one campaign is held: {used}"),
            held => format!("Dialling, but {held} campaigns are held: {used}"),
        };
        let tone = if held == 0 { Tone::Good } else { Tone::Warn };
        return Verdict {
            tone,
            title,
            because,
        };
    }
    let reason = first.reasons.first().map_or("", |why| why.reason.as_str());
    let title = match reason {
        "no_worker" => "Not dialling: no worker is alive",
        reason if reason.ends_with("_paused") => "Not dialling: it is paused",
        "breaker" => "Not dialling: the provider fails",
        "cluster_changed" => "Not dialling: the database is not where it was",
        _ => match worst {
            Weight::Closed => "Not dialling: nothing may be dialled at this hour",
            Weight::Own => "Not dialling: the calls that are due wait for something of their own",
            Weight::Full => "Not dialling at this moment: as much as may be",
            Weight::Held | Weight::Open => "Not dialling, although calls are due",
        },
    };
    let tone = if worst == Weight::Held {
        Tone::Bad
    } else {
        Tone::Calm
    };
    Verdict {
        tone,
        title: title.to_owned(),
        because,
    }
}

/// Without a call that is due.
fn idle(board: &Board, dialling: &Dialling, used: &str) -> Verdict {
    let next = dialling
        .next_due_at
        .map(|at| format!("The next one is due in {}.", short(at - dialling.now)));
    let mut because: Vec<_> = next.into_iter().map(|words| (words, None)).collect();
    let (tone, title) = if dialling.workers == 0 {
        let words = "What falls due will wait: start `pgdial serve`, or `pgdial work` beside a running API.";
        because.push((words.to_owned(), None));
        (
            Tone::Bad,
            "Nothing is due, and no worker is alive".to_owned(),
        )
    } else if board.in_flight > 0 {
        (
            Tone::Good,
            format!("All that was due has been dialled: {used}"),
        )
    } else {
        (Tone::Calm, "Nothing to dial: no call is due".to_owned())
    };
    Verdict {
        tone,
        title,
        because,
    }
}

/// Slots of trunks that may dial.
fn slots(board: &Board) -> i64 {
    let open = board
        .trunks
        .iter()
        .filter(|trunk| !trunk.paused || trunk.in_flight > 0);
    open.map(|trunk| trunk.slots).sum()
}

/// Each reason once, with the first call that it keeps waiting.
fn because(waits: &[(Weight, &FirstDue)]) -> Vec<(String, Option<String>)> {
    let mut because: Vec<(String, Option<String>)> = Vec::new();
    for (_, first) in waits {
        let Some(why) = first.reasons.first() else {
            continue;
        };
        if !because.iter().any(|(words, _)| *words == why.message) {
            because.push((why.message.clone(), Some(first.call.to_string())));
        }
    }
    because.truncate(5);
    because
}

impl Verdict {
    fn shown(&self, frame: &Frame) -> Markup {
        html! {
            div.verdict.(self.tone.as_str()) #verdict data-part role="status" {
                span.light aria-hidden="true" {}
                h1 { (self.title) }
                @if !self.because.is_empty() {
                    ul {
                        @for (words, call) in &self.because {
                            li {
                                (text(&frame.see_text(words)))
                                @if let Some(call) = call { " " a href=(frame.to(&format!("calls/{call}"))) { "A call that waits" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn numbers(board: &Board, dialling: &Dialling, lately: &Lately) -> Markup {
    let (slots, all) = (
        slots(board),
        board.trunks.iter().map(|trunk| trunk.slots).sum::<i64>(),
    );
    let waiting: i64 = board
        .campaigns
        .iter()
        .map(|campaign| campaign.waiting)
        .sum();
    let is_more = board
        .campaigns
        .iter()
        .any(|campaign| campaign.waiting > board.counted);
    let mut hour = Ends::new();
    for minute in &lately.minutes {
        for (word, calls) in &minute.ends {
            *hour.entry(word.clone()).or_default() += calls;
        }
    }
    let ended: i64 = hour.values().sum();
    let answered = hour.get("answered").copied().unwrap_or(0);
    html! {
        (slot_board(board, slots))
        div.figures {
            (figure("Slots in use", &html! { (count(board.in_flight)) }, &html! { "of " (count(slots)) @if all > slots { ", " (count(all - slots)) " on paused trunks" } }))
            (figure("Waiting", &html! { (count(waiting)) @if is_more { "+" } }, &html! { (count(dialling.due_campaigns)) " campaigns have due calls" }))
            (figure("Ended in the last hour", &html! { (count(ended)) }, &html! { "calls" }))
            (figure("Answered", &html! { @if ended > 0 { (answered * 100 / ended) " %" } @else { "–" } }, &html! { "of those" }))
            (figure("Workers", &html! { (count(dialling.workers)) }, &html! { "that claim" }))
        }
    }
}

/// The slots, each as a jack of a switchboard.
fn slot_board(board: &Board, slots: i64) -> Markup {
    let of = |class: &str| {
        board
            .live
            .iter()
            .filter(|call| state(call).1 == class)
            .count()
    };
    let kinds = ["dialing", "ringing", "talking", "doubt"].map(|class| (class, of(class)));
    let free = (slots - board.in_flight).max(0);
    html! {
        @if slots <= DRAWN {
            div.slots role="img" aria-label={ (board.in_flight) " of " (slots) " slots in use" } {
                @for (class, calls) in kinds { @for _ in 0..calls { span.(class) {} } }
                @for _ in 0..free { span {} }
            }
        }
        ul.legend.left {
            @for (class, calls) in kinds {
                li { span.key.(class) aria-hidden="true" {} (calls) " " @if class == "doubt" { "in doubt" } @else { (class) } }
            }
            li.soft { (count(free)) " free" }
        }
    }
}

/// The state of a live call, as people say it, and its class.
fn state(call: &LiveCall) -> (&'static str, &'static str) {
    match (call.state, call.answered_at) {
        (CallState::InCall, Some(_)) => ("talking", "talking"),
        (CallState::InCall, None) => ("ringing", "ringing"),
        (CallState::Unresolved, _) => ("in doubt", "doubt"),
        _ => ("dialing", "dialing"),
    }
}

pub(super) const LIVE_HEADS: &[&str] = &[
    "Number", "State", "Age", "Campaign", "Trunk", "Deadline", "Worker",
];

pub(super) fn live_row(frame: &Frame, call: &LiveCall, now: DateTime<Utc>) -> Vec<Markup> {
    let (state, class) = state(call);
    let is_late = call.deadline_at <= now;
    vec![
        // Masked, as it is written.
        html! { a.mono href=(frame.to(&format!("calls/{}", call.id))) { (call.to) } },
        html! { span.nowrap { span.key.(class) aria-hidden="true" {} (state) } },
        html! { span.nowrap { (short(now - call.claimed_at)) } },
        html! { a href=(frame.to(&format!("campaigns/{}", call.campaign))) { (name(&call.campaign)) } },
        html! { a href=(frame.to(&format!("trunks/{}", call.trunk))) { (name(&call.trunk)) } },
        html! { @if is_late { (badge(Tone::Bad, "late")) " " } (time(call.deadline_at, now)) },
        html! { @match &call.worker { Some(worker) => { (text(worker)) } None => { span.soft { "gone" } } } },
    ]
}

/// Outcomes as a chart shows them, from the bottom: label, class, and the words that belong to it.
pub(super) const KINDS: [(&str, &str, &[&str]); 4] = [
    ("answered", "good", &["answered", "completed"]),
    (
        "not reached",
        "calm",
        &["no_answer", "busy", "declined", "voicemail", "unreachable"],
    ),
    (
        "failed",
        "bad",
        &[
            "invalid_number",
            "blocked",
            "capacity",
            "account",
            "provider_fault",
            "unknown",
            "failed",
        ],
    ),
    (
        "ended otherwise",
        "warn",
        &["canceled", "expired", "suppressed"],
    ),
];

/// So many of each kind.
pub(super) fn kinds(ends: &Ends) -> Vec<i64> {
    let of = |words: &[&str]| {
        ends.iter()
            .filter(|(word, _)| words.contains(&word.as_str()))
            .map(|(_, calls)| calls)
            .sum()
    };
    KINDS.iter().map(|(_, _, words)| of(words)).collect()
}

fn hour(lately: &Lately) -> Markup {
    let columns: Vec<(String, Vec<i64>)> = (0..60usize)
        .rev()
        .map(|ago| {
            let began =
                lately.now - chrono::TimeDelta::minutes(i64::try_from(ago).unwrap_or(0) + 1);
            let minute = lately.minutes.iter().find(|minute| minute.ago == ago);
            let parts = minute.map_or_else(|| vec![0; KINDS.len()], |minute| kinds(&minute.ends));
            (began.format("%H:%M").to_string(), parts)
        })
        .collect();
    let total: i64 = columns.iter().flat_map(|(_, parts)| parts).sum();
    let about = format!("{total} calls ended in the last hour, minute by minute");
    let parts = KINDS.map(|(name, class, _)| (name, class));
    html! {
        (Columns { about: &about, parts: &parts, over_time: &columns }.draw())
        @if let Some(since) = lately.since.filter(|since| lately.now - *since < chrono::TimeDelta::hours(1)) {
            p.soft { "Counted since " (since.format("%H:%M:%SZ")) ": the latest 20 000." }
        }
    }
}

fn holds(frame: &Frame, dialling: &Dialling) -> Markup {
    let link = |kind: &str, name: &str| html! { (kind) " " a href=(frame.to(&format!("{kind}s/{name}"))) { (self::name(name)) } };
    let mut rows: Vec<Vec<Markup>> = Vec::new();
    for breaker in &dialling.breakers {
        let fault = frame.see_text(breaker.fault.as_deref().unwrap_or("it said nothing"));
        rows.push(vec![
            link("trunk", &breaker.trunk),
            badge(Tone::Bad, "its provider fails"),
            html! { (text(&fault)) span.soft { ", since " (time(breaker.opened_at, dialling.now)) } },
        ]);
    }
    for pause in &dialling.pauses {
        let why = pause.why.as_deref().map(|why| frame.see_text(why));
        rows.push(vec![
            link(&pause.kind, &pause.name),
            badge(Tone::Warn, "paused"),
            groups::paused(pause.by.as_deref(), pause.at, why.as_deref(), dialling.now),
        ]);
    }
    for doubts in &dialling.doubts {
        rows.push(vec![
            link("trunk", &doubts.trunk),
            badge(Tone::Warn, "doubts"),
            html! { (doubts.in_doubt) " of " (doubts.slots) " slots: " (text(&doubts.advice)) },
        ]);
    }
    table(
        "What holds",
        &["What", "How", "Why"],
        &rows,
        "Nothing: no trunk or campaign is paused, no provider fails.",
    )
}

/// A reason code of `why` or `lanes`, as a badge.
pub(super) fn reason(reason: Option<&str>) -> Markup {
    let Some(reason) = reason else {
        return badge(Tone::Good, "open");
    };
    let word = words(reason);
    match Weight::of_reason(reason) {
        Weight::Open => badge(Tone::Good, "dialling"),
        Weight::Full | Weight::Own | Weight::Closed => badge(Tone::Calm, &word),
        Weight::Held
            if ["breaker", "cluster_changed", "no_worker", "gate_held"].contains(&reason) =>
        {
            badge(Tone::Bad, &word)
        }
        Weight::Held => badge(Tone::Warn, &word),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CALL: &str = "0197f5e0-0000-7000-8000-000000000001";

    fn board(in_flight: i64) -> Board {
        let board = json!({
            "now": "2026-11-30T12:00:00Z", "inFlight": in_flight, "counted": 10_000, "live": [], "campaigns": [],
            "trunks": [{"name": "default", "slots": 30, "paused": false, "pausedWhy": null, "breakerOpenedAt": null, "inFlight": in_flight}],
        });
        serde_json::from_value(board).unwrap()
    }

    fn dialling(workers: i64, first: &[&str]) -> Dialling {
        let first: Vec<Value> = first
            .iter()
            .map(|reason| {
                let why = json!({"reason": reason, "message": format!("because: {reason}"), "object": null, "until": null});
                json!({"campaign": "spring", "call": CALL, "dueAt": "2026-11-30T11:00:00Z", "reasons": [why]})
            })
            .collect();
        let dialling = json!({
            "now": "2026-11-30T12:00:00Z", "workers": workers, "dueCampaigns": first.len(), "nextDueAt": "2026-11-30T12:05:00Z",
            "first": first, "pauses": [], "breakers": [], "doubts": [],
        });
        serde_json::from_value(dialling).unwrap()
    }

    #[test]
    fn the_first_line_says_whether_it_dials_and_why_not() {
        for (in_flight, workers, first, tone, title) in [
            (0, 1, &[][..], Tone::Calm, "Nothing to dial"),
            (
                3,
                1,
                &[],
                Tone::Good,
                "All that was due has been dialled: 3 of 30",
            ),
            (0, 0, &[], Tone::Bad, "no worker is alive"),
            (0, 1, &["next"], Tone::Good, "Dialling: 0 of 30"),
            (30, 1, &["trunk_full"], Tone::Good, "Dialling: 30 of 30"),
            (
                5,
                1,
                &["in_line", "campaign_paused"],
                Tone::Warn,
                "one campaign is held: 5 of 30",
            ),
            (
                5,
                1,
                &["campaign_paused", "outside_hours", "trunk_paused"],
                Tone::Warn,
                "2 campaigns are held",
            ),
            (5, 1, &["outside_hours"], Tone::Good, "Dialling: 5 of 30"),
            (
                0,
                1,
                &["trunk_paused"],
                Tone::Bad,
                "Not dialling: it is paused",
            ),
            (
                0,
                1,
                &["outside_hours", "trunk_paused"],
                Tone::Bad,
                "Not dialling: it is paused",
            ),
            (
                0,
                1,
                &["no_worker"],
                Tone::Bad,
                "Not dialling: no worker is alive",
            ),
            (0, 1, &["outside_hours"], Tone::Calm, "at this hour"),
            (
                0,
                1,
                &["number_taken"],
                Tone::Calm,
                "something of their own",
            ),
            (0, 1, &["cluster_changed"], Tone::Bad, "not where it was"),
            (0, 1, &["gate_held"], Tone::Bad, "although calls are due"),
        ] {
            let verdict = verdict(&board(in_flight), &dialling(workers, first));
            assert_eq!(verdict.tone, tone, "{first:?}");
            assert!(
                verdict.title.contains(title),
                "{first:?}: {}",
                verdict.title
            );
        }
    }

    #[test]
    fn a_reason_is_given_once_with_a_call_that_waits() {
        let verdict = verdict(&board(0), &dialling(1, &["trunk_paused", "trunk_paused"]));
        assert_eq!(
            verdict.because,
            [("because: trunk_paused".to_owned(), Some(CALL.to_owned()))]
        );
    }

    #[test]
    fn every_outcome_is_of_one_kind() {
        for outcome in crate::domain::Outcome::ALL {
            let word: &str = outcome.into();
            assert_eq!(
                KINDS
                    .iter()
                    .filter(|(_, _, words)| words.contains(&word))
                    .count(),
                1,
                "{word}"
            );
        }
    }
}
