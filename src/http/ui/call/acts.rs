//! The acts on one call. Each is asked about at the path that does it.

use axum::response::Response;
use chrono::{DateTime, Utc};
use clap::ValueEnum;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::{
    super::{
        super::{
            calls::{self},
            path::Id,
            problem::{Code, Problem},
        },
        asking::{Asking, done, needed_why},
        form::Form,
        frame::Frame,
        parts::{instant, text, words},
        twins::{Twins, WHAT},
        when,
    },
    number, state,
};
use crate::{
    domain::{CallId, CallState, Outcome, Resolution, Scope},
    flow::{
        amend::Amended, cancel::Canceled, matching::Batch, redrive::Redriven, release::Released,
        resolve::Resolved, view::Call,
    },
};

/// What may be done with a call as it is now. The database decides again.
pub(super) fn offered(frame: &Frame, call: &Call, now: DateTime<Utc>) -> Markup {
    let is_flying = matches!(
        call.state,
        CallState::Dialing | CallState::Unresolved | CallState::InCall
    );
    let is_waiting = call.state == CallState::Waiting;
    let is_over = !is_flying && !is_waiting;
    let is_late = call.deadline_at.is_some_and(|deadline| deadline <= now);
    let was_given_up = call.state == CallState::Failed && call.outcome == Some(Outcome::Unknown);
    let is_doubtful = call.state == CallState::Unresolved || is_flying && is_late || was_given_up;
    let is_held = call.hold_until.is_some_and(|until| until > now);
    let all = [
        ("amend", "Change", Scope::Enqueue, is_waiting),
        (
            "cancel",
            "Cancel",
            Scope::Enqueue,
            !is_over && call.cancel_requested_at.is_none(),
        ),
        ("resolve", "Resolve the doubt", Scope::Operate, is_doubtful),
        (
            "release",
            "Release its number",
            Scope::Operate,
            is_held && !is_flying,
        ),
        ("redrive", "Ring again", Scope::Operate, is_over),
    ];
    html! {
        div.buttons {
            @for (path, name, scope, is_possible) in all {
                @if is_possible && frame.may(scope) {
                    a.button href=(frame.to(&format!("calls/{}/{path}", call.id))) { (name) }
                }
            }
        }
    }
}

async fn one(frame: &Frame, id: CallId) -> Result<Call, Problem> {
    let call = frame.app.calls.show(id).await?;
    frame.see(call.ok_or_else(Problem::no_such_call)?)
}

fn about(call: &Call) -> Markup {
    html! {
        p { "The call to " (number(&call.to)) " of the campaign " (text(&call.campaign)) ", enqueued " (instant(call.created_at)) ", is " (state(call.state)) }
    }
}

fn back(id: CallId) -> String {
    format!("calls/{id}")
}

/// `GET /ui/calls/{id}/cancel`
pub(in crate::http) async fn ask_cancel(frame: Frame, Id(id): Id) -> Result<Response, Problem> {
    Ok(canceling(&one(&frame, id).await?, None).page(&frame))
}

/// `POST /ui/calls/{id}/cancel`
pub(in crate::http) async fn cancel(
    frame: Frame,
    Id(id): Id,
    form: Form,
) -> Result<Response, Problem> {
    let refusal = match try_cancel(&frame, id, &form).await {
        Ok(()) => return Ok(done(&frame, &back(id), "canceled", None)),
        Err(problem) => problem,
    };
    let call = one(&frame, id).await?;
    Ok(canceling(&call, form.get("why")).again(&frame, &refusal, &form))
}

async fn try_cancel(frame: &Frame, id: CallId, form: &Form) -> Result<(), Problem> {
    let why = needed_why(form)?;
    let by = frame.owner.by();
    match frame.app.calls.cancel(id, &by, Some(&why)).await? {
        Canceled::Canceled | Canceled::Requested => Ok(()),
        Canceled::AlreadyOver => Err(Problem::new(
            Code::AlreadyOver,
            "the call is over: there is nothing to cancel",
        )),
        Canceled::NotFound => Err(Problem::no_such_call()),
    }
}

fn canceling(call: &Call, why: Option<&str>) -> Asking<'static> {
    let id = call.id;
    Asking {
        title: format!("Cancel call {id}"),
        touches: html! {
            (about(call))
            @if call.state == CallState::Waiting {
                p { "It will not ring." }
            } @else {
                p { "It is in flight: the provider is asked to end it, until it agrees or the call ends. It is not tried again." }
            }
        },
        fields: html! {},
        twins: Twins::of("calls cancel", "cancel")
            .about("p_id", &id.to_string())
            .why(why),
        button: Some("Cancel it"),
        is_final: true,
        back: back(id),
    }
}

/// `GET /ui/calls/{id}/redrive`
pub(in crate::http) async fn ask_redrive(frame: Frame, Id(id): Id) -> Result<Response, Problem> {
    let call = one(&frame, id).await?;
    let refused = refused_redrive(&frame, &call).await?;
    Ok(redriving(&call, refused.as_ref(), &Form::default()).page(&frame))
}

/// Why it could not be rung again now, even by force.
async fn refused_redrive(frame: &Frame, call: &Call) -> Result<Option<Problem>, Problem> {
    let batch = Batch {
        filter: &json!({ "ids": [call.id] }),
        limit: 1,
        dry_run: true,
        cursor: None,
        by: &frame.owner.by(),
        why: "preview",
    };
    let tried = frame.app.calls.redrive_matching(&batch, true).await?;
    let verdict = tried.verdicts.into_keys().next();
    let verdict: Option<Redriven> = verdict
        .map(|verdict| serde_json::from_value(verdict.into()))
        .transpose()
        .map_err(|error| Problem::internal().cause(error))?;
    Ok(match verdict {
        Some(Redriven::Waiting) => None,
        Some(refused) => Some(calls::not_redriven(refused, call.hold_until)),
        // The filter of the act selects calls that are over.
        None => Some(calls::not_redriven(Redriven::NotOver, None)),
    })
}

/// `POST /ui/calls/{id}/redrive`
pub(in crate::http) async fn redrive(
    frame: Frame,
    Id(id): Id,
    form: Form,
) -> Result<Response, Problem> {
    let refusal = match try_redrive(&frame, id, &form).await {
        Ok(()) => return Ok(done(&frame, &back(id), "redriven", None)),
        Err(problem) => problem,
    };
    let call = one(&frame, id).await?;
    Ok(redriving(&call, None, &form).again(&frame, &refusal, &form))
}

async fn try_redrive(frame: &Frame, id: CallId, form: &Form) -> Result<(), Problem> {
    let why = needed_why(form)?;
    let (by, force) = (frame.owner.by(), form.has("force"));
    let redriven = frame.app.calls.redrive(id, &by, Some(&why), force).await?;
    match redriven {
        (Redriven::Waiting, _) => Ok(()),
        (Redriven::NeedsForce, _) => Err(Problem::new(
            Code::NeedsForce,
            "somebody has answered the call: check the box to ring them again",
        )),
        (refused, until) => Err(calls::not_redriven(refused, until)),
    }
}

fn redriving(call: &Call, refused: Option<&Problem>, form: &Form) -> Asking<'static> {
    let id = call.id;
    let mut twins = Twins::of("calls redrive", "redrive").about("p_id", &id.to_string());
    if form.has("force") {
        twins = twins
            .only_command(&["--force"])
            .only_sql("p_force", &true.into());
    }
    Asking {
        title: format!("Ring call {id} again"),
        touches: html! {
            (about(call))
            @match refused {
                Some(problem) => { p { strong { "It cannot be rung again now: " } (problem.detail()) "." } },
                None => { p { "It waits again, with all its " strong { (call.max_attempts) } " attempts, and is dialled as soon as its campaign may." } },
            }
        },
        fields: html! {
            p.field {
                label { input type="checkbox" name="force" checked[form.has("force")]; " Even if somebody has answered it: they are rung again" }
            }
        },
        twins: twins.why(form.get("why")),
        button: refused.is_none().then_some("Ring it again"),
        is_final: false,
        back: back(id),
    }
}

/// `GET /ui/calls/{id}/resolve`
pub(in crate::http) async fn ask_resolve(frame: Frame, Id(id): Id) -> Result<Response, Problem> {
    Ok(resolving(&one(&frame, id).await?, &Form::default()).page(&frame))
}

/// `POST /ui/calls/{id}/resolve`
pub(in crate::http) async fn resolve(
    frame: Frame,
    Id(id): Id,
    form: Form,
) -> Result<Response, Problem> {
    let refusal = match try_resolve(&frame, id, &form).await {
        Ok(()) => return Ok(done(&frame, &back(id), "resolved", None)),
        Err(problem) => problem,
    };
    let call = one(&frame, id).await?;
    Ok(resolving(&call, &form).again(&frame, &refusal, &form))
}

/// What came of a dial, as the form says.
pub(in crate::http::ui) fn resolution(form: &Form) -> Result<Resolution, Problem> {
    let given = form.get("as").unwrap_or_default();
    Resolution::value_variants()
        .iter()
        .find(|one| one.as_str() == given)
        .copied()
        .ok_or_else(|| Problem::new(Code::InvalidRequest, "choose what came of the dial"))
}

async fn try_resolve(frame: &Frame, id: CallId, form: &Form) -> Result<(), Problem> {
    let r#as = resolution(form)?;
    let why = needed_why(form)?;
    let claim_no = form.get("claim").and_then(|claim| claim.parse().ok());
    let by = frame.owner.by();
    let (resolved, state) = frame
        .app
        .calls
        .resolve(id, r#as, claim_no, &by, &why)
        .await?;
    match resolved {
        Resolved::Resolved => Ok(()),
        refused => Err(calls::not_resolved(refused, state)),
    }
}

/// The choice of what came of a dial.
pub(in crate::http::ui) fn resolution_field(form: &Form) -> Markup {
    html! {
        p.field {
            label for="as" { "What came of it" }
            select #as name="as" required {
                option value="" { "Choose" }
                @for one in Resolution::value_variants() {
                    option value=(one.as_str()) selected[form.get("as") == Some(one.as_str())] { (words(one.as_str())) }
                }
            }
            span.soft { "Not placed: nobody was rung, so it waits again without having used up an attempt. Only if you know it: the provider's console says." }
        }
    }
}

fn resolving(call: &Call, form: &Form) -> Asking<'static> {
    let id = call.id;
    let twins = Twins::of("calls resolve", "resolve")
        .about("p_id", &id.to_string())
        .with("--as", "p_as", &form.get("as").unwrap_or(WHAT).into())
        .with("--claim-no", "p_claim_no", &call.claim_no.into())
        .why(form.get("why"));
    Asking {
        title: format!("Resolve call {id}"),
        touches: html! {
            (about(call))
            p {
                "Its dial, claim " (call.claim_no) ", ends as you say, and its slot is free. So is its number, unless you \
                 say that it is unknown: then it stays taken for as long as it may still ring."
            }
        },
        fields: html! {
            // Only this dial: it may have been claimed again by the time the form is sent.
            input type="hidden" name="claim" value=(call.claim_no);
            (resolution_field(form))
        },
        twins,
        button: Some("Resolve it"),
        is_final: false,
        back: back(id),
    }
}

/// `GET /ui/calls/{id}/release`
pub(in crate::http) async fn ask_release(frame: Frame, Id(id): Id) -> Result<Response, Problem> {
    Ok(releasing(&one(&frame, id).await?, None).page(&frame))
}

/// `POST /ui/calls/{id}/release`
pub(in crate::http) async fn release(
    frame: Frame,
    Id(id): Id,
    form: Form,
) -> Result<Response, Problem> {
    let refusal = match try_release(&frame, id, &form).await {
        Ok(()) => return Ok(done(&frame, &back(id), "released", None)),
        Err(problem) => problem,
    };
    let call = one(&frame, id).await?;
    Ok(releasing(&call, form.get("why")).again(&frame, &refusal, &form))
}

async fn try_release(frame: &Frame, id: CallId, form: &Form) -> Result<(), Problem> {
    let why = needed_why(form)?;
    let by = frame.owner.by();
    match frame.app.calls.release(id, &by, &why).await? {
        Released::Released => Ok(()),
        Released::NotHeld => Err(Problem::new(Code::NotInDoubt, "the call holds no number")),
        Released::NotFound => Err(Problem::no_such_call()),
    }
}

fn releasing(call: &Call, why: Option<&str>) -> Asking<'static> {
    let id = call.id;
    Asking {
        title: format!("Release the number of call {id}"),
        touches: html! {
            (about(call))
            @if let Some(until) = call.hold_until { p { "Nobody knows how its last dial ended, so its number is held until " (instant(until)) "." } }
            p { "Once released, the number may be rung again at once. Only if you know that it no longer rings." }
        },
        fields: html! {},
        twins: Twins::of("release", "release")
            .about("p_id", &id.to_string())
            .why(why),
        button: Some("Release it"),
        is_final: true,
        back: back(id),
    }
}

/// `GET /ui/calls/{id}/amend`
pub(in crate::http) async fn ask_amend(frame: Frame, Id(id): Id) -> Result<Response, Problem> {
    let call = one(&frame, id).await?;
    Ok(amending(&call, &Map::new(), &Form::default()).page(&frame))
}

/// `POST /ui/calls/{id}/amend`
pub(in crate::http) async fn amend(
    frame: Frame,
    Id(id): Id,
    form: Form,
) -> Result<Response, Problem> {
    let call = one(&frame, id).await?;
    let changes = changes(&call, &form);
    let refusal = match try_amend(&frame, id, &changes, &form).await {
        Ok(()) => return Ok(done(&frame, &back(id), "amended", None)),
        Err(problem) => problem,
    };
    Ok(amending(&call, &changes, &form).again(&frame, &refusal, &form))
}

async fn try_amend(
    frame: &Frame,
    id: CallId,
    changes: &Map<String, Value>,
    form: &Form,
) -> Result<(), Problem> {
    let why = needed_why(form)?;
    if changes.is_empty() {
        let words = "nothing is changed: give another value";
        return Err(Problem::new(Code::InvalidRequest, words));
    }
    let changes = Value::Object(changes.clone());
    let by = frame.owner.by();
    let amended = frame
        .app
        .calls
        .amend_if(id, &by, Some(&why), &changes, None)
        .await?;
    match amended {
        Amended::Amended => Ok(()),
        refused => Err(calls::not_amended(refused)),
    }
}

/// What the form has otherwise than the call.
fn changes(call: &Call, form: &Form) -> Map<String, Value> {
    let mut changes = Map::new();
    let mut change = |name: &str, now: String, value: fn(&str) -> Value| {
        let given = form.get(name).unwrap_or_default();
        if form.has(name) && given != now {
            changes.insert(name.to_owned(), value(given));
        }
    };
    change("priority", call.priority.to_string(), whole);
    change("maxAttempts", call.max_attempts.to_string(), whole);
    change("runAt", when::field(Some(call.run_at)), instant_or_null);
    change("expiresAt", when::field(call.expires_at), instant_or_null);
    changes
}

/// As a number if it is one: else SQL says what it should have been.
fn whole(text: &str) -> Value {
    text.parse::<i64>()
        .map_or_else(|_words| text.into(), Value::from)
}

fn instant_or_null(text: &str) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        when::read(text).into()
    }
}

fn amending(call: &Call, changes: &Map<String, Value>, form: &Form) -> Asking<'static> {
    let id = call.id;
    let shown = |name: &str, now: String| form.get(name).map_or(now, str::to_owned);
    let mut example = changes.clone();
    if example.is_empty() {
        example.insert("priority".to_owned(), 9.into());
    }
    let item = serde_json::json!([{
        "id": id, "why": form.get("why").unwrap_or("REASON"), "changes": example,
    }]);
    let mut twins = Twins::of("calls amend", "amend_many")
        .only_command(&[id.to_string().as_str()])
        .only_sql("p_items", &item);
    for (name, value) in &example {
        twins = twins.option(name, value);
    }
    Asking {
        title: format!("Change call {id}"),
        touches: html! { (about(call)) p { "From the next claim on." } },
        fields: html! {
            div.fields {
                p.field {
                    label for="priority" { "Priority" }
                    input #priority name="priority" inputmode="numeric" required value=(shown("priority", call.priority.to_string()));
                    span.soft { "0 to 9; higher goes first." }
                }
                p.field {
                    label for="maxAttempts" { "Attempts at most" }
                    input #maxAttempts name="maxAttempts" inputmode="numeric" required value=(shown("maxAttempts", call.max_attempts.to_string()));
                    span.soft { (call.attempt) " are used." }
                }
                p.field {
                    label for="runAt" { "Not before (UTC)" }
                    input #runAt name="runAt" type="datetime-local" step="1" required value=(shown("runAt", when::field(Some(call.run_at))));
                }
                p.field {
                    label for="expiresAt" { "Expires (UTC)" }
                    input #expiresAt name="expiresAt" type="datetime-local" step="1" value=(shown("expiresAt", when::field(call.expires_at)));
                    span.soft { "Blank: never." }
                }
            }
        },
        twins: twins.only_command(&["--why", form.get("why").unwrap_or("REASON")]),
        button: Some("Change it"),
        is_final: false,
        back: back(id),
    }
}
