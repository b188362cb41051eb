//! The audit trail: who did what, and why.

use axum::response::Response;
use maud::html;

use super::{
    super::problem::{Code, Problem},
    frame::{Frame, Query},
    parts::{section, table, text, text_or_none, time, words},
    when,
};
use crate::{
    flow::{acts::ActFilter, view::Act},
    shown,
};

const PAGE: i64 = 50;
/// Bytes of a detail that is shown without being asked for.
const SHORT: usize = 120;

/// `GET /ui/acts`
pub(in crate::http) async fn acts(frame: Frame, query: Query) -> Result<Response, Problem> {
    let given = |name: &str| query.get(name).map(str::to_owned);
    // As the table shows it.
    let word = |name: &str| query.get(name).map(|word| word.trim().replace(' ', "_"));
    let instant = |name: &str| {
        let at = query
            .get(name)
            .map(|text| when::instant(Code::InvalidQuery, name, text));
        at.transpose()
    };
    let filter = ActFilter {
        act: word("act"),
        kind: word("kind"),
        name: given("name"),
        by: given("by"),
        after: instant("after")?,
        before: instant("before")?,
        below: query.get("below").and_then(|below| below.parse().ok()),
    };
    let queue = &frame.app.calls;
    let (acts, now) = tokio::try_join!(queue.acts(&filter, PAGE + 1), queue.now())?;
    let mut acts = frame.see(acts)?;
    let is_more = acts.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
    acts.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let row = |act: &Act| {
        let detail = shown::detail(&act.detail.0, &str::to_owned);
        let parts = html! { @for part in &detail { div { (text(part)) } } };
        vec![
            html! { span.nowrap { (time(act.at, now)) } },
            html! { (text(&act.by)) @if act.login != act.by { span.soft { " as " (text(&act.login)) } } },
            html! { strong { (words(&act.act)) } " " (words(&act.kind)) },
            text_or_none(act.name.as_deref()),
            text_or_none(act.why.as_deref()),
            html! {
                @if detail.iter().map(String::len).sum::<usize>() <= SHORT { (parts) }
                @else { details id={ "act-" (act.seq) } { summary { "Show" } (parts) } }
            },
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
        for name in ["act", "kind", "name", "by", "after", "before"] {
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
    let time_field = |name: &str, label: &str| {
        html! {
            p.field { label for=(name) { (label) } input id=(name) name=(name) type="datetime-local" value=[query.get(name)]; }
        }
    };
    let body = html! {
        h1 { "Audit" }
        form.filters {
            (field("act", "Act")) (field("kind", "Of a")) (field("name", "Name")) (field("by", "Who"))
            (time_field("after", "From (UTC)")) (time_field("before", "Before (UTC)"))
            button { "Filter" }
        }
        (section("acts", "What was done, newest first", &html! {}, &inside))
        @if let Some(next) = next { p { a.button href=(frame.to(&next)) { "Older" } } }
    };
    Ok(frame.page("Audit", &body))
}
