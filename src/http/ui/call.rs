//! One call: how it stands, what has happened to it, and why each of its dials was allowed.

use axum::response::Response;
use base64::{Engine, prelude::BASE64_STANDARD};
use maud::{Markup, html};
use serde_json::Value;

use super::{
    super::{path::Id, problem::Problem},
    asking::needed_why,
    form::Form,
    frame::Frame,
    parts::{Tone, badge, count, facts, instant, section, table, text, text_or_none, time, words},
};
use crate::{
    domain::{CallId, CallState, Outcome, Scope, Sight},
    flow::{
        read::Reason,
        view::{Call, CallDelivery, CallSummary, Evidence, WebhookEvent},
    },
};

pub(in crate::http) mod acts;
mod evidence;
mod history;

/// Webhooks on the screen; the API has them all.
const MOST_WEBHOOKS: i64 = 20;
/// Bytes of their bodies.
const MOST_BODIES: i64 = 256 * 1024;
/// Deliveries on the screen.
const MOST_DELIVERIES: i64 = 50;

/// `GET /ui/calls/{id}`, and of the path that shows it unmasked.
pub(in crate::http) async fn show(frame: Frame, Id(id): Id) -> Result<Response, Problem> {
    screen(&frame, id, None).await
}

/// `POST /ui/calls/{id}/unmask`: the same screen with numbers and metadata whole, this once.
pub(in crate::http) async fn unmask(
    mut frame: Frame,
    Id(id): Id,
    form: Form,
) -> Result<Response, Problem> {
    match needed_why(&form) {
        Ok(why) => frame.unmask(&why).await?,
        Err(problem) => return screen(&frame, id, Some(&problem)).await,
    }
    screen(&frame, id, None).await
}

async fn screen(frame: &Frame, id: CallId, wrong: Option<&Problem>) -> Result<Response, Problem> {
    let queue = &frame.app.calls;
    let call = queue.show(id).await?.ok_or_else(Problem::no_such_call)?;
    let call = frame.see(call)?;
    let now = queue.now().await?;
    let reasons: Vec<Reason> = frame.see(queue.why(id).await?)?;
    let evidence = queue
        .evidence(id)
        .await?
        .ok_or_else(Problem::no_such_call)?;
    let evidence: Evidence = frame.see(evidence)?;
    let webhooks = queue
        .call_webhooks(id, None, MOST_WEBHOOKS, MOST_BODIES)
        .await?;
    let deliveries: Vec<CallDelivery> =
        frame.see(queue.call_deliveries(id, MOST_DELIVERIES).await?)?;
    let body = html! {
        div.titled {
            h1 { "Call to " (number(&call.to)) }
            (state(call.state)) @if let Some(outcome) = call.outcome { (outcome_badge(outcome)) }
            (acts::offered(frame, &call, now))
        }
        @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong.detail()) } }
        (section("why", "How it stands", &html! {}, &why(frame, &call, &reasons, now)))
        div.roomy { (section("facts", "Facts", &html! {}, &about(frame, &call, now))) }
        (section("attempts", "Attempts", &html! { (count(size(&call.attempts))) }, &history::attempts(frame, &call)))
        (section("timeline", "Timeline", &html! { "from the moment it was enqueued" }, &history::timeline(&call)))
        @if call.result.is_some() || !call.metadata.is_empty() {
            (section("result", "Metadata and result", &html! {}, &told(&call)))
        }
        (section("webhooks", "Webhooks received", &html! { (count(size(&webhooks.events))) @if webhooks.more { " latest" } },
            &received(frame, &webhooks.events, now)?))
        (section("deliveries", "Deliveries to endpoints", &html! { (count(size(&deliveries))) }, &delivered(&deliveries, now)))
        (section("evidence", "Why each dial was allowed", &html! {}, &evidence::shown(&evidence)))
        (whole(frame, id))
    };
    Ok(frame.page(&format!("Call {id}"), &body))
}

fn size<T>(list: &[T]) -> i64 {
    list.len().try_into().unwrap_or(i64::MAX)
}

/// A number, which never breaks in two.
pub(super) fn number(number: &str) -> Markup {
    html! { span.nowrap { (text(number)) } }
}

/// The first characters of an id: enough to tell calls apart, and what the command line takes.
pub(super) fn short_id(id: CallId) -> String {
    let id = id.to_string();
    id.get(..18).unwrap_or(&id).to_owned()
}

/// The badge of a state.
pub(super) fn state(state: CallState) -> Markup {
    let tone = match state {
        CallState::Waiting | CallState::Canceled | CallState::Expired | CallState::Suppressed => {
            Tone::Calm
        }
        CallState::Dialing | CallState::InCall | CallState::Completed => Tone::Good,
        CallState::Unresolved => Tone::Warn,
        CallState::Failed => Tone::Bad,
    };
    badge(tone, &words(state.as_str()))
}

/// The badge of an outcome.
pub(super) fn outcome_badge(outcome: Outcome) -> Markup {
    let tone = match outcome {
        Outcome::Answered => Tone::Good,
        Outcome::Voicemail
        | Outcome::Busy
        | Outcome::NoAnswer
        | Outcome::Declined
        | Outcome::Canceled => Tone::Calm,
        Outcome::Unknown | Outcome::Capacity | Outcome::Unreachable => Tone::Warn,
        Outcome::InvalidNumber | Outcome::Blocked | Outcome::Account | Outcome::ProviderFault => {
            Tone::Bad
        }
    };
    badge(tone, &words(outcome.as_str()))
}

/// A call in one line, for lists.
pub(super) fn link(frame: &Frame, call: &CallSummary) -> Markup {
    html! { a.mono href=(frame.to(&format!("calls/{}", call.id))) { (short_id(call.id)) } }
}

fn why(
    frame: &Frame,
    call: &Call,
    reasons: &[Reason],
    now: chrono::DateTime<chrono::Utc>,
) -> Markup {
    let (first, others) = match reasons {
        [first, others @ ..] => (Some(first), others),
        [] => (None, &[][..]),
    };
    let until = |reason: &Reason| {
        html! { @if let Some(until) = reason.until { " " span.soft { "until " (instant(until)) ", " (time(until, now)) } } }
    };
    let named = |reason: &Reason| match &reason.object {
        Some(object) if *object != call.id.to_string() => match object.parse::<CallId>() {
            Ok(other) => {
                html! { " " a.mono href=(frame.to(&format!("calls/{other}"))) { (short_id(other)) } }
            }
            Err(_a_name) => html! { " " span.soft { "(" (text(object)) ")" } },
        },
        _ => html! {},
    };
    html! {
        @if let Some(first) = first {
            p.lead { (text(&sentence(&first.message))) (named(first)) (until(first)) }
        }
        @if !others.is_empty() {
            p { "And then:" }
            ul { @for reason in others { li { (text(&reason.message)) (named(reason)) (until(reason)) } } }
        }
    }
}

/// Messages begin in lower case, to stand after a colon.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

fn about(frame: &Frame, call: &Call, now: chrono::DateTime<chrono::Utc>) -> Markup {
    let at = |at: Option<chrono::DateTime<chrono::Utc>>| {
        at.map(|at| html! { (instant(at)) ", " (time(at, now)) })
    };
    let link = |path: String, name: &str| html! { a href=(frame.to(&path)) { (text(name)) } };
    let some = |value: &Option<String>| value.as_deref().map(text);
    let canceled = call.cancel_requested_by.as_deref().map(|by| {
        html! {
            "by " (text(by)) @if let Some(why) = &call.cancel_requested_why { ": " (text(why)) }
            @if let Some(at) = call.cancel_requested_at { ", " (time(at, now)) }
        }
    });
    let all = [
        ("Id", Some(html! { span.mono { (call.id) } })),
        (
            "Numbers",
            call.numbers
                .as_ref()
                .map(|all| html! { @for one in all { (number(one)) " " } }),
        ),
        (
            "Campaign",
            Some(link(format!("campaigns/{}", call.campaign), &call.campaign)),
        ),
        ("Script", Some(text(&call.script_id))),
        (
            "Attempts",
            Some(html! { (call.attempt) " of " (call.max_attempts) }),
        ),
        (
            "Put back",
            (call.deferrals > 0).then(|| html! { (call.deferrals) " times without an attempt" }),
        ),
        ("Priority", Some(html! { (call.priority) })),
        (
            "Not before",
            at((call.state == CallState::Waiting).then_some(call.run_at)),
        ),
        ("Expires", at(call.expires_at)),
        (
            "Trunk",
            call.trunk
                .as_deref()
                .map(|name| link(format!("trunks/{name}"), name)),
        ),
        ("From", call.from.as_deref().map(number)),
        (
            "Provider's id",
            call.provider_call_id
                .as_deref()
                .map(|id| html! { span.mono { (text(id)) } }),
        ),
        ("Last error", some(&call.last_error)),
        (
            "Disposition",
            call.disposition
                .as_deref()
                .map(|word| html! { (words(word)) }),
        ),
        (
            "Time zone",
            call.timezone.as_ref().map(|zones| text(&zones.join(", "))),
        ),
        ("Region", some(&call.region)),
        ("Consent", at(call.consent_at)),
        ("Consent recorded", some(&call.consent_ref)),
        ("Consent until", at(call.consent_expires_at)),
        ("Deadline", at(call.deadline_at)),
        ("Number held until", at(call.hold_until)),
        ("Cancel requested", canceled),
        (
            "Callback of",
            call.callback_of.map(
                |id| html! { a.mono href=(frame.to(&format!("calls/{id}"))) { (short_id(id)) } },
            ),
        ),
        ("Enqueued by", Some(text(&call.owner))),
        (
            "Idempotency key",
            call.idempotency_key
                .as_deref()
                .map(|key| html! { span.mono { (text(key)) } }),
        ),
        ("Enqueued", at(Some(call.created_at))),
        ("First claimed", at(call.started_at)),
        ("Answered", at(call.answered_at)),
        ("Ended", at(call.ended_at)),
    ];
    let known: Vec<(&str, Markup)> = all
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    facts(&known)
}

/// What the caller gave and what the provider reported, folded.
fn told(call: &Call) -> Markup {
    html! {
        @if !call.metadata.is_empty() {
            details id="metadata" { summary { "Metadata" } (json(&Value::Object(call.metadata.clone()))) }
        }
        @if let Some(result) = &call.result {
            details id="reported" { summary { "Result" } (json(result)) }
        }
    }
}

/// JSON to read, as text of somebody else.
pub(super) fn json(value: &Value) -> Markup {
    let written = serde_json::to_string_pretty(value).unwrap_or_default();
    html! { pre tabindex="0" { code dir="ltr" { (text(&written)) } } }
}

fn received(
    frame: &Frame,
    events: &[(WebhookEvent, Vec<u8>)],
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Markup, Problem> {
    let mut rows = Vec::new();
    for (event, body) in events {
        let event: WebhookEvent = frame.see(event.clone())?;
        rows.push(vec![
            html! { (time(event.received_at, now)) },
            verdict(&event),
            text_or_none(event.status.as_deref()),
            html! { span.mono { (text(&event.event_id)) } @if event.deliveries > 1 { " " span.soft { (count(event.deliveries)) " times" } } },
            body_of(frame, event.id, body),
        ]);
    }
    Ok(table(
        "Webhooks received",
        &["Received", "Verdict", "Status", "Event", "Body"],
        &rows,
        "The provider has reported nothing.",
    ))
}

fn verdict(event: &WebhookEvent) -> Markup {
    let tone = match event.verdict.as_str() {
        "applied" => Tone::Good,
        "parked" | "late_answer" => Tone::Warn,
        "mismatch" | "unparsable" | "unmatched" => Tone::Bad,
        _ => Tone::Calm,
    };
    badge(tone, &words(&event.verdict))
}

/// A body is what a provider said of a person: only where numbers are shown whole.
fn body_of(frame: &Frame, id: i64, body: &[u8]) -> Markup {
    if frame.is_masked() {
        let bytes = count(size(body));
        return html! { span.soft { (bytes) " bytes, hidden" } };
    }
    let shown = match serde_json::from_slice::<Value>(body) {
        Ok(value) => json(&value),
        Err(_not_json) => {
            let written = std::str::from_utf8(body)
                .map_or_else(|_bytes| BASE64_STANDARD.encode(body), str::to_owned);
            html! { pre tabindex="0" { code { (text(&written)) } } }
        }
    };
    html! { details id={ "body-" (id) } { summary { "Body" } (shown) } }
}

fn delivered(deliveries: &[CallDelivery], now: chrono::DateTime<chrono::Utc>) -> Markup {
    let rows: Vec<_> = deliveries
        .iter()
        .map(|one| {
            let it = &one.delivery;
            let tone = match it.state.as_str() {
                "delivered" => Tone::Good,
                "given_up" => Tone::Bad,
                _ => Tone::Calm,
            };
            vec![
                html! { (text(&one.endpoint)) },
                html! { (words(&it.kind)) },
                html! { (badge(tone, &words(it.state.as_str()))) },
                html! { (it.attempts) },
                html! { @if let Some(status) = it.status { (status) } @else { (text_or_none(it.error.as_deref())) } },
                html! { (time(it.ended_at.or(it.next_at).unwrap_or(it.at), now)) },
            ]
        })
        .collect();
    table(
        "Deliveries to endpoints",
        &["Endpoint", "Event", "State", "Attempts", "Response", "When"],
        &rows,
        "No endpoint gets events of this call.",
    )
}

/// The form that shows numbers whole, for whoever may see them.
fn whole(frame: &Frame, id: CallId) -> Markup {
    if !frame.is_masked() {
        return html! {
            p.soft { "Numbers and metadata are shown whole on this page, once; the reason is in the audit log. "
                a href=(frame.to(&format!("calls/{id}"))) { "Mask them again" } }
        };
    }
    if frame.owner.numbers() == Sight::Masked || !frame.may(Scope::Read) {
        return html! { p.soft { "Your key shows numbers and metadata masked." } };
    }
    html! {
        details id="whole" {
            summary { "Show numbers, metadata and bodies whole" }
            form.act method="post" action=(frame.to(&format!("calls/{id}/unmask"))) {
                (frame.token())
                p.field {
                    label for="unmask-why" { "Reason" }
                    input #unmask-why name="why" maxlength="500" required aria-describedby="unmask-about";
                    span.soft #unmask-about { "Kept in the audit log, with your key's name, before anything is shown." }
                }
                p.buttons { button.strong { "Show them once" } }
            }
        }
    }
}
