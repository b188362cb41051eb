//! Calls: a list with its filter in the address, and what the box at the top finds.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::{
    super::{
        cursor::Cursor,
        problem::{Code, Problem},
    },
    call::{link, number, outcome_badge, state},
    frame::{Frame, Query},
    many,
    parts::{count, offered, section, table, text, time, words},
    see_other, told, when,
};
use crate::{
    domain::{CallState, Outcome, Scope},
    flow::{
        board::Board,
        groups::ChangeError,
        listing::{CallFilter, Find, Listed},
        view::CallSummary,
    },
};

/// Calls on a page.
const PAGE: i32 = 50;
/// Calls that a search shows.
const FOUND: i32 = 50;

/// The fields of a filter: their name in the address and in JSON, and what people call them.
const TEXTS: [(&str, &str, &str); 7] = [
    ("to", "Number", ""),
    ("region", "Its region", "US, if it has no +"),
    ("trunk", "Trunk", ""),
    ("providerCallId", "Provider's id", ""),
    ("idempotencyKey", "Idempotency key", ""),
    ("metadata", "Metadata", "lead=4711"),
    ("error", "Words of the error", "… for ids and amounts"),
];
const TIMES: [(&str, &str); 6] = [
    ("createdAfter", "Enqueued from"),
    ("createdBefore", "Enqueued before"),
    ("runAfter", "Due from"),
    ("runBefore", "Due before"),
    ("endedAfter", "Ended from"),
    ("endedBefore", "Ended before"),
];
/// States that people look for together.
const STATES: [(&str, &str); 2] = [
    ("dialing,unresolved,in_call", "in flight"),
    ("completed,failed,canceled,expired,suppressed", "over"),
];

/// A filter as an address has it.
#[derive(Debug, Clone, Default)]
pub(super) struct Chosen {
    pub(super) filter: CallFilter,
    given: Vec<(&'static str, String)>,
}

impl Chosen {
    /// Reads the filter of an address, within the campaigns of a key that is bound to some.
    pub(super) fn read(frame: &Frame, query: &Query) -> Result<Self, Problem> {
        let mut given = Vec::new();
        let names = ["state", "outcome", "campaign"].into_iter();
        for name in names.chain(TEXTS.map(|(name, ..)| name)) {
            if let Some(value) = query.get(name) {
                given.push((name, value.to_owned()));
            }
        }
        for (name, _) in TIMES {
            if let Some(value) = query.get(name) {
                given.push((name, when::read(value)));
            }
        }
        let fields = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
        let fields: Map<String, Value> = fields.collect();
        let mut filter: CallFilter = serde_json::from_value(fields.into())
            .map_err(|error| Problem::new(Code::InvalidQuery, error.to_string()))?;
        filter.campaign = frame.owner.filtered(filter.campaign)?;
        Ok(Self { filter, given })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// This path with the filter as its query.
    pub(super) fn at(&self, path: &str, more: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.given);
        query.extend_pairs(more);
        let query = query.finish();
        if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        }
    }

    fn given(&self, name: &str) -> Option<&str> {
        let mut named = self.given.iter().filter(|(known, _)| *known == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// What it selects, in words.
    pub(super) fn shown(&self, frame: &Frame) -> Markup {
        html! {
            @for (at, (name, value)) in self.given.iter().enumerate() {
                @if at > 0 { ", " }
                span.soft { (label(name)) } " " (text(&frame.see_text(&value.replace(',', ", "))))
            }
        }
    }
}

fn label(name: &str) -> &str {
    let texts = TEXTS.iter().map(|(name, label, _)| (*name, *label));
    let own = [
        ("state", "State"),
        ("outcome", "Outcome"),
        ("campaign", "Campaign"),
    ];
    let mut all = own.into_iter().chain(texts).chain(TIMES);
    all.find(|(known, _)| *known == name)
        .map_or(name, |(_, label)| label)
}

/// `GET /ui/calls`
pub(in crate::http) async fn list(frame: Frame, query: Query) -> Result<Response, Problem> {
    if let Some(sought) = query.get("q") {
        return find(&frame, sought).await;
    }
    let board = frame.app.kept.board(&frame.app.calls).await?;
    let chosen = match Chosen::read(&frame, &query) {
        Ok(chosen) => chosen,
        Err(problem) if problem.code() == Code::InvalidQuery => {
            return Ok(refused(
                &frame,
                &Chosen::default(),
                &board,
                problem.detail(),
            ));
        }
        Err(problem) => return Err(problem),
    };
    let below = query.get("below").map(str::parse::<Cursor>).transpose();
    let below = below.map_err(|_bad| {
        let words = "\"below\" is not one of ours: begin with the first page";
        Problem::new(Code::InvalidQuery, words)
    })?;
    let queue = &frame.app.calls;
    let listed = queue
        .list(&chosen.filter, below.map(|cursor| cursor.0), PAGE)
        .await;
    let Listed { calls, below } = match listed {
        Ok(listed) => listed,
        Err(ChangeError::Refused(words)) => return Ok(refused(&frame, &chosen, &board, &words)),
        Err(other) => return Err(other.into()),
    };
    let now = queue.now().await?;
    let empty = if below.is_some() {
        "None among the calls that this page has visited: the next page goes on."
    } else if chosen.is_empty() {
        "There is no call yet: upload a list, or `pgdial enqueue`."
    } else {
        "No call matches."
    };
    let inside = html! {
        (rows(&frame, calls, now, empty)?)
        @if let Some(below) = below {
            p.buttons {
                a.button rel="next" href=(frame.to(&chosen.at("calls", &[("below", &Cursor(below).to_string())]))) { "Older calls" }
            }
        }
    };
    let body = html! {
        div.titled { h1 { "Calls" } (acts(&frame, &chosen)) }
        (fields(&frame, &chosen, &board))
        (section("calls", "Newest first", &html! {}, &inside))
    };
    Ok(frame.page("Calls", &body))
}

/// What may be done with all calls that the filter selects.
fn acts(frame: &Frame, chosen: &Chosen) -> Markup {
    html! {
        @if frame.may(Scope::Operate) && !chosen.is_empty() {
            div.buttons {
                @for (path, name) in many::offered(&chosen.filter) {
                    a.button href=(frame.to(&chosen.at(path, &[]))) { (name) }
                }
            }
        }
    }
}

fn refused(frame: &Frame, chosen: &Chosen, board: &Board, words: &str) -> Response {
    let body = html! {
        h1 { "Calls" }
        p.wrong role="alert" { (text(&frame.see_text(words))) }
        (fields(frame, chosen, board))
    };
    told(frame.page("Calls", &body), StatusCode::UNPROCESSABLE_ENTITY)
}

async fn find(frame: &Frame, sought: &str) -> Result<Response, Problem> {
    let queue = &frame.app.calls;
    let campaign = frame.owner.filtered(None)?;
    let sought_for = Find {
        text: sought,
        campaign: campaign.as_deref(),
        region: None,
    };
    let found = queue.find(&sought_for, FOUND).await?;
    if let [only] = found.as_slice() {
        return Ok(see_other(&frame.to(&format!("calls/{}", only.id))).into_response());
    }
    let now = queue.now().await?;
    let number = count(found.len().try_into().unwrap_or(0));
    let empty = "No call. Look for a whole number, an id or its beginning, a provider's id, an idempotency key, or metadata as \
                 key=value. Finished calls go after their retention.";
    let body = html! {
        h1 { "Found" }
        p { "Looked for " (text(sought)) }
        (section("found", "Newest first", &html! { (number) }, &rows(frame, found, now, empty)?))
        p { a href=(frame.to("calls")) { "All calls" } }
    };
    Ok(frame.page("Found", &body))
}

/// A table of calls.
pub(super) fn rows(
    frame: &Frame,
    calls: Vec<CallSummary>,
    now: DateTime<Utc>,
    empty: &str,
) -> Result<Markup, Problem> {
    let calls: Vec<CallSummary> = frame.see(calls)?;
    let rows: Vec<_> = calls.iter().map(|call| row(frame, call, now)).collect();
    Ok(table(
        "Calls",
        &[
            "Call", "Number", "Campaign", "State", "Attempts", "In words", "When",
        ],
        &rows,
        empty,
    ))
}

fn row(frame: &Frame, call: &CallSummary, now: DateTime<Utc>) -> Vec<Markup> {
    let at = match (call.ended_at, call.state) {
        (Some(ended), _) => ended,
        (None, CallState::Waiting) => call.run_at,
        (None, _) => call.started_at.unwrap_or(call.created_at),
    };
    vec![
        link(frame, call),
        number(&call.to),
        html! { a href=(frame.to(&format!("campaigns/{}", call.campaign))) { (text(&call.campaign)) } },
        html! { (state(call.state)) @if let Some(outcome) = call.outcome { " " (outcome_badge(outcome)) } },
        html! { span.nowrap { (call.attempt) " of " (call.max_attempts) } },
        html! { @if let Some(error) = &call.last_error { (text(error)) } },
        html! { span.nowrap { (time(at, now)) } },
    ]
}

/// The campaigns and trunks that fields with these lists offer.
pub(super) fn names(frame: &Frame, board: &Board) -> Markup {
    let campaigns = board
        .campaigns
        .iter()
        .map(|campaign| campaign.name.as_str());
    let is_bound = frame.owner.campaigns().is_some();
    let trunks = board.trunks.iter().filter(|_| !is_bound);
    html! {
        (offered("campaigns", campaigns.filter(|name| frame.owner.has(name))))
        (offered("trunks", trunks.map(|trunk| trunk.name.as_str())))
    }
}

fn fields(frame: &Frame, chosen: &Chosen, board: &Board) -> Markup {
    let is_chosen = |name: &str, value: &str| chosen.given(name) == Some(value);
    let known: Vec<&str> = STATES
        .iter()
        .map(|(states, _)| *states)
        .chain(CallState::ALL.iter().map(|state| state.as_str()))
        .collect();
    let others = |name: &str, known: &[&str]| {
        let given = chosen.given(name)?;
        (!known.contains(&given)).then(|| given.to_owned())
    };
    let outcomes: Vec<&str> = Outcome::ALL
        .iter()
        .map(|outcome| outcome.as_str())
        .collect();
    let has_more = TEXTS
        .iter()
        .map(|(name, ..)| *name)
        .chain(TIMES.map(|(name, _)| name))
        .any(|name| chosen.given(name).is_some());
    html! {
        form.choose action=(frame.to("calls")) {
            (names(frame, board))
            div.filters {
                p.field {
                    label for="state" { "State" }
                    select #state name="state" {
                        option value="" { "any" }
                        @for (states, name) in STATES { option value=(states) selected[is_chosen("state", states)] { (name) } }
                        @for one in CallState::ALL { option value=(one.as_str()) selected[is_chosen("state", one.as_str())] { (words(one.as_str())) } }
                        @if let Some(other) = others("state", &known) { option value=(other) selected { (words(&other)) } }
                    }
                }
                p.field {
                    label for="outcome" { "Outcome" }
                    select #outcome name="outcome" {
                        option value="" { "any" }
                        @for one in &outcomes { option value=(one) selected[is_chosen("outcome", one)] { (words(one)) } }
                        @if let Some(other) = others("outcome", &outcomes) { option value=(other) selected { (words(&other)) } }
                    }
                }
                p.field {
                    label for="campaign" { "Campaign" }
                    input #campaign name="campaign" autocomplete="off" list="campaigns" value=[chosen.given("campaign")];
                }
                button.strong { "Show" }
                @if !chosen.is_empty() { a.button href=(frame.to("calls")) { "All calls" } }
            }
            details.more open[has_more] {
                summary { "More filters" }
                div.fields {
                    @for (name, label, hint) in TEXTS {
                        p.field {
                            label for=(name) { (label) }
                            input id=(name) name=(name) autocomplete="off" spellcheck="false" placeholder=(hint)
                                list=[(name == "trunk").then_some("trunks")] value=[chosen.given(name)];
                        }
                    }
                    @for (name, label) in TIMES {
                        p.field {
                            label for=(name) { (label) " (UTC)" }
                            input id=(name) name=(name) type="datetime-local" step="1"
                                value=[chosen.given(name).map(|at| when::field(at.parse().ok()))];
                        }
                    }
                }
            }
        }
    }
}
