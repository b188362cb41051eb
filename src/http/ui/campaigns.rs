//! Campaigns: how far each is, how its calls end, when it will be done; and the acts on one.

use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};

use super::{
    super::{
        groups::Group,
        path::Name,
        problem::{Code, Problem},
    },
    asking::{done, needed_why},
    form::Form,
    frame::{Frame, Query},
    groups::{self, Names},
    overview::{KINDS, kinds},
    parts::{
        Tone, count, facts, figure, instant, meter, name, section, short, table, text,
        text_or_none, time, words,
    },
    standing::Standing,
    when,
};
use crate::{
    domain::Scope,
    flow::{
        board::{Board, CampaignGroup},
        groups::GroupKind,
        seat::{Dialling, Ends, Lately, Progress},
        view::{CallingHours, Campaign, Estimate, Preview},
    },
};

/// Calls up to which the progress of one campaign is counted.
const PROGRESS: i64 = 50_000;

/// `GET /ui/campaigns`
pub(in crate::http) async fn list(frame: Frame) -> Result<Response, Problem> {
    let (queue, kept) = (&frame.app.calls, &frame.app.kept);
    let (board, dialling, lately) =
        tokio::try_join!(kept.board(queue), kept.dialling(queue), kept.lately(queue))?;
    let body = html! {
        div.titled {
            h1 { "Campaigns" }
            @if frame.may(Scope::Operate) && frame.owner.campaigns().is_none() {
                div.buttons { a.button href=(frame.to("new-campaign")) { "New campaign" } }
            }
        }
        (section("campaigns", "With work first", &html! { "Ended: in the last day. Done in: at the pace of the last hour." }, &summary(&frame, (&board, &dialling, &lately), None)))
    };
    Ok(frame.page("Campaigns", &body))
}

/// The campaigns that the key may see, as a table: all, or so many of those with work.
pub(super) fn summary(
    frame: &Frame,
    (board, dialling, lately): (&Board, &Dialling, &Lately),
    most: Option<usize>,
) -> Markup {
    let none = Ends::new();
    let is_idle = |group: &CampaignGroup| group.in_flight == 0 && group.waiting == 0;
    let all = board
        .campaigns
        .iter()
        .filter(|group| frame.owner.has(&group.name));
    let mut groups: Vec<&CampaignGroup> = all.collect();
    groups.sort_by_key(|group| (is_idle(group), std::cmp::Reverse(group.waiting)));
    groups.truncate(most.unwrap_or(usize::MAX));
    let row = |group: &&CampaignGroup| {
        let ends = lately.campaigns.get(&group.name).unwrap_or(&none);
        let standing = standing(&group.name, is_idle(group), dialling);
        let (length, _) = takes(
            (group.waiting, board.counted),
            (&group.name, lately),
            None,
            standing.is_held(),
        );
        vec![
            html! { a href=(frame.to(&format!("campaigns/{}", group.name))) { (name(&group.name)) } },
            standing.short(frame, dialling),
            html! { span.nowrap { (up_to(group.waiting, board.counted)) } },
            html! { (count(group.in_flight)) },
            html! { span.nowrap { (length) } },
            html! { (count(ends.values().sum())) },
            html! { @if !ends.is_empty() { (ended(ends)) } },
            html! { @if let Some(hours) = &group.calling_hours { (name(hours)) } @else { span.soft { "any time" } } },
            html! { @if let Some(trunk) = &group.trunk { a href=(frame.to(&format!("trunks/{trunk}"))) { (name(trunk)) } } },
        ]
    };
    let rows: Vec<_> = groups.iter().map(row).collect();
    let heads = [
        "Campaign",
        "State",
        "Waiting",
        "In flight",
        "Done in",
        "Ended",
        "How",
        "Hours",
        "Trunk",
    ];
    table(
        "Campaigns",
        &heads,
        &rows,
        "There is no campaign. `pgdial campaigns create NAME` makes one.",
    )
}

/// How a campaign stands: what keeps it, or else what keeps the first of its due calls.
fn standing<'a>(name: &str, is_idle: bool, dialling: &'a Dialling) -> Standing<'a> {
    let reasons = dialling.reasons(GroupKind::Campaign, name);
    if is_idle {
        return Standing::of(reasons, Tone::Calm, "idle");
    }
    let first = dialling.first.iter().find(|first| first.campaign == name);
    let reasons = match first {
        Some(first) if reasons.is_empty() => &first.reasons,
        _ => reasons,
    };
    Standing::of(reasons, Tone::Good, "dialling")
}

/// A count that stops somewhere.
fn up_to(calls: i64, counted: i64) -> Markup {
    html! { (count(calls.min(counted))) @if calls > counted { "+" } }
}

/// How calls ended, as a bar.
fn ended(ends: &Ends) -> Markup {
    let (parts, all) = (kinds(ends), ends.values().sum::<i64>().max(1));
    let said = KINDS.iter().zip(&parts).filter(|(_, calls)| **calls > 0);
    let said: Vec<String> = said
        .map(|((name, _, _), calls)| format!("{calls} {name}"))
        .collect();
    let said = said.join(", ");
    let mut left = 0;
    let mut bars = Vec::new();
    for ((_, class, _), calls) in KINDS.iter().zip(&parts) {
        let width = calls * 1000 / all;
        bars.push((*class, left, width));
        left += width;
    }
    html! {
        svg.stack viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label=(said) {
            title { (said) }
            @for (class, left, width) in bars { rect class=(class) x=(left) width=(width) height="10" {} }
        }
    }
}

/// `GET /ui/campaigns/{name}`
pub(in crate::http) async fn show(
    frame: Frame,
    Name(name, _): Name<Campaign>,
) -> Result<Response, Problem> {
    let queue = &frame.app.calls;
    let campaign = groups::one::<Campaign>(&frame, &name).await?;
    let (progress, dialling, board, lately) = tokio::try_join!(
        queue.progress(&name),
        frame.app.kept.dialling(queue),
        frame.app.kept.board(queue),
        frame.app.kept.lately(queue),
    )?;
    let progress = progress.ok_or_else(super::super::groups::no_such::<Campaign>)?;
    let hours = match &campaign.calling_hours {
        Some(hours) => queue.calling_hours(Some(hours)).await?.into_iter().next(),
        None => None,
    };
    let first = dialling.first.iter().find(|first| first.campaign == name);
    let is_idle = progress.waiting == 0 && campaign.in_flight.unwrap_or(0) == 0;
    let (tone, free) = if is_idle {
        (Tone::Calm, "idle")
    } else {
        (Tone::Good, "dialling")
    };
    let standing = Standing::of(&campaign.reasons, tone, free);
    let state = html! {
        (standing.shown(&frame, &dialling))
        @if let Some(first) = first {
            @for why in &first.reasons {
                @if !campaign.reasons.iter().any(|told| told.reason == why.reason) { p { (text(&frame.see_text(&why.message))) } }
            }
            p.soft { "So " code { "why" } " says of " a href=(frame.to(&format!("calls/{}", first.call))) { "its first due call" } "." }
        }
        @for conflict in &campaign.conflicts { p.wrong { (text(conflict)) } }
    };
    let live = board.live.iter().filter(|call| call.campaign == name);
    let live: Vec<_> = live
        .map(|call| super::overview::live_row(&frame, call, board.now))
        .collect();
    let calls = table(
        "Calls in flight",
        super::overview::LIVE_HEADS,
        &live,
        "None.",
    );
    let none = Ends::new();
    let ends = lately.campaigns.get(&name).unwrap_or(&none);
    let links = html! {
        a href=(frame.to(&format!("calls?campaign={name}"))) { "Its calls" } " · "
        a href=(frame.to(&format!("failures?campaign={name}"))) { "Failures" } " · "
        a href=(frame.to(&format!("campaigns/{name}/preview"))) { "Preview" } " · "
        a href=(frame.to(&format!("upload?campaign={name}"))) { "Upload a list" }
    };
    let body = html! {
        div.titled { h1 { "Campaign " (text(&campaign.name)) } (groups::acts(&frame, &campaign)) }
        (section("state", "May it dial?", &html! {}, &state))
        (section("progress", "Progress", &links, &far(&campaign, &progress, &lately, standing.is_held())))
        div.two {
            (section("ends", "How its calls ended", &html! { "in the last day" }, &outcomes(ends)))
            (section("hours", "Hours", &html! {}, &its_hours(&campaign, hours.as_ref(), board.now)))
        }
        (section("live", "Calls in flight", &html! { (count(campaign.in_flight.unwrap_or(0))) }, &calls))
        (section("settings", "Settings", &html! {}, &settings(&frame, &campaign)))
    };
    Ok(frame.page(&format!("Campaign {name}"), &body))
}

fn far(campaign: &Campaign, progress: &Progress, lately: &Lately, is_held: bool) -> Markup {
    let over: i64 = progress.over.values().sum();
    let in_flight = campaign.in_flight.unwrap_or(0);
    let all = over + in_flight + progress.waiting;
    let is_more =
        progress.waiting > PROGRESS || progress.over.values().any(|calls| *calls > PROGRESS);
    let percent = if all > 0 { over * 100 / all } else { 0 };
    let label = format!("{percent} % are over");
    let (length, basis) = takes(
        (progress.waiting, PROGRESS),
        (&campaign.name, lately),
        Some(&progress.estimate),
        is_held,
    );
    html! {
        (meter(&label, over, all, Tone::Good))
        div.figures {
            (figure("Over", &html! { (count(over)) @if is_more { "+" } }, &html! { (percent) " % of " (count(all)) @if is_more { "+" } }))
            (figure("Waiting", &up_to(progress.waiting, PROGRESS), &html! { "calls" }))
            (figure("In flight", &html! { (count(in_flight)) }, &html! { @match campaign.room { Some(room) => { "room for " (count(room)) " more now" } None => {} } }))
            (figure("Takes about", &length, &html! { (basis) }))
        }
        @if is_more { p.soft { "Each state is counted up to " (count(PROGRESS)) "." } }
    }
}

/// How long so many calls of a campaign take, and what says so: the pace of the last hour, else the estimate. Of what is
/// held nobody knows. A count that stops somewhere is at least that much.
fn takes(
    (calls, counted): (i64, i64),
    (campaign, lately): (&str, &Lately),
    estimate: Option<&Estimate>,
    is_held: bool,
) -> (Markup, String) {
    let pace = lately.pace.get(campaign).filter(|pace| pace.calls > 1);
    let (seconds, basis) = match (pace, estimate) {
        _ if is_held => (None, "nothing may be dialled now".to_owned()),
        _ if calls == 0 => (None, "no call is left".to_owned()),
        (Some(pace), _) => {
            // From the first end in this hour: a campaign may have begun just now.
            let spent = (lately.now - pace.since).num_seconds().max(1);
            let seconds = spent.saturating_mul(calls) / pace.calls;
            (Some(seconds), "at the pace of the last hour".to_owned())
        }
        (None, Some(estimate)) => {
            let most = if estimate.basis == "limits" {
                " at most"
            } else {
                ""
            };
            let each = each(estimate.seconds_per_call);
            let basis = format!("{} at once, {each} each{most}", estimate.at_once);
            (estimate.seconds, basis)
        }
        (None, None) => (None, String::new()),
    };
    // Lengths beyond what a screen says are all the same.
    let length = seconds.map(|seconds| TimeDelta::seconds(seconds.clamp(0, 1_000_000_000)));
    let length = html! {
        @match length { Some(length) => { (short(length)) @if calls > counted { "+" } } None => { span.soft { "–" } } }
    };
    (length, basis)
}

/// The length of a call.
fn each(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds} s");
    }
    #[expect(clippy::cast_possible_truncation, reason = "no call is that long")]
    short(TimeDelta::seconds(seconds as i64))
}

fn outcomes(ends: &Ends) -> Markup {
    let all: i64 = ends.values().sum();
    let mut ends: Vec<_> = ends.iter().collect();
    ends.sort_by_key(|(_, calls)| std::cmp::Reverse(**calls));
    let row = |(word, calls): &(&String, &i64)| {
        let label = format!("{calls} of {all}");
        vec![
            html! { (words(word)) },
            html! { (count(**calls)) },
            html! { span.nowrap { (**calls * 100 / all.max(1)) " %" } },
            meter(&label, **calls, all, Tone::Calm),
        ]
    };
    let rows: Vec<_> = ends.iter().map(row).collect();
    table(
        "How its calls ended",
        &["Outcome", "Calls", "Share", "Of all"],
        &rows,
        "None ended in the last day.",
    )
}

fn its_hours(campaign: &Campaign, hours: Option<&CallingHours>, now: DateTime<Utc>) -> Markup {
    let instant_or = |at: Option<DateTime<Utc>>, none: &'static str| {
        html! { @match at { Some(at) => { (time(at, now)) span.soft { " (" (instant(at)) ")" } } None => { span.soft { (none) } } } }
    };
    html! {
        (facts(&[
            ("Calling hours", html! { @match &campaign.calling_hours { Some(name) => { (text(name)) } None => { span.soft { "at any time" } } } }),
            ("Week", html! { @match hours { Some(hours) => { (text(&hours.week)) } None => { span.soft { "–" } } } }),
            ("Clock", html! { @match hours.and_then(|hours| hours.timezone.as_deref()) { Some(zone) => { (text(zone)) } None => { "the callee's" } } }),
            ("Holidays", text_or_none(hours.and_then(|hours| hours.calendar.as_deref()))),
            ("Starts", instant_or(campaign.starts_at, "at once")),
            ("Ends", instant_or(campaign.ends_at, "never")),
        ]))
        @if let Some(hours) = hours.filter(|hours| !hours.regions.is_empty()) {
            details #regions {
                summary { (hours.regions.len()) " regions with hours of their own" }
                @let regions: Vec<_> = hours.regions.iter().collect();
                ul { @for (region, hours) in regions { li { strong { (text(region)) } " " (text(&hours.week)) } } }
            }
        }
    }
}

fn settings(frame: &Frame, campaign: &Campaign) -> Markup {
    let number = |value: Option<i32>, none: &'static str| {
        html! { @match value { Some(value) => { (count(value.into())) } None => { span.soft { (none) } } } }
    };
    let limits = campaign.contact_limits.join(", ");
    facts(&[
        (
            "Trunk",
            html! { a href=(frame.to(&format!("trunks/{}", campaign.trunk))) { (text(&campaign.trunk)) } },
        ),
        ("Cap", number(campaign.cap, "the trunk's slots")),
        ("Weight", html! { (campaign.weight) }),
        ("Attempts", html! { (campaign.max_attempts) }),
        ("Rings for", html! { (campaign.ring_timeout) }),
        ("Lasts for", html! { (campaign.max_duration) }),
        ("After busy", html! { (campaign.busy_base) }),
        ("After no answer", html! { (campaign.no_answer_base) }),
        ("Retries", html! { (words(&campaign.retry_at)) }),
        (
            "Machine answers",
            html! { (words(&campaign.answering_machine)) ", then " (words(&campaign.voicemail)) },
        ),
        ("Guard", number(campaign.guard, "never")),
        (
            "Caller ids",
            html! { @match &campaign.caller_ids { Some(pool) => { (text(pool)) } None => { span.soft { "the trunk's" } } } },
        ),
        (
            "Contact limits",
            text_or_none(Some(limits.as_str()).filter(|limits| !limits.is_empty())),
        ),
        ("Topic", text_or_none(campaign.topic.as_deref())),
        (
            "Consent",
            html! { @if campaign.require_consent { "required" } @else { span.soft { "not asked for" } } },
        ),
        ("Opting out", html! { (words(&campaign.opt_out_scope)) }),
    ])
}

/// `GET /ui/campaigns/{name}/preview`
pub(in crate::http) async fn preview(
    frame: Frame,
    Name(name, _): Name<Campaign>,
    query: Query,
) -> Result<Response, Problem> {
    let at = query
        .get("at")
        .map(|text| when::instant(Code::InvalidQuery, "at", text));
    let at = at.transpose()?;
    let preview = frame.app.calls.preview(&name, at).await?;
    let preview = preview.ok_or_else(super::super::groups::no_such::<Campaign>)?;
    let (queue, kept) = (&frame.app.calls, &frame.app.kept);
    let (dialling, lately) = tokio::try_join!(kept.dialling(queue), kept.lately(queue))?;
    let body = html! {
        h1 { "Preview of " a href=(frame.to(&format!("campaigns/{name}"))) { (text(&name)) } }
        form.filters {
            p.field {
                label for="at" { "At" span.soft { " UTC" } }
                input #at name="at" type="datetime-local" step="1" value=(when::field(Some(preview.at)));
            }
            button { "Look" }
        }
        @let standing = Standing::of(&preview.reasons, Tone::Good, "may dial");
        @if !preview.reasons.is_empty() {
            (section("state", "What keeps all of them", &html! { "as things stand" }, &standing.shown(&frame, &dialling)))
        }
        (section("preview", "Its waiting calls at that moment", &html! { (instant(preview.at)) }, &counted(&preview, &lately, standing.is_held())))
        (section("areas", "Where they are", &html! {}, &areas(&preview)))
    };
    Ok(frame.page(&format!("Preview of {name}"), &body))
}

fn counted(preview: &Preview, lately: &Lately, is_held: bool) -> Markup {
    let (length, basis) = takes(
        (preview.estimate.calls, i64::MAX),
        (&preview.campaign, lately),
        Some(&preview.estimate),
        is_held,
    );
    let (ready, as_far) = if is_held {
        (
            "ready, once nothing keeps the campaign",
            "none at once: see above",
        )
    } else {
        ("may be dialled at once", "at once, as far as slots allow")
    };
    let mut rows = vec![(ready, preview.now), ("not due yet", preview.later)];
    let closed: Vec<(String, i64)> = preview
        .closed
        .iter()
        .map(|(reason, calls)| (words(reason), *calls))
        .collect();
    rows.extend(
        closed
            .iter()
            .map(|(reason, calls)| (reason.as_str(), *calls)),
    );
    rows.extend([
        ("held by a contact limit", preview.capped),
        ("on the do-not-call list", preview.suppressed),
        ("without consent", preview.no_consent),
        ("expired", preview.expired),
    ]);
    let row = |(what, calls): &(&str, i64)| {
        let label = format!("{calls} of {}", preview.waiting);
        vec![
            html! { (what) },
            html! { (count(*calls)) },
            meter(&label, *calls, preview.waiting, Tone::Calm),
        ]
    };
    let rows: Vec<_> = rows
        .iter()
        .filter(|(what, calls)| *calls > 0 || *what == ready)
        .map(row)
        .collect();
    html! {
        div.figures {
            (figure("Waiting", &html! { (count(preview.waiting)) }, &html! { "calls" }))
            (figure("Ready", &html! { (count(preview.now)) }, &html! { (as_far) }))
            (figure("Takes about", &length, &html! { (basis) }))
            (figure("Same number twice", &html! { (count(preview.duplicates)) }, &html! { "calls" }))
        }
        (table("What keeps them", &["What", "Calls", "Share"], &rows, "None."))
    }
}

fn areas(preview: &Preview) -> Markup {
    let row = |area: &crate::flow::view::PreviewedArea| {
        vec![
            html! { (text(&area.zones.join(", "))) },
            text_or_none(
                Some(area.regions.join(", ").as_str()).filter(|regions| !regions.is_empty()),
            ),
            html! { (count(area.calls)) },
            html! { @match &area.reason { Some(reason) => { (words(reason)) } None => { "open" } } },
            html! { @if let Some(at) = area.opens_at { (instant(at)) } },
        ]
    };
    let rows: Vec<_> = preview.areas.iter().map(row).collect();
    let heads = ["Clock", "Region", "Calls", "State", "Opens"];
    table(
        "Where they are",
        &heads,
        &rows,
        "The campaign has no calling hours, so it does not matter.",
    )
}

/// `GET /ui/new-campaign`: not below `campaigns/`, where it would take the place of one with its name.
pub(in crate::http) async fn ask_new(frame: Frame) -> Result<Response, Problem> {
    let names = Names::of(&frame).await?;
    Ok(groups::creating(&Form::default(), &names).0.page(&frame))
}

/// `POST /ui/new-campaign`
pub(in crate::http) async fn create(frame: Frame, form: Form) -> Result<Response, Problem> {
    let names = Names::of(&frame).await?;
    let (asking, changes) = groups::creating(&form, &names);
    let name = form.get("name").unwrap_or_default();
    match try_create(&frame, name, changes, &form).await {
        Ok(()) => Ok(done(
            &frame,
            &groups::path::<Campaign>(name),
            "created",
            None,
        )),
        Err(problem) => Ok(asking.again(&frame, &problem, &form)),
    }
}

async fn try_create(
    frame: &Frame,
    name: &str,
    changes: serde_json::Map<String, serde_json::Value>,
    form: &Form,
) -> Result<(), Problem> {
    let (why, by) = (needed_why(form)?, frame.owner.by());
    let queue = &frame.app.calls;
    let created = queue
        .create_group(Campaign::KIND, name, &changes.into(), &by, Some(&why))
        .await?;
    let taken = || Problem::new(Code::NameTaken, "there is a campaign of this name already");
    created.then_some(()).ok_or_else(taken)
}
