//! Trunks: whether each may dial, its slots and doubts, what its platform can do; and the acts on one.

use axum::response::Response;

use maud::{Markup, html};

use super::{
    super::{path::Name, problem::Problem},
    frame::Frame,
    groups,
    parts::{Tone, count, facts, instant, meter, name, section, table, text, text_or_none, words},
    standing::Standing,
};
use crate::flow::{
    board::Board,
    seat::Dialling,
    view::{Trunk, TrunkAdapter},
};

/// `GET /ui/trunks`
pub(in crate::http) async fn list(frame: Frame) -> Result<Response, Problem> {
    let queue = &frame.app.calls;
    let (trunks, dialling) = tokio::try_join!(queue.trunks(None), frame.app.kept.dialling(queue))?;
    let trunks = frame.see(trunks)?;
    let rows: Vec<_> = trunks
        .iter()
        .map(|trunk| row(&frame, trunk, &dialling))
        .collect();
    let inside = table(
        "Trunks",
        &["Trunk", "State", "In flight", "Slots", "Pace", "Platform"],
        &rows,
        "There is no trunk. `pgdial trunks create NAME` makes one.",
    );
    let body = html! {
        h1 { "Trunks" }
        (section("trunks", "Accounts at providers", &html! { (count(trunks.len().try_into().unwrap_or(0))) }, &inside))
    };
    Ok(frame.page("Trunks", &body))
}

fn row(frame: &Frame, trunk: &Trunk, dialling: &Dialling) -> Vec<Markup> {
    let platform = trunk
        .adapter
        .as_ref()
        .and_then(|adapter| adapter.name.as_deref());
    vec![
        html! { a href=(frame.to(&format!("trunks/{}", trunk.name))) { (name(&trunk.name)) } },
        Standing::trunk(&trunk.reasons).short(frame, dialling),
        html! { span.nowrap { (count(trunk.in_flight)) " of " (count(trunk.slots.into())) } },
        slots(trunk),
        pace(trunk),
        text_or_none(platform),
    ]
}

fn slots(trunk: &Trunk) -> Markup {
    let label = format!("{} of {} slots in use", trunk.in_flight, trunk.slots);
    let is_full = trunk.in_flight >= i64::from(trunk.slots);
    let tone = if is_full { Tone::Warn } else { Tone::Calm };
    meter(&label, trunk.in_flight, trunk.slots.into(), tone)
}

fn pace(trunk: &Trunk) -> Markup {
    html! { @match trunk.calls_per_second { Some(pace) => { (pace) " a second" } None => { span.soft { "no limit" } } } }
}

/// `GET /ui/trunks/{name}`
pub(in crate::http) async fn show(
    frame: Frame,
    Name(name, _): Name<Trunk>,
) -> Result<Response, Problem> {
    let queue = &frame.app.calls;
    let account = queue.trunks(Some(&name)).await?.into_iter().next();
    let account = account.and_then(|trunk| trunk.adapter?.account);
    let (dialling, board) =
        tokio::try_join!(frame.app.kept.dialling(queue), frame.app.kept.board(queue))?;
    let trunk = groups::one::<Trunk>(&frame, &name).await?;
    let now = html! {
        (Standing::trunk(&trunk.reasons).shown(&frame, &dialling))
        (facts(&[
            ("In flight", html! { (count(trunk.in_flight)) " of " (count(trunk.slots.into())) " slots" (slots(&trunk)) }),
            ("Pace", pace(&trunk)),
            ("Campaigns", campaigns(&frame, &board, &name)),
        ]))
        @for conflict in &trunk.conflicts { p.wrong { (text(conflict)) } }
    };
    let terms = &trunk.in_effect;
    let relied = facts(&[
        ("Looking up a call", html! { (words(&terms.look_up)) }),
        ("One key, one ring", html! { (yes(terms.idempotent)) }),
        (
            "First report within",
            html! { @match &terms.reports_within { Some(within) => { (within) } None => { span.soft { "no promise" } } } },
        ),
    ]);
    let live = board.live.iter().filter(|call| call.trunk == name);
    let live: Vec<_> = live
        .map(|call| super::overview::live_row(&frame, call, board.now))
        .collect();
    let calls = table(
        "Calls in flight",
        super::overview::LIVE_HEADS,
        &live,
        "None.",
    );
    let body = html! {
        div.titled { h1 { "Trunk " (text(&trunk.name)) } (groups::acts(&frame, &trunk)) }
        (section("now", "Now", &html! {}, &now))
        (section("live", "Calls in flight", &html! { (count(trunk.in_flight)) }, &calls))
        (section("terms", "What pgdial relies on", &html! {}, &relied))
        @if let Some(adapter) = &trunk.adapter {
            (section("adapter", "What its adapter declares", &html! {}, &platform(adapter, account.as_deref())))
        }
    };
    Ok(frame.page(&format!("Trunk {name}"), &body))
}

fn campaigns(frame: &Frame, board: &Board, name: &str) -> Markup {
    let its = board
        .campaigns
        .iter()
        .filter(|campaign| campaign.trunk.as_deref() == Some(name));
    html! {
        @for (at, campaign) in its.take(20).enumerate() {
            @if at > 0 { ", " }
            a href=(frame.to(&format!("campaigns/{}", campaign.name))) { (self::name(&campaign.name)) }
        }
    }
}

const fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn platform(adapter: &TrunkAdapter, account: Option<&str>) -> Markup {
    let known = |value: Option<String>| {
        html! { @match value { Some(value) => { (text(&value)) } None => { span.soft { "not known" } } } }
    };
    facts(&[
        ("Account", known(account.map(str::to_owned))),
        ("Declared", instant(adapter.declared_at)),
        (
            "Looking up a call",
            known(adapter.look_up.as_deref().map(words)),
        ),
        (
            "Sent again",
            known(adapter.idempotency.as_deref().map(words)),
        ),
        (
            "Keeps a key for",
            known(adapter.key_kept.as_ref().map(ToString::to_string)),
        ),
        (
            "First report within",
            known(adapter.reports_within.as_ref().map(ToString::to_string)),
        ),
        (
            "Ends calls",
            known(adapter.cancels.map(|is| yes(is).to_owned())),
        ),
        (
            "Lists calls",
            known(adapter.lists.map(|is| yes(is).to_owned())),
        ),
        ("Webhook URL", known(adapter.webhooks.as_deref().map(words))),
        (
            "Its own pace",
            known(
                adapter
                    .calls_per_second
                    .map(|pace| format!("{pace} a second")),
            ),
        ),
        (
            "Told of machines",
            known(
                adapter
                    .answering_machine
                    .as_ref()
                    .map(|told| words(&told.join(", "))),
            ),
        ),
        (
            "Placing may take",
            known(adapter.place_timeout.as_ref().map(ToString::to_string)),
        ),
    ])
}
