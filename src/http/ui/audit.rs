//! The audit trail, endpoints and keys: who did what, and who is told and let in.

use axum::response::Response;
use maud::html;

use super::{
    super::problem::Problem,
    frame::{Frame, Query},
    parts::{Tone, badge, count, section, short, table, text, text_or_none, time, words},
};
use crate::flow::{
    acts::ActFilter,
    view::{Act, Endpoint, Key, KeyState},
};

const PAGE: i64 = 50;

/// `GET /ui/acts`
pub(in crate::http) async fn acts(frame: Frame, query: Query) -> Result<Response, Problem> {
    let given = |name: &str| query.get(name).map(str::to_owned);
    let filter = ActFilter {
        act: given("act"),
        kind: given("kind"),
        name: given("name"),
        by: given("by"),
        below: query.get("below").and_then(|below| below.parse().ok()),
    };
    let queue = &frame.app.calls;
    let (acts, now) = tokio::try_join!(queue.acts(&filter, PAGE + 1), queue.now())?;
    let mut acts = frame.see(acts)?;
    let is_more = acts.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
    acts.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let row = |act: &Act| {
        let detail = serde_json::to_string(&act.detail).unwrap_or_default();
        vec![
            time(act.at, now),
            html! { (text(&act.by)) @if act.login != act.by { span.soft { " as " (text(&act.login)) } } },
            html! { strong { (words(&act.act)) } " " (words(&act.kind)) },
            text_or_none(act.name.as_deref()),
            text_or_none(act.why.as_deref()),
            html! { @if detail != "{}" { details id={ "act-" (act.seq) } { summary { "Show" } code { (crate::shown::plain(&detail)) } } } },
        ]
    };
    let rows: Vec<_> = acts.iter().map(row).collect();
    let inside = table(
        "Acts",
        &["When", "Who", "What", "Name", "Why", "Detail"],
        &rows,
        "No act is like that.",
    );
    let next = acts.last().filter(|_| is_more).map(|act| {
        let mut next = form_urlencoded::Serializer::new(String::new());
        for name in ["act", "kind", "name", "by"] {
            next.extend_pairs(query.get(name).map(|value| (name, value)));
        }
        next.append_pair("below", &act.seq.to_string());
        format!("acts?{}", next.finish())
    });
    let field = |name: &str, label: &str| {
        html! {
            p.field { label for=(name) { (label) } input id=(name) name=(name) value=[query.get(name)] size="12"; }
        }
    };
    let body = html! {
        h1 { "Audit" }
        form.filters {
            (field("act", "Act")) (field("kind", "Of a")) (field("name", "Name")) (field("by", "Who"))
            button { "Filter" }
        }
        (section("acts", "What was done, newest first", &html! {}, &inside))
        @if let Some(next) = next { p { a.button href=(frame.to(&next)) { "Older" } } }
    };
    Ok(frame.page("Audit", &body))
}

/// `GET /ui/endpoints`
pub(in crate::http) async fn endpoints(frame: Frame) -> Result<Response, Problem> {
    let queue = &frame.app.calls;
    let (endpoints, now) = tokio::try_join!(queue.endpoints(None), queue.now())?;
    let endpoints = frame.see(endpoints)?;
    let row = |endpoint: &Endpoint| {
        let state = if endpoint.paused {
            badge(Tone::Warn, "paused")
        } else if endpoint.failures > 0 {
            badge(Tone::Bad, "fails")
        } else {
            badge(Tone::Good, "open")
        };
        let why = endpoint
            .paused_why
            .as_deref()
            .or(endpoint.last_error.as_deref());
        // Seconds of a lag; what is longer than a century is as bad.
        #[expect(clippy::cast_possible_truncation, reason = "clamped")]
        let lag = endpoint
            .lag_sec
            .map(|lag| chrono::TimeDelta::seconds(lag.clamp(0.0, 3e9) as i64));
        vec![
            html! { (text(&endpoint.name)) },
            html! { (state) @if let Some(why) = why { " " (text(why)) } },
            html! { (text(&endpoint.url)) },
            html! { (text(&endpoint.kinds.join(", "))) },
            html! { (count(endpoint.unfinished)) },
            html! { @match lag { Some(lag) => { (short(lag)) } None => { span.soft { "none" } } } },
            html! { @match endpoint.delivered_at { Some(at) => { (time(at, now)) } None => { span.soft { "never" } } } },
        ]
    };
    let rows: Vec<_> = endpoints.iter().map(row).collect();
    let heads = [
        "Endpoint",
        "State",
        "URL",
        "Events",
        "Unfinished",
        "Behind",
        "Delivered",
    ];
    let empty = "Nobody is told of events. `pgdial endpoints create NAME --url URL` changes that.";
    let inside = table("Endpoints", &heads, &rows, empty);
    let body = html! {
        h1 { "Endpoints" }
        (section("endpoints", "Where events are delivered to", &html! {}, &inside))
    };
    Ok(frame.page("Endpoints", &body))
}

/// `GET /ui/keys`
pub(in crate::http) async fn keys(frame: Frame) -> Result<Response, Problem> {
    let queue = &frame.app.calls;
    let (keys, now) = tokio::try_join!(queue.keys(None, true), queue.now())?;
    let row = |key: &Key| {
        let tone = if key.state == KeyState::Valid {
            Tone::Good
        } else {
            Tone::Calm
        };
        let campaigns = key.campaigns.as_ref().map(|campaigns| campaigns.join(", "));
        vec![
            html! { (text(&key.name)) },
            html! { code { (key.hint) "…" } },
            badge(tone, key.state.as_str()),
            html! { (key.scope.as_str()) },
            text_or_none(campaigns.as_deref()),
            html! { (words(key.numbers.into())) },
            html! { @match key.used_at { Some(at) => { (time(at, now)) } None => { span.soft { "never" } } } },
            html! { @match key.expires_at { Some(at) => { (time(at, now)) } None => { span.soft { "never" } } } },
            html! { (text(&key.created_by)) },
        ]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    let heads = [
        "Key",
        "Begins",
        "State",
        "Scope",
        "Campaigns",
        "Numbers",
        "Used",
        "Expires",
        "Made by",
    ];
    let empty = "There is none: whoever is on this host may do everything. `pgdial keys create NAME --scope operate` makes one.";
    let inside = table("Keys", &heads, &rows, empty);
    let body = html! {
        h1 { "Keys" }
        (section("keys", "Who may use this server", &html! {}, &inside))
    };
    Ok(frame.page("Keys", &body))
}
