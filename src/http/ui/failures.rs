//! Failures: what the calls of a span failed of, and the acts on all that failed alike.

use axum::response::Response;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use maud::{Markup, html};

use super::{
    super::problem::Problem,
    call::{outcome_badge, short_id},
    calls::names,
    frame::{Frame, Query},
    parts::{Tone, count, meter, section, table, text, time},
};
use crate::{
    domain::{Outcome, Scope},
    flow::{
        failures::Span,
        view::{FailureGroup, Failures},
    },
};

/// The spans that are offered: name in the address, words, hours.
const SPANS: [(&str, &str, i64); 4] = [
    ("1h", "last hour", 1),
    ("24h", "last 24 hours", 24),
    ("7d", "last 7 days", 7 * 24),
    ("30d", "last 30 days", 30 * 24),
];
const DEFAULT: (&str, &str, i64) = ("24h", "last 24 hours", 24);

/// `GET /ui/failures`
pub(in crate::http) async fn show(frame: Frame, query: Query) -> Result<Response, Problem> {
    let (span, said, hours) = SPANS
        .into_iter()
        .find(|(name, ..)| query.get("span") == Some(name))
        .unwrap_or(DEFAULT);
    let campaign = frame
        .owner
        .filtered(query.get("campaign").map(str::to_owned))?;
    let trunk = query.get("trunk");
    let queue = &frame.app.calls;
    let now = queue.now().await?;
    let asked = Span {
        after: now - TimeDelta::hours(hours),
        before: now,
        campaign: campaign.as_deref(),
        trunk,
    };
    let found: Failures = queue.failures(&asked).await?;
    let whole: i64 = found.groups.iter().map(|group| group.calls).sum();
    let mut rows = Vec::new();
    for group in found.groups {
        // The words stay as they are for the links: what is masked finds nothing.
        let links = links(&frame, &asked, &group);
        let seen: FailureGroup = frame.see(group)?;
        rows.push(row(&frame, &seen, links, whole, now));
    }
    let groups = table(
        "Failures",
        &[
            "In words", "Outcome", "Calls", "Share", "Where", "Latest", "Do",
        ],
        &rows,
        "No call has failed in this span.",
    );
    let inside = html! {
        (groups)
        @if let Some(since) = found.counted_since {
            p.soft { "Of the latest " (count(found.visited)) " calls that ended, which reach back to " (time(since, now)) "." }
        }
    };
    let board = frame.app.kept.board(queue).await?;
    let body = html! {
        h1 { "Failures" }
        form.filters action=(frame.to("failures")) {
            p.field {
                label for="span" { "Ended in the" }
                select #span name="span" {
                    @for (name, words, _) in SPANS { option value=(name) selected[name == span] { (words) } }
                }
            }
            p.field {
                label for="campaign" { "Campaign" }
                input #campaign name="campaign" autocomplete="off" list="campaigns" value=[campaign.as_deref()];
            }
            p.field {
                label for="trunk" { "Trunk" }
                input #trunk name="trunk" autocomplete="off" list="trunks" value=[trunk];
            }
            button.strong { "Show" }
            (names(&frame, &board))
        }
        (section("failures", "Calls that failed, by what they failed of", &html! { (count(whole)) " in the " (said) }, &inside))
        p { "Not failed yet: " a href=(frame.to("calls?state=unresolved")) { "calls in doubt" }
            @if frame.may(Scope::Operate) { ", which can be " a href=(frame.to("calls/resolve?state=unresolved")) { "resolved together" } }
        }
        p.soft { "Ids, numbers and amounts in the words count as one and the same: they are shown as …" }
    };
    Ok(frame.page("Failures", &body))
}

/// The list of these calls, and the acts on them.
fn links(frame: &Frame, asked: &Span<'_>, group: &FailureGroup) -> Markup {
    let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let (after, before) = (instant(asked.after), instant(asked.before));
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("state", "failed");
    if let Some(outcome) = group.outcome {
        query.append_pair("outcome", outcome.as_str());
    }
    if let Some(campaign) = asked.campaign {
        query.append_pair("campaign", campaign);
    }
    if let Some(trunk) = asked.trunk {
        query.append_pair("trunk", trunk);
    }
    query.append_pair("error", &group.words);
    query.append_pair("endedAfter", &after);
    query.append_pair("endedBefore", &before);
    let query = query.finish();
    let to = |path: &str| frame.to(&format!("{path}?{query}"));
    html! {
        div.beside {
            a href=(to("calls")) { "List" }
            @if frame.may(Scope::Operate) {
                a href=(to("calls/redrive")) { "Ring again" }
                @if group.outcome == Some(Outcome::Unknown) { a href=(to("calls/resolve")) { "Resolve" } }
            }
        }
    }
}

fn row(
    frame: &Frame,
    group: &FailureGroup,
    links: Markup,
    whole: i64,
    now: DateTime<Utc>,
) -> Vec<Markup> {
    let share = format!("{} of {} failed calls", group.calls, whole);
    vec![
        text(&group.words),
        html! { @if let Some(outcome) = group.outcome { (outcome_badge(outcome)) } },
        html! { strong { (count(group.calls)) } },
        meter(&share, group.calls, whole, Tone::Bad),
        html! {
            div {
                @for campaign in &group.campaigns { a href=(frame.to(&format!("campaigns/{campaign}"))) { (text(campaign)) } " " }
                @for trunk in &group.trunks { span.soft { "on " (text(trunk)) " " } }
            }
        },
        html! {
            div {
                span.nowrap { (time(group.latest, now)) } ", "
                a.mono href=(frame.to(&format!("calls/{}", group.latest_call))) { (short_id(group.latest_call)) }
                @if let Some(sample) = &group.sample { @if *sample != group.words { div.soft { (text(sample)) } } }
            }
        },
        links,
    ]
}
