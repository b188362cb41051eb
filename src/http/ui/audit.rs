//! The audit trail: who did what, and why.

use axum::response::Response;
use maud::html;

use super::{
    super::problem::Problem,
    frame::{Frame, Query},
    parts::{section, table, text, text_or_none, time, words},
};
use crate::flow::{acts::ActFilter, view::Act};

const PAGE: i64 = 50;

/// `GET /ui/acts`
pub(in crate::http) async fn acts(frame: Frame, query: Query) -> Result<Response, Problem> {
    let given = |name: &str| query.get(name).map(str::to_owned);
    // As the table shows it.
    let word = |name: &str| query.get(name).map(|word| word.trim().replace(' ', "_"));
    let filter = ActFilter {
        act: word("act"),
        kind: word("kind"),
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
