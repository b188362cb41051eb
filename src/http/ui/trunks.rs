//! Trunks: whether each may dial, its slots and doubts, what its platform can do; and the acts on one.

use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::{
    super::{
        lanes::{self, Lane},
        path::Name,
        problem::Problem,
    },
    asking::{Asking, done, needed_why, why},
    form::Form,
    frame::Frame,
    parts::{Tone, badge, count, facts, instant, meter, section, table, text, text_or_none, words},
    twins::Twins,
};
use crate::{
    domain::Scope,
    flow::view::{Trunk, TrunkAdapter},
};

/// `GET /ui/trunks`
pub(in crate::http) async fn list(frame: Frame) -> Result<Response, Problem> {
    let trunks = frame.see(frame.app.calls.trunks(None).await?)?;
    let rows: Vec<_> = trunks.iter().map(|trunk| row(&frame, trunk)).collect();
    let inside = table(
        "Trunks",
        &["Trunk", "State", "Slots", "", "Pace", "Platform"],
        &rows,
        "There is no trunk: `pgdial trunks create NAME` makes one.",
    );
    let body = html! {
        h1 { "Trunks" }
        (section("trunks", "Provider accounts", &html! { (count(trunks.len().try_into().unwrap_or(0))) }, &inside))
    };
    Ok(frame.page("Trunks", &body))
}

fn row(frame: &Frame, trunk: &Trunk) -> Vec<Markup> {
    let platform = trunk
        .adapter
        .as_ref()
        .and_then(|adapter| adapter.name.as_deref());
    vec![
        html! { a href=(frame.to(&format!("trunks/{}", trunk.name))) { (text(&trunk.name)) } },
        html! { (state(trunk)) @if let Some(why) = &trunk.paused_why { " " (text(why)) } },
        html! { span.nowrap { (count(trunk.in_flight)) " of " (count(trunk.slots.into())) } },
        slots(trunk),
        pace(trunk),
        text_or_none(platform),
    ]
}

fn state(trunk: &Trunk) -> Markup {
    if trunk.paused {
        badge(Tone::Warn, "paused")
    } else if trunk.breaker_opened_at.is_some() {
        badge(Tone::Bad, "its provider fails")
    } else {
        badge(Tone::Good, "open")
    }
}

fn slots(trunk: &Trunk) -> Markup {
    let label = format!("{} of {} slots in use", trunk.in_flight, trunk.slots);
    let is_full = trunk.in_flight >= i64::from(trunk.slots);
    let tone = if is_full { Tone::Warn } else { Tone::Calm };
    meter(&label, trunk.in_flight, trunk.slots.into(), tone)
}

fn pace(trunk: &Trunk) -> Markup {
    html! { @match trunk.calls_per_second { Some(pace) => { (pace) " a second" } None => { "no limit" } } }
}

/// `GET /ui/trunks/{name}`
pub(in crate::http) async fn show(
    frame: Frame,
    Name(name, _): Name<Trunk>,
) -> Result<Response, Problem> {
    let trunk = frame.see(one(&frame, &name).await?)?;
    let path = format!("trunks/{}", trunk.name);
    let acts = html! {
        @if frame.may(Scope::Operate) {
            div.buttons {
                @if trunk.paused {
                    a.button href=(frame.to(&format!("{path}/resume"))) { "Resume" }
                } @else {
                    a.button href=(frame.to(&format!("{path}/pause"))) { "Pause" }
                }
                a.button href=(frame.to(&format!("{path}/set"))) { "Adjust" }
            }
        }
    };
    let now = html! {
        (facts(&[
            ("State", html! {
                (state(&trunk))
                @if let Some(why) = &trunk.paused_why { " " (text(why)) }
            }),
            ("Since", html! {
                @if let Some(at) = trunk.paused_at.or(trunk.breaker_opened_at) { (instant(at)) } @else { span.soft { "always" } }
            }),
            ("Paused by", text_or_none(trunk.paused_by.as_deref())),
            ("Slots", html! { (count(trunk.in_flight)) " of " (count(trunk.slots.into())) " in use" (slots(&trunk)) }),
            ("Pace", pace(&trunk)),
        ]))
        @for conflict in &trunk.conflicts { p.wrong { (text(conflict)) } }
    };
    let terms = &trunk.in_effect;
    let relied = facts(&[
        ("Look-up", html! { (words(&terms.look_up)) }),
        ("Same key, one ring", html! { (yes(terms.idempotent)) }),
        (
            "Reports within",
            html! { @match &terms.reports_within { Some(within) => { (within) } None => { "no promise" } } },
        ),
    ]);
    let body = html! {
        div.titled { h1 { (text(&trunk.name)) } (acts) }
        (section("now", "Now", &html! {}, &now))
        (section("terms", "What pgdial relies on", &html! {}, &relied))
        @if let Some(adapter) = &trunk.adapter { (section("adapter", "What its adapter declares", &html! {}, &platform(adapter))) }
    };
    Ok(frame.page(&format!("Trunk {name}"), &body))
}

const fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn platform(adapter: &TrunkAdapter) -> Markup {
    let known = |value: Option<String>| html! { @match value { Some(value) => { (text(&value)) } None => { span.soft { "not known" } } } };
    facts(&[
        ("Account", known(adapter.account.clone())),
        ("Since", instant(adapter.declared_at)),
        (
            "Looks up calls",
            known(adapter.look_up.as_deref().map(words)),
        ),
        (
            "A request sent again",
            known(adapter.idempotency.as_deref().map(words)),
        ),
        (
            "Keeps a key for",
            known(adapter.key_kept.as_ref().map(ToString::to_string)),
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

async fn one(frame: &Frame, name: &str) -> Result<Trunk, Problem> {
    let trunks = frame.app.calls.trunks(Some(name)).await?;
    trunks
        .into_iter()
        .next()
        .ok_or_else(lanes::no_such::<Trunk>)
}

/// `GET /ui/trunks/{name}/pause`
pub(in crate::http) async fn ask_pause(
    frame: Frame,
    Name(name, _): Name<Trunk>,
) -> Result<Response, Problem> {
    let trunk = one(&frame, &name).await?;
    Ok(pausing(&trunk, None).page(&frame))
}

/// `POST /ui/trunks/{name}/pause`
pub(in crate::http) async fn pause(
    frame: Frame,
    Name(name, _): Name<Trunk>,
    form: Form,
) -> Result<Response, Problem> {
    let why = match needed_why(&form) {
        Ok(why) => why,
        Err(problem) => {
            let trunk = one(&frame, &name).await?;
            return Ok(pausing(&trunk, form.get("why")).again(&frame, &problem, &form));
        }
    };
    if !frame
        .app
        .calls
        .pause(Trunk::KIND, &name, &frame.owner.by(), &why)
        .await?
    {
        return Err(lanes::no_such::<Trunk>());
    }
    Ok(done(&frame, &format!("trunks/{name}"), "paused", None))
}

fn pausing(trunk: &Trunk, why: Option<&str>) -> Asking<'static> {
    let name = &trunk.name;
    Asking {
        title: format!("Pause trunk {name}"),
        touches: html! {
            p { "Nothing more is dialled on it, from the next claim on, until somebody resumes it. "
                strong { (count(trunk.in_flight)) } " calls in flight go on to their end." }
        },
        fields: html! {},
        twins: Twins::of("trunks pause", "pause")
            .only_sql("p_kind", &"trunk".into())
            .about("p_name", name)
            .why(why),
        needs_why: true,
        button: "Pause it",
        is_final: false,
        back: format!("trunks/{name}"),
    }
}

/// `GET /ui/trunks/{name}/resume`
pub(in crate::http) async fn ask_resume(
    frame: Frame,
    Name(name, _): Name<Trunk>,
) -> Result<Response, Problem> {
    let trunk = frame.see(one(&frame, &name).await?)?;
    Ok(resuming(&trunk, None).page(&frame))
}

/// `POST /ui/trunks/{name}/resume`
pub(in crate::http) async fn resume(
    frame: Frame,
    Name(name, _): Name<Trunk>,
    form: Form,
) -> Result<Response, Problem> {
    let why = match why(&form) {
        Ok(why) => why,
        Err(problem) => {
            let trunk = frame.see(one(&frame, &name).await?)?;
            return Ok(resuming(&trunk, form.get("why")).again(&frame, &problem, &form));
        }
    };
    if !frame
        .app
        .calls
        .resume(Trunk::KIND, &name, &frame.owner.by(), why.as_deref())
        .await?
    {
        return Err(lanes::no_such::<Trunk>());
    }
    Ok(done(&frame, &format!("trunks/{name}"), "resumed", None))
}

fn resuming(trunk: &Trunk, why: Option<&str>) -> Asking<'static> {
    let name = &trunk.name;
    Asking {
        title: format!("Resume trunk {name}"),
        touches: html! {
            p { "It dials again, up to " strong { (count(i64::from(trunk.slots) - trunk.in_flight)) } " calls at once." }
            @if trunk.paused {
                p { "Paused by " (text_or_none(trunk.paused_by.as_deref())) ": " (text_or_none(trunk.paused_why.as_deref())) }
            }
        },
        fields: html! {},
        twins: Twins::of("trunks resume", "resume")
            .only_sql("p_kind", &"trunk".into())
            .about("p_name", name)
            .why(why),
        needs_why: false,
        button: "Resume it",
        is_final: false,
        back: format!("trunks/{name}"),
    }
}

/// `GET /ui/trunks/{name}/set`
pub(in crate::http) async fn ask_set(
    frame: Frame,
    Name(name, _): Name<Trunk>,
) -> Result<Response, Problem> {
    let trunk = one(&frame, &name).await?;
    Ok(setting(&trunk, &Map::new(), None).page(&frame))
}

/// `POST /ui/trunks/{name}/set`
pub(in crate::http) async fn set(
    frame: Frame,
    Name(name, _): Name<Trunk>,
    form: Form,
) -> Result<Response, Problem> {
    let trunk = one(&frame, &name).await?;
    let changes = changes(&trunk, &form);
    let refusal = match try_set(&frame, &name, &changes, &form).await {
        Ok(()) => return Ok(done(&frame, &format!("trunks/{name}"), "set", None)),
        Err(problem) => problem,
    };
    Ok(setting(&trunk, &changes, form.get("why")).again(&frame, &refusal, &form))
}

async fn try_set(
    frame: &Frame,
    name: &str,
    changes: &Map<String, Value>,
    form: &Form,
) -> Result<(), Problem> {
    let why = needed_why(form)?;
    let changes = Value::Object(changes.clone());
    lanes::needed_change(&changes)?;
    let set = frame
        .app
        .calls
        .set_lane(Trunk::KIND, name, &changes, &frame.owner.by(), Some(&why))
        .await?;
    set.then_some(()).ok_or_else(lanes::no_such::<Trunk>)
}

/// What the form has otherwise than the trunk.
fn changes(trunk: &Trunk, form: &Form) -> Map<String, Value> {
    let mut changes = Map::new();
    let mut change = |name: &str, now: Value| {
        let given = form.get(name).map_or(Value::Null, |text| {
            text.parse::<serde_json::Number>()
                .map_or_else(|_words| text.into(), Value::Number)
        });
        if given != now && form.has(name) {
            changes.insert(name.to_owned(), given);
        }
    };
    change("slots", trunk.slots.into());
    change("callsPerSecond", number(trunk.calls_per_second));
    changes
}

/// As people write it: 2 and not 2.0.
fn number(value: Option<f64>) -> Value {
    value.map_or(Value::Null, |value| {
        value
            .to_string()
            .parse()
            .map_or(json!(value), Value::Number)
    })
}

fn setting(trunk: &Trunk, changes: &Map<String, Value>, why: Option<&str>) -> Asking<'static> {
    let name = &trunk.name;
    let shown = |field: &str, now: Value| match changes.get(field).unwrap_or(&now) {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut example = changes.clone();
    if example.is_empty() {
        example.insert("slots".to_owned(), trunk.slots.into());
    }
    Asking {
        title: format!("Adjust trunk {name}"),
        touches: html! {
            p { "From the next claim on. " strong { (count(trunk.in_flight)) } " calls in flight keep what they were dialled with." }
        },
        fields: html! {
            div.fields {
                p.field {
                    label for="slots" { "Slots" }
                    input #slots name="slots" inputmode="numeric" required value=(shown("slots", trunk.slots.into()));
                    span.soft { "Calls in flight at most, over all processes. Not more than the provider admits." }
                }
                p.field {
                    label for="pace" { "Calls a second" }
                    input #pace name="callsPerSecond" inputmode="decimal" value=(shown("callsPerSecond", number(trunk.calls_per_second)));
                    span.soft { "Blank: no limit." }
                }
            }
        },
        twins: Twins::of("trunks set", "set_trunk")
            .about("p_name", name)
            .changes(&example)
            .why(why),
        needs_why: true,
        button: "Change it",
        is_final: false,
        back: format!("trunks/{name}"),
    }
}
