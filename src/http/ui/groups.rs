//! What campaigns and trunks have in common: pausing, resuming, adjusting.

use axum::response::Response;
use maud::{Markup, html};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    super::{
        groups::{self, Group},
        path::Name,
        problem::Problem,
    },
    asking::{Asking, done, needed_why},
    form::Form,
    frame::Frame,
    parts::{count, text, text_or_none},
    twins::Twins,
};
use crate::{
    domain::Scope,
    flow::{
        groups::GroupKind,
        view::{Campaign, Trunk},
    },
};

/// A campaign or a trunk, as its screens need it.
pub(in crate::http) trait Shown:
    Group + DeserializeOwned + Send + Sync + 'static
{
    fn name(&self) -> &str;
    fn in_flight(&self) -> i64;
    fn is_paused(&self) -> bool;
    /// Who paused it, and why.
    fn pause(&self) -> (Option<&str>, Option<&str>);
    /// What can be set, with the values of this one.
    fn settings(group: Option<&Self>) -> Vec<Setting>;
    /// What follows a resume.
    fn resumed(&self) -> Markup;
}

/// What can be set on a form.
pub(in crate::http) struct Setting {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) about: &'static str,
    pub(super) now: Value,
    pub(super) kind: Kind,
}

/// What a setting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Kind {
    Text,
    Number,
    /// A trunk or calling hours, of those there are.
    Named(Named),
    /// One of these words, or none of them; each with what it means.
    Choice(&'static [(&'static str, &'static str)]),
}

/// What a setting names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Named {
    Trunk,
    CallingHours,
}

/// What may be named.
#[derive(Debug, Default)]
pub(super) struct Names {
    trunks: Vec<String>,
    calling_hours: Vec<String>,
}

impl Names {
    pub(super) async fn of(frame: &Frame) -> Result<Self, Problem> {
        let queue = &frame.app.calls;
        let (trunks, hours) = tokio::try_join!(queue.trunks(None), queue.calling_hours(None))?;
        let trunks = trunks
            .into_iter()
            .filter(|trunk| trunk.archived_at.is_none());
        Ok(Self {
            trunks: trunks.map(|trunk| trunk.name).collect(),
            calling_hours: hours.into_iter().map(|hours| hours.name).collect(),
        })
    }

    /// Those of a kind, and what none of them means, where that may be chosen.
    fn all(&self, named: Named) -> (&[String], Option<&'static str>) {
        match named {
            Named::Trunk => (&self.trunks, None),
            Named::CallingHours => (&self.calling_hours, Some("none: at any time")),
        }
    }
}

impl Setting {
    /// A value of the form, as JSON. What does not fit the database explains.
    fn read(&self, text: Option<&str>) -> Value {
        let Some(text) = text else {
            return Value::Null;
        };
        match (self.kind, text) {
            (Kind::Number, text) => text.parse().map_or(text.into(), Value::Number),
            (Kind::Choice(_), "true" | "false") => (text == "true").into(),
            _ => text.into(),
        }
    }

    /// A value as the form has it.
    fn written(value: &Value) -> String {
        match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    fn field(&self, value: &str, names: &Names) -> Markup {
        let about = format!("{}-about", self.name);
        html! {
            p.field {
                label for=(self.name) { (self.label) }
                @if let Kind::Choice(choices) = self.kind {
                    select id=(self.name) name=(self.name) aria-describedby=(about) {
                        @for (word, meaning) in choices {
                            option value=(word) selected[*word == value] { (meaning) }
                        }
                    }
                } @else if let Kind::Named(named) = self.kind {
                    @let (all, none) = names.all(named);
                    @let value = if value.is_empty() && none.is_none() { "default" } else { value };
                    select id=(self.name) name=(self.name) aria-describedby=(about) {
                        @if let Some(none) = none { option value="" { (none) } }
                        @if !value.is_empty() && !all.iter().any(|name| name == value) { option value=(value) selected { (value) } }
                        @for name in all { option value=(name) selected[name == value] { (name) } }
                    }
                } @else {
                    input id=(self.name) name=(self.name) value=(value) autocomplete="off" spellcheck="false"
                        inputmode=[(self.kind == Kind::Number).then_some("decimal")] aria-describedby=(about);
                }
                span.soft id=(about) { (self.about) }
            }
        }
    }
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

    fn settings(group: Option<&Self>) -> Vec<Setting> {
        let now = |value: fn(&Self) -> Value| group.map_or(Value::Null, value);
        vec![
            Setting {
                name: "slots",
                label: "Slots",
                about: "Calls in flight at most, over all processes: not more than the provider admits.",
                now: now(|group| group.slots.into()),
                kind: Kind::Number,
            },
            Setting {
                name: "callsPerSecond",
                label: "Calls a second",
                about: "Dials that may begin in a second. Blank: no limit.",
                now: now(|group| number(group.calls_per_second)),
                kind: Kind::Number,
            },
            Setting {
                name: "lookUp",
                label: "Looking up a call",
                about: "Whether its provider can be asked about a dial.",
                now: now(|group| group.look_up.clone().into()),
                kind: Kind::Choice(&[
                    ("", "as its adapter declares"),
                    ("none", "it cannot be asked"),
                    ("hint", "what it finds counts"),
                    ("authoritative", "what it does not find was not placed"),
                ]),
            },
            Setting {
                name: "idempotent",
                label: "A request sent again",
                about: "Whether its provider rings once for one Idempotency-Key.",
                now: now(|group| group.idempotent.into()),
                kind: Kind::Choice(&[
                    ("", "as its adapter declares"),
                    ("true", "rings once"),
                    ("false", "rings again"),
                ]),
            },
            Setting {
                name: "reportsWithin",
                label: "First report within",
                about: "Of every call that its provider places, as in 30s. Blank: as its adapter declares.",
                now: now(|group| {
                    group
                        .reports_within
                        .as_ref()
                        .map(ToString::to_string)
                        .into()
                }),
                kind: Kind::Text,
            },
        ]
    }

    fn resumed(&self) -> Markup {
        let free = i64::from(self.slots) - self.in_flight;
        html! { "It dials again at once, unless something else keeps it, up to " strong { (count(free.max(0))) } " calls more." }
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

    fn settings(group: Option<&Self>) -> Vec<Setting> {
        let now = |value: fn(&Self) -> Value| group.map_or(Value::Null, value);
        let text = |name, label, about, now: Value| Setting {
            name,
            label,
            about,
            now,
            kind: Kind::Text,
        };
        let number = |name, label, about, now: Value| Setting {
            name,
            label,
            about,
            now,
            kind: Kind::Number,
        };
        vec![
            Setting {
                name: "trunk",
                label: "Trunk",
                about: "The trunk it dials on.",
                now: now(|group| group.trunk.clone().into()),
                kind: Kind::Named(Named::Trunk),
            },
            number(
                "cap",
                "Cap",
                "Its calls in flight at most. Blank: only the trunk's slots.",
                now(|group| group.cap.into()),
            ),
            number(
                "weight",
                "Weight",
                "Its share of the slots beside other campaigns, 1 to 1000.",
                now(|group| group.weight.into()),
            ),
            number(
                "maxAttempts",
                "Attempts",
                "Of a call whose request names none, 1 to 20.",
                now(|group| group.max_attempts.into()),
            ),
            text(
                "ringTimeout",
                "Rings for",
                "As in 45s, at most 10m.",
                now(|group| group.ring_timeout.to_string().into()),
            ),
            text(
                "maxDuration",
                "Lasts for",
                "As in 30m, at most 6h.",
                now(|group| group.max_duration.to_string().into()),
            ),
            Setting {
                name: "callingHours",
                label: "Calling hours",
                about: "Outside them nothing is dialled. `pgdial hours set` makes others.",
                now: now(|group| group.calling_hours.clone().into()),
                kind: Kind::Named(Named::CallingHours),
            },
            number(
                "guard",
                "Guard",
                "Dials refused or failed in a row for one reason after which it pauses itself. Blank: never.",
                now(|group| group.guard.into()),
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
    let group = all.into_iter().next().ok_or_else(groups::no_such::<S>)?;
    frame.see(group)
}

/// The buttons to its acts.
pub(super) fn acts<S: Shown>(frame: &Frame, group: &S) -> Markup {
    let path = path::<S>(group.name());
    html! {
        @if frame.may(Scope::Operate) {
            div.buttons {
                @if group.is_paused() {
                    a.button.strong href=(frame.to(&format!("{path}/resume"))) { "Resume" }
                } @else {
                    a.button href=(frame.to(&format!("{path}/pause"))) { "Pause" }
                }
                a.button href=(frame.to(&format!("{path}/set"))) { "Adjust" }
            }
        }
    }
}

/// `GET /ui/campaigns/{name}/pause`, and of a trunk.
pub(in crate::http) async fn ask_pause<S: Shown>(
    frame: Frame,
    Name(name, _): Name<S>,
) -> Result<Response, Problem> {
    Ok(pausing(&one::<S>(&frame, &name).await?, None).page(&frame))
}

/// `POST /ui/campaigns/{name}/pause`, and of a trunk.
pub(in crate::http) async fn pause<S: Shown>(
    frame: Frame,
    Name(name, _): Name<S>,
    form: Form,
) -> Result<Response, Problem> {
    let why = match needed_why(&form) {
        Ok(why) => why,
        Err(problem) => {
            let group = one::<S>(&frame, &name).await?;
            return Ok(pausing(&group, form.get("why")).again(&frame, &problem, &form));
        }
    };
    if !frame
        .app
        .calls
        .pause(S::KIND, &name, &frame.owner.by(), &why)
        .await?
    {
        return Err(groups::no_such::<S>());
    }
    Ok(done(&frame, &path::<S>(&name), "paused", None))
}

fn pausing<S: Shown>(group: &S, why: Option<&str>) -> Asking<'static> {
    let (kind, name) = (S::KIND, group.name());
    Asking {
        title: format!("Pause {kind} {name}"),
        touches: html! {
            p {
                "Nothing more of it is dialled, from the next claim on, until somebody resumes it. "
                strong { (count(group.in_flight())) } " calls in flight go on to their end."
            }
        },
        fields: html! {},
        twins: told::<S>("pause", name).why(why),
        button: Some("Pause it"),
        is_final: false,
        back: path::<S>(name),
    }
}

/// `GET /ui/campaigns/{name}/resume`, and of a trunk.
pub(in crate::http) async fn ask_resume<S: Shown>(
    frame: Frame,
    Name(name, _): Name<S>,
) -> Result<Response, Problem> {
    Ok(resuming(&one::<S>(&frame, &name).await?, None).page(&frame))
}

/// `POST /ui/campaigns/{name}/resume`, and of a trunk.
pub(in crate::http) async fn resume<S: Shown>(
    frame: Frame,
    Name(name, _): Name<S>,
    form: Form,
) -> Result<Response, Problem> {
    let why = match needed_why(&form) {
        Ok(why) => why,
        Err(problem) => {
            let group = one::<S>(&frame, &name).await?;
            return Ok(resuming(&group, form.get("why")).again(&frame, &problem, &form));
        }
    };
    if !frame
        .app
        .calls
        .resume(S::KIND, &name, &frame.owner.by(), Some(&why))
        .await?
    {
        return Err(groups::no_such::<S>());
    }
    Ok(done(&frame, &path::<S>(&name), "resumed", None))
}

fn resuming<S: Shown>(group: &S, why: Option<&str>) -> Asking<'static> {
    let (kind, name) = (S::KIND, group.name());
    let (by, paused_why) = group.pause();
    Asking {
        title: format!("Resume {kind} {name}"),
        touches: html! {
            @if group.is_paused() {
                p { "Paused by " (text_or_none(by)) ": " strong { (text_or_none(paused_why)) } }
            } @else {
                p { "It is not paused." }
            }
            p { (group.resumed()) }
        },
        fields: html! {},
        twins: told::<S>("resume", name).why(why),
        button: Some("Resume it"),
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

/// `GET /ui/campaigns/{name}/set`, and of a trunk.
pub(in crate::http) async fn ask_set<S: Shown>(
    frame: Frame,
    Name(name, _): Name<S>,
) -> Result<Response, Problem> {
    let group = one::<S>(&frame, &name).await?;
    let names = Names::of(&frame).await?;
    Ok(setting(&group, None, &Form::default(), &names).page(&frame))
}

/// `POST /ui/campaigns/{name}/set`, and of a trunk.
pub(in crate::http) async fn set<S: Shown>(
    frame: Frame,
    Name(name, _): Name<S>,
    form: Form,
) -> Result<Response, Problem> {
    let group = one::<S>(&frame, &name).await?;
    let changes = changes(&group, &form);
    match try_set::<S>(&frame, &name, &changes, &form).await {
        Ok(()) => Ok(done(&frame, &path::<S>(&name), "set", None)),
        Err(problem) => {
            let names = Names::of(&frame).await?;
            let asking = setting(&group, Some(changes), &form, &names);
            Ok(asking.again(&frame, &problem, &form))
        }
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
    groups::needed_change(&changes)?;
    let set = frame
        .app
        .calls
        .set_group(S::KIND, name, &changes, &frame.owner.by(), Some(&why))
        .await?;
    set.then_some(()).ok_or_else(groups::no_such::<S>)
}

/// What the form has otherwise than the campaign or trunk.
fn changes<S: Shown>(group: &S, form: &Form) -> Map<String, Value> {
    let settings = S::settings(Some(group))
        .into_iter()
        .filter(|setting| form.has(setting.name));
    let changes = settings.filter_map(|setting| {
        let given = setting.read(form.get(setting.name));
        (given != setting.now).then(|| (setting.name.to_owned(), given))
    });
    changes.collect()
}

fn setting<S: Shown>(
    group: &S,
    changes: Option<Map<String, Value>>,
    form: &Form,
    names: &Names,
) -> Asking<'static> {
    let (kind, name) = (S::KIND, group.name());
    let settings = S::settings(Some(group));
    let value = |setting: &Setting| {
        let given = changes
            .as_ref()
            .and_then(|changes| changes.get(setting.name));
        Setting::written(given.unwrap_or(&setting.now))
    };
    let fields = html! {
        div.fields { @for setting in &settings { (setting.field(&value(setting), names)) } }
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
                "From the next claim on. " strong { (count(group.in_flight())) }
                " calls in flight keep what they were dialled with."
            }
        },
        fields,
        twins: told_set(kind, name, &shown).why(form.get("why")),
        button: Some("Change it"),
        is_final: false,
        back: path::<S>(name),
    }
}

fn told_set(kind: GroupKind, name: &str, changes: &Map<String, Value>) -> Twins {
    let verb = match kind {
        GroupKind::Campaign => "set_campaign",
        GroupKind::Trunk => "set_trunk",
    };
    Twins::of(&format!("{kind}s set"), verb)
        .about("p_name", name)
        .changes(changes)
}

/// The fields of a new campaign: those that most want to set.
const NEW: [&str; 4] = ["trunk", "cap", "callingHours", "maxAttempts"];

/// The form of a new campaign, and what it has.
pub(super) fn creating(form: &Form, names: &Names) -> (Asking<'static>, Map<String, Value>) {
    let settings = Campaign::settings(None)
        .into_iter()
        .filter(|setting| NEW.contains(&setting.name));
    let settings: Vec<Setting> = settings.collect();
    let name = form.get("name").unwrap_or("NAME");
    let given = settings
        .iter()
        .filter(|setting| form.get(setting.name).is_some());
    let changes: Map<String, Value> = given
        .map(|setting| {
            (
                setting.name.to_owned(),
                setting.read(form.get(setting.name)),
            )
        })
        .collect();
    let fields = html! {
        p.field {
            label for="name" { "Name" }
            input #name name="name" required maxlength="63" pattern="[a-z0-9][a-z0-9_\\-]*" autocomplete="off" spellcheck="false"
                value=[form.get("name")] aria-describedby="name-about";
            span.soft #name-about { "Lower-case letters, digits, _ and -." }
        }
        div.fields { @for setting in &settings { (setting.field(form.get(setting.name).unwrap_or_default(), names)) } }
    };
    let asking = Asking {
        title: "New campaign".to_owned(),
        touches: html! { p { "It dials the calls that are enqueued for it, as far as its trunk and its hours allow. What is left blank takes its default." } },
        fields,
        twins: Twins::of("campaigns create", "create_campaign")
            .about("p_name", name)
            .changes(&changes)
            .why(form.get("why")),
        button: Some("Create it"),
        is_final: false,
        back: "campaigns".to_owned(),
    };
    (asking, changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_a_command<S: Shown>(group: &S, value: impl Fn(&Setting) -> Value) {
        let changes = S::settings(Some(group))
            .into_iter()
            .map(|setting| (setting.name.to_owned(), value(&setting)));
        let twins = told_set(S::KIND, group.name(), &changes.collect()).why(Some("x"));
        let words = twins.words();
        crate::cli::parses(words.iter().cloned())
            .unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }

    #[test]
    fn every_setting_is_an_option_of_the_command() {
        let trunk: Trunk = serde_json::from_value(serde_json::json!({
            "name": "default", "slots": 30, "callsPerSecond": 0.5, "paused": false, "pausedAt": null, "pausedBy": null,
            "pausedWhy": null, "lookUp": "hint", "idempotent": true, "reportsWithin": "PT30S",
            "inEffect": {"lookUp": "hint", "idempotent": true, "reportsWithin": null}, "conflicts": [], "adapter": null,
            "breakerOpenedAt": null, "inFlight": 0, "reasons": [],
        }))
        .unwrap();
        is_a_command(&trunk, |setting| setting.now.clone());
        is_a_command(&trunk, |setting| {
            if setting.name == "slots" {
                1.into()
            } else {
                Value::Null
            }
        });
        for setting in Trunk::settings(None) {
            let Kind::Choice(choices) = setting.kind else {
                continue;
            };
            for (word, _) in choices {
                let chosen = setting.read(Some(*word).filter(|word| !word.is_empty()));
                let changes = [(setting.name.to_owned(), chosen)].into_iter().collect();
                let words = told_set(GroupKind::Trunk, "default", &changes)
                    .words()
                    .to_vec();
                assert!(
                    crate::cli::parses(words.iter().cloned()).is_ok(),
                    "{words:?}"
                );
            }
        }
    }
}
