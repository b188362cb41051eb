//! What campaigns and trunks have in common: pausing, resuming, adjusting.

use axum::response::Response;
use maud::{Markup, html};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    super::{
        lanes::{self, Lane},
        problem::Problem,
    },
    asking::{Asking, done, needed_why, why},
    form::Form,
    frame::Frame,
    parts::{count, text, text_or_none, time},
    twins::Twins,
};
use crate::{
    domain::Scope,
    flow::view::{Campaign, Trunk},
};

/// A campaign or a trunk, as its screens need it.
pub(super) trait Shown: Lane + DeserializeOwned {
    fn name(&self) -> &str;
    fn in_flight(&self) -> i64;
    fn is_paused(&self) -> bool;
    /// Who paused it, and why.
    fn pause(&self) -> (Option<&str>, Option<&str>);
    /// What can be set: name in JSON, label, what it means, and the value now.
    fn settings(&self) -> Vec<Setting>;
    /// What follows a resume.
    fn resumed(&self) -> Markup;
}

/// What can be set on a form.
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) about: &'static str,
    pub(super) now: Value,
    /// Whether it is a number rather than a text.
    pub(super) is_number: bool,
}

impl Shown for Trunk {
    fn name(&self) -> &str {
        &self.name
    }

    fn in_flight(&self) -> i64 {
        self.in_flight
    }

    fn is_paused(&self) -> bool {
        self.paused
    }

    fn pause(&self) -> (Option<&str>, Option<&str>) {
        (self.paused_by.as_deref(), self.paused_why.as_deref())
    }

    fn settings(&self) -> Vec<Setting> {
        vec![
            Setting {
                name: "slots",
                label: "Slots",
                about: "Calls in flight at most, over all processes: not more than the provider admits.",
                now: self.slots.into(),
                is_number: true,
            },
            Setting {
                name: "callsPerSecond",
                label: "Calls a second",
                about: "Dials that may begin in a second. Blank: no limit.",
                now: number(self.calls_per_second),
                is_number: true,
            },
        ]
    }

    fn resumed(&self) -> Markup {
        let free = i64::from(self.slots) - self.in_flight;
        html! { "It dials again at once, up to " strong { (count(free.max(0))) } " calls more." }
    }
}

impl Shown for Campaign {
    fn name(&self) -> &str {
        &self.name
    }

    fn in_flight(&self) -> i64 {
        self.in_flight.unwrap_or(0)
    }

    fn is_paused(&self) -> bool {
        self.paused
    }

    fn pause(&self) -> (Option<&str>, Option<&str>) {
        (self.paused_by.as_deref(), self.paused_why.as_deref())
    }

    fn settings(&self) -> Vec<Setting> {
        let text = |name, label, about, now: Value| Setting {
            name,
            label,
            about,
            now,
            is_number: false,
        };
        let number = |name, label, about, now: Value| Setting {
            name,
            label,
            about,
            now,
            is_number: true,
        };
        let optional = |value: Option<&str>| value.map_or(Value::Null, Value::from);
        vec![
            text(
                "trunk",
                "Trunk",
                "Name of the trunk it dials on.",
                self.trunk.as_str().into(),
            ),
            number(
                "cap",
                "Cap",
                "Its calls in flight at most. Blank: only the trunk's slots.",
                self.cap.into(),
            ),
            number(
                "weight",
                "Weight",
                "Its share of the slots beside other campaigns, 1 to 1000.",
                self.weight.into(),
            ),
            number(
                "maxAttempts",
                "Attempts",
                "Of a call whose request names none, 1 to 20.",
                self.max_attempts.into(),
            ),
            text(
                "ringTimeout",
                "Rings for",
                "As in 45s, at most 10m.",
                self.ring_timeout.to_string().into(),
            ),
            text(
                "maxDuration",
                "Lasts for",
                "As in 30m, at most 6h.",
                self.max_duration.to_string().into(),
            ),
            text(
                "callingHours",
                "Calling hours",
                "Name of the hours outside which nothing is dialled. Blank: at any time.",
                optional(self.calling_hours.as_deref()),
            ),
            number(
                "guard",
                "Guard",
                "Dials refused in a row for one reason after which it pauses itself. Blank: never.",
                self.guard.into(),
            ),
        ]
    }

    fn resumed(&self) -> Markup {
        html! { "It dials again from the next claim on, as far as its trunk " (text(&self.trunk)) " and its hours allow." }
    }
}

/// As people write it: 2 and not 2.0.
fn number(value: Option<f64>) -> Value {
    let written = |value: f64| {
        value
            .to_string()
            .parse()
            .map_or(Value::from(value), Value::Number)
    };
    value.map_or(Value::Null, written)
}

/// The path of its screen.
pub(super) fn path<S: Shown>(name: &str) -> String {
    format!("{}s/{name}", S::KIND)
}

/// The one of this name.
pub(super) async fn one<S: Shown>(frame: &Frame, name: &str) -> Result<S, Problem> {
    let all = S::all(&frame.app, Some(name)).await?;
    let lane = all.into_iter().next().ok_or_else(lanes::no_such::<S>)?;
    frame.see(lane)
}

/// The buttons to its acts.
pub(super) fn acts<S: Shown>(frame: &Frame, lane: &S) -> Markup {
    let path = path::<S>(lane.name());
    html! {
        @if frame.may(Scope::Operate) {
            div.buttons {
                @if lane.is_paused() {
                    a.button.strong href=(frame.to(&format!("{path}/resume"))) { "Resume" }
                } @else {
                    a.button href=(frame.to(&format!("{path}/pause"))) { "Pause" }
                }
                a.button href=(frame.to(&format!("{path}/set"))) { "Adjust" }
            }
        }
    }
}

pub(super) async fn ask_pause<S: Shown>(frame: &Frame, name: &str) -> Result<Response, Problem> {
    Ok(pausing(&one::<S>(frame, name).await?, None).page(frame))
}

pub(super) async fn pause<S: Shown>(
    frame: &Frame,
    name: &str,
    form: &Form,
) -> Result<Response, Problem> {
    let why = match needed_why(form) {
        Ok(why) => why,
        Err(problem) => {
            let lane = one::<S>(frame, name).await?;
            return Ok(pausing(&lane, form.get("why")).again(frame, &problem, form));
        }
    };
    if !frame
        .app
        .calls
        .pause(S::KIND, name, &frame.owner.by(), &why)
        .await?
    {
        return Err(lanes::no_such::<S>());
    }
    Ok(done(frame, &path::<S>(name), "paused", None))
}

fn pausing<S: Shown>(lane: &S, why: Option<&str>) -> Asking<'static> {
    let (kind, name) = (S::KIND, lane.name());
    Asking {
        title: format!("Pause {kind} {name}"),
        touches: html! {
            p {
                "Nothing more of it is dialled, from the next claim on, until somebody resumes it. "
                strong { (count(lane.in_flight())) } " calls in flight go on to their end."
            }
        },
        fields: html! {},
        twins: told::<S>("pause", name).why(why),
        needs_why: true,
        button: "Pause it",
        is_final: false,
        back: path::<S>(name),
    }
}

pub(super) async fn ask_resume<S: Shown>(frame: &Frame, name: &str) -> Result<Response, Problem> {
    Ok(resuming(&one::<S>(frame, name).await?, None).page(frame))
}

pub(super) async fn resume<S: Shown>(
    frame: &Frame,
    name: &str,
    form: &Form,
) -> Result<Response, Problem> {
    let why = match why(form) {
        Ok(why) => why,
        Err(problem) => {
            let lane = one::<S>(frame, name).await?;
            return Ok(resuming(&lane, form.get("why")).again(frame, &problem, form));
        }
    };
    if !frame
        .app
        .calls
        .resume(S::KIND, name, &frame.owner.by(), why.as_deref())
        .await?
    {
        return Err(lanes::no_such::<S>());
    }
    Ok(done(frame, &path::<S>(name), "resumed", None))
}

fn resuming<S: Shown>(lane: &S, why: Option<&str>) -> Asking<'static> {
    let (kind, name) = (S::KIND, lane.name());
    let (by, paused_why) = lane.pause();
    Asking {
        title: format!("Resume {kind} {name}"),
        touches: html! {
            @if lane.is_paused() {
                p { "Paused by " (text_or_none(by)) ": " strong { (text_or_none(paused_why)) } }
            } @else {
                p { "It is not paused." }
            }
            p { (lane.resumed()) }
        },
        fields: html! {},
        twins: told::<S>("resume", name).why(why),
        needs_why: false,
        button: "Resume it",
        is_final: false,
        back: path::<S>(name),
    }
}

/// `trunks pause`, and `pgdial.pause` of a trunk.
fn told<S: Shown>(verb: &'static str, name: &str) -> Twins {
    let (kind, command) = (S::KIND, format!("{}s {verb}", S::KIND));
    Twins::of(&command, verb)
        .only_sql("p_kind", &kind.to_string().into())
        .about("p_name", name)
}

pub(super) async fn ask_set<S: Shown>(frame: &Frame, name: &str) -> Result<Response, Problem> {
    let lane = one::<S>(frame, name).await?;
    Ok(setting(&lane, None, &Form::default()).page(frame))
}

pub(super) async fn set<S: Shown>(
    frame: &Frame,
    name: &str,
    form: &Form,
) -> Result<Response, Problem> {
    let lane = one::<S>(frame, name).await?;
    let changes = changes(&lane, form);
    match try_set::<S>(frame, name, &changes, form).await {
        Ok(()) => Ok(done(frame, &path::<S>(name), "set", None)),
        Err(problem) => Ok(setting(&lane, Some(changes), form).again(frame, &problem, form)),
    }
}

async fn try_set<S: Shown>(
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
        .set_lane(S::KIND, name, &changes, &frame.owner.by(), Some(&why))
        .await?;
    set.then_some(()).ok_or_else(lanes::no_such::<S>)
}

/// What the form has otherwise than the lane.
fn changes<S: Shown>(lane: &S, form: &Form) -> Map<String, Value> {
    let mut changes = Map::new();
    for setting in lane
        .settings()
        .into_iter()
        .filter(|setting| form.has(setting.name))
    {
        let given = form
            .get(setting.name)
            .map_or(Value::Null, |text| match text.parse() {
                Ok(number) if setting.is_number => Value::Number(number),
                // The database says what is wrong with it.
                _ => text.into(),
            });
        if given != setting.now {
            changes.insert(setting.name.to_owned(), given);
        }
    }
    changes
}

fn setting<S: Shown>(
    lane: &S,
    changes: Option<Map<String, Value>>,
    form: &Form,
) -> Asking<'static> {
    let (kind, name) = (S::KIND, lane.name());
    let settings = lane.settings();
    let value = |setting: &Setting| {
        let value = changes
            .as_ref()
            .and_then(|changes| changes.get(setting.name))
            .unwrap_or(&setting.now);
        match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    };
    let fields = html! {
        div.fields {
            @for setting in &settings {
                p.field {
                    label for=(setting.name) { (setting.label) }
                    input id=(setting.name) name=(setting.name) value=(value(setting)) autocomplete="off"
                        spellcheck="false" inputmode=[setting.is_number.then_some("decimal")]
                        aria-describedby={ (setting.name) "-about" };
                    span.soft id={ (setting.name) "-about" } { (setting.about) }
                }
            }
        }
    };
    // Before anything was changed: an example.
    let shown = changes
        .filter(|changes| !changes.is_empty())
        .unwrap_or_else(|| {
            let first = settings.iter().find(|setting| !setting.now.is_null());
            first
                .map(|first| (first.name.to_owned(), first.now.clone()))
                .into_iter()
                .collect()
        });
    Asking {
        title: format!("Adjust {kind} {name}"),
        touches: html! {
            p {
                "From the next claim on. " strong { (count(lane.in_flight())) }
                " calls in flight keep what they were dialled with."
            }
        },
        fields,
        twins: Twins::of(
            &format!("{kind}s set"),
            match kind {
                crate::flow::lanes::LaneKind::Campaign => "set_campaign",
                crate::flow::lanes::LaneKind::Trunk => "set_trunk",
            },
        )
        .about("p_name", name)
        .changes(&shown)
        .why(form.get("why")),
        needs_why: true,
        button: "Change it",
        is_final: false,
        back: path::<S>(name),
    }
}

/// Who paused it, since when and why.
pub(super) fn paused(
    by: Option<&str>,
    at: Option<chrono::DateTime<chrono::Utc>>,
    why: Option<&str>,
    now: chrono::DateTime<chrono::Utc>,
) -> Markup {
    html! {
        (text(why.unwrap_or("no reason given")))
        span.soft { " by " (text(by.unwrap_or("nobody knows"))) @if let Some(at) = at { ", " (time(at, now)) } }
    }
}
