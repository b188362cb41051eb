//! The overview: is it dialling, and if not, why? Then the slots, the last hour, and what holds.

use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{
    super::problem::Problem,
    campaigns,
    chart::Columns,
    frame::Frame,
    parts::{Tone, badge, count, figure, name, rows, section, short, table, text, time},
    standing::{self, Weight},
};
use crate::{
    domain::{CallId, CallState},
    flow::{
        board::{Board, LiveCall},
        groups::GroupKind,
        read::Reason,
        seat::{Dialling, Ends, FirstDue, Lately},
    },
    shown::plain,
};

/// Calls in flight that are listed.
const LISTED: usize = 40;
/// Campaigns that are listed: those with work first.
const BUSIEST: usize = 12;
/// Reasons of what holds that are listed.
const HELD: usize = 50;
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
        (verdict.shown(&frame, &dialling))
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
    because: Vec<Because>,
}

/// Why, in the database's words.
#[derive(Debug, PartialEq)]
struct Because {
    why: Reason,
    /// Which campaigns it keeps.
    campaigns: Vec<String>,
    /// A call that waits for it.
    call: Option<CallId>,
}

impl Because {
    fn said(message: String) -> Self {
        let why = Reason {
            reason: String::new(),
            message,
            object: None,
            until: None,
        };
        Self {
            why,
            campaigns: Vec::new(),
            call: None,
        }
    }
}

/// Whether anything is dialled. Every reason is one that `pgdial.why` gives for a call that is due.
fn verdict(board: &Board, dialling: &Dialling) -> Verdict {
    let mut waits: Vec<(Weight, &FirstDue)> = dialling
        .first
        .iter()
        .map(|first| (Weight::gravest(&first.reasons), first))
        .collect();
    waits.sort_by_key(|(weight, _)| *weight);
    let Some(&(worst, first)) = waits.first() else {
        return idle(board, dialling);
    };
    // What is in doubt may not even ring.
    let dials =
        board.in_flight > board.in_doubt || waits.iter().any(|(weight, _)| *weight == Weight::Open);
    let told = if dials { Weight::Own } else { Weight::Open };
    waits.retain(|(weight, _)| *weight < told);
    let because = because(&waits, told);
    if dials {
        let used = used(board);
        let title = match waits.as_slice() {
            [] => format!("Dialling: {used}"),
            [_] => format!("Dialling, but one campaign is not: {used}"),
            waits => format!("Dialling, but {} campaigns are not: {used}", waits.len()),
        };
        let tone = if worst < Weight::Closed {
            Tone::Warn
        } else {
            Tone::Good
        };
        return Verdict {
            tone,
            title,
            because,
        };
    }
    let of = |due: &FirstDue| headline(&due.reasons, dialling.workers);
    let mut title = of(first);
    if waits.iter().any(|(_, other)| of(other) != title) {
        title.push_str("; other campaigns have other reasons");
    }
    let tone = match worst {
        Weight::Held | Weight::Doubt => Tone::Bad,
        _ => Tone::Calm,
    };
    Verdict {
        tone,
        title,
        because,
    }
}

/// The gravest of these reasons as a headline, with the name of what it is about.
fn headline(reasons: &[Reason], workers: i64) -> String {
    let gravest = reasons.iter().min_by_key(|why| Weight::of(&why.reason));
    let reason = gravest.map_or("", |why| &why.reason);
    let about = gravest.and_then(|why| why.object.as_deref());
    let name = plain(about.unwrap_or_default());
    let held = match (reason, Weight::gravest(reasons)) {
        ("no_worker", _) if workers == 0 => "no worker is alive".to_owned(),
        ("no_worker", _) => format!("no worker can dial on trunk {name}"),
        ("trunk_paused", _) => format!("trunk {name} is paused"),
        ("campaign_paused", _) => format!("campaign {name} is paused"),
        ("breaker", _) => format!("the provider of trunk {name} fails"),
        ("cluster_changed", _) => "the database is not where it was".to_owned(),
        (_, Weight::Doubt) => format!("calls in doubt hold all slots of trunk {name}"),
        (_, Weight::Closed) => "nothing may be dialled at this hour".to_owned(),
        (_, Weight::Own) => "the calls that are due wait for something of their own".to_owned(),
        (_, Weight::Full) => return "Not dialling at this moment: as much as may be".to_owned(),
        (_, Weight::Held | Weight::Open) => {
            return "Not dialling, although calls are due".to_owned();
        }
    };
    format!("Not dialling: {held}")
}

/// Without a call that is due.
fn idle(board: &Board, dialling: &Dialling) -> Verdict {
    let next = dialling
        .next_due_at
        .map(|at| format!("The next one is due in {}.", short(at - dialling.now)));
    let mut because: Vec<_> = next.into_iter().map(Because::said).collect();
    let (tone, title) = if dialling.workers == 0 {
        let words = "What falls due will wait: start `pgdial serve`, or `pgdial work` beside a running API.";
        because.push(Because::said(words.to_owned()));
        (
            Tone::Bad,
            "Nothing is due, and no worker is alive".to_owned(),
        )
    } else if board.in_flight > 0 {
        let tone = if board.in_flight > board.in_doubt {
            Tone::Good
        } else {
            Tone::Warn
        };
        (
            tone,
            format!("All that was due has been dialled: {}", used(board)),
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

fn used(board: &Board) -> String {
    let doubts = match board.in_doubt {
        0 => String::new(),
        all if all == board.in_flight => ", all by calls in doubt".to_owned(),
        some => format!(", {} by calls in doubt", count(some)),
    };
    format!(
        "{} of {} slots in use{doubts}",
        count(board.in_flight),
        count(slots(board))
    )
}

/// Slots of trunks that may dial.
fn slots(board: &Board) -> i64 {
    let open = board
        .trunks
        .iter()
        .filter(|trunk| !trunk.paused || trunk.in_flight > 0);
    open.map(|trunk| trunk.slots).sum()
}

/// Each reason of less weight than this once, the gravest first, with the campaigns that it keeps.
fn because(waits: &[(Weight, &FirstDue)], below: Weight) -> Vec<Because> {
    let mut because: Vec<(Weight, Because)> = Vec::new();
    for (_, first) in waits {
        for why in &first.reasons {
            let weight = Weight::of(&why.reason);
            if weight >= below {
                continue;
            }
            match because
                .iter_mut()
                .find(|(_, one)| one.why.message == why.message)
            {
                Some((_, told)) => told.campaigns.push(first.campaign.clone()),
                None => because.push((
                    weight,
                    Because {
                        why: why.clone(),
                        campaigns: vec![first.campaign.clone()],
                        call: Some(first.call),
                    },
                )),
            }
        }
    }
    because.sort_by_key(|(weight, _)| *weight);
    because.into_iter().map(|(_, one)| one).collect()
}

impl Verdict {
    fn shown(&self, frame: &Frame, dialling: &Dialling) -> Markup {
        html! {
            div.verdict.(self.tone.as_str()) #verdict data-part role="status" {
                span.light aria-hidden="true" {}
                h1 { (self.title) }
                @if !self.because.is_empty() {
                    ul {
                        @for one in &self.because {
                            li {
                                @for (at, campaign) in one.campaigns.iter().enumerate() {
                                    @if at > 0 { ", " }
                                    a href=(frame.to(&format!("campaigns/{campaign}"))) { (text(campaign)) }
                                }
                                @if !one.campaigns.is_empty() { ": " }
                                (standing::sentence(frame, &one.why, dialling))
                                @if let Some(call) = one.call { " " a href=(frame.to(&format!("calls/{call}"))) { "A call that waits" } }
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
            (figure("Slots in use", &html! { (count(board.in_flight)) }, &html! { "of " (count(slots)) @if all > slots { "; another " (count(all - slots)) " are on paused trunks" } }))
            (figure("Waiting", &html! { (count(waiting)) @if is_more { "+" } }, &html! { (count(dialling.due_campaigns)) @if dialling.due_campaigns == 1 { " campaign has due calls" } @else { " campaigns have due calls" } }))
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
    let held = standing::held(dialling);
    let more = held.len().saturating_sub(HELD);
    let row = |(kind, name, reason): &(GroupKind, &str, &Reason)| {
        vec![
            html! { (kind) " " a href=(frame.to(&format!("{kind}s/{name}"))) { (self::name(name)) } },
            standing::reason(&reason.reason),
            standing::sentence(frame, reason, dialling),
        ]
    };
    let rows: Vec<_> = held.iter().take(HELD).map(row).collect();
    html! {
        (table("What holds", &["What", "How", "Why"], &rows, "Nothing: every trunk and campaign may dial."))
        @if more > 0 { p.soft { (more) " more" } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CALL: &str = "0197f5e0-0000-7000-8000-000000000001";

    fn board(in_flight: i64, in_doubt: i64) -> Board {
        let board = json!({
            "now": "2026-11-30T12:00:00Z", "inFlight": in_flight, "inDoubt": in_doubt, "counted": 10_000, "live": [], "campaigns": [],
            "trunks": [{"name": "default", "slots": 30, "paused": false, "pausedWhy": null, "breakerOpenedAt": null, "inFlight": in_flight}],
        });
        serde_json::from_value(board).unwrap()
    }

    fn dialling(workers: i64, first: &[&str]) -> Dialling {
        let first: Vec<Value> = first
            .iter()
            .enumerate()
            .map(|(at, reason)| {
                let why = json!({"reason": reason, "message": format!("because: {reason}"), "object": "acme", "until": null});
                json!({"campaign": format!("c{at}"), "call": CALL, "dueAt": "2026-11-30T11:00:00Z", "reasons": [why]})
            })
            .collect();
        let dialling = json!({
            "now": "2026-11-30T12:00:00Z", "workers": workers, "dueCampaigns": first.len(), "nextDueAt": "2026-11-30T12:05:00Z",
            "first": first, "groups": [], "doubts": [],
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
                "one campaign is not: 5 of 30",
            ),
            (
                5,
                1,
                &["campaign_paused", "outside_hours", "trunk_paused"],
                Tone::Warn,
                "3 campaigns are not",
            ),
            (5, 1, &["outside_hours"], Tone::Good, "one campaign is not"),
            (
                0,
                1,
                &["trunk_paused"],
                Tone::Bad,
                "Not dialling: trunk acme is paused",
            ),
            (
                0,
                1,
                &["campaign_paused"],
                Tone::Bad,
                "Not dialling: campaign acme is paused",
            ),
            (
                0,
                1,
                &["breaker"],
                Tone::Bad,
                "Not dialling: the provider of trunk acme fails",
            ),
            (
                0,
                1,
                &["outside_hours", "trunk_paused"],
                Tone::Bad,
                "Not dialling: trunk acme is paused; other campaigns have other reasons",
            ),
            (
                0,
                0,
                &["no_worker"],
                Tone::Bad,
                "Not dialling: no worker is alive",
            ),
            (
                0,
                1,
                &["no_worker"],
                Tone::Bad,
                "Not dialling: no worker can dial on trunk acme",
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
            let verdict = verdict(&board(in_flight, 0), &dialling(workers, first));
            assert_eq!(verdict.tone, tone, "{first:?}");
            assert!(
                verdict.title.contains(title),
                "{first:?}: {}",
                verdict.title
            );
        }
    }

    #[test]
    fn what_is_in_doubt_is_not_dialling() {
        for (first, title) in [
            (
                &["in_doubt"][..],
                "Not dialling: calls in doubt hold all slots of trunk acme",
            ),
            (
                &[],
                "All that was due has been dialled: 30 of 30 slots in use, all by calls in doubt",
            ),
        ] {
            let verdict = verdict(&board(30, 30), &dialling(1, first));
            assert_eq!(verdict.title, title);
            assert_ne!(verdict.tone, Tone::Good);
        }
        let some = verdict(&board(30, 11), &dialling(1, &["trunk_full"]));
        assert_eq!(
            some.title,
            "Dialling: 30 of 30 slots in use, 11 by calls in doubt"
        );
    }

    #[test]
    fn a_reason_is_given_once_with_the_campaigns_that_it_keeps() {
        let dialling = dialling(1, &["trunk_paused", "trunk_paused"]);
        let verdict = verdict(&board(0, 0), &dialling);
        let expected = Because {
            why: dialling.first[0].reasons[0].clone(),
            campaigns: vec!["c0".to_owned(), "c1".to_owned()],
            call: CALL.parse().ok(),
        };
        assert_eq!(verdict.because, [expected]);
    }

    #[test]
    fn the_gravest_reason_stands_first() {
        let mut dialling = dialling(1, &["suspect", "outside_hours"]);
        let all: Vec<_> = dialling
            .first
            .iter()
            .flat_map(|one| one.reasons.clone())
            .collect();
        dialling.first.truncate(1);
        dialling.first[0].reasons = all;
        let verdict = verdict(&board(0, 0), &dialling);
        let words: Vec<_> = verdict
            .because
            .iter()
            .map(|one| one.why.message.as_str())
            .collect();
        assert_eq!(words, ["because: outside_hours", "because: suspect"]);
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
