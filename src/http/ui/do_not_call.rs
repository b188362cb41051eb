//! Numbers not to ring, and numbers to forget.
//!
//! A number is in the body of a form, never in an address: addresses are logged, here and by proxies.

use std::collections::BTreeMap;

use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde_json::json;

use super::{
    super::{
        numbers::{self, not_forgotten, within},
        problem::{Code, Problem},
    },
    asking::{Asking, done, needed_why},
    calls,
    form::Form,
    frame::Frame,
    parts::{count, instant, section, table, text, time},
    twins::Twins,
    when,
};
use crate::{
    domain::{Phone, Scope as KeyScope},
    flow::{
        do_not_call::Scope,
        forget::{Forget, ForgetDoNotCall, ForgetResponse, ForgetVerdict},
        listing::CallFilter,
        matching::Batch,
        view::DoNotCallEntry,
    },
};

/// Entries of the list on the screen.
const NEWEST: i64 = 50;
/// Calls to a number on the screen.
const MOST_CALLS: i32 = 20;
/// Batches of one forgetting before the page answers.
const MOST_BATCHES: usize = 20;
/// The screen, below `/ui/`.
const HERE: &str = "do-not-call";

/// `GET /ui/do-not-call`, and of the paths that only its forms lead to.
pub(in crate::http) async fn show(frame: Frame) -> Result<Response, Problem> {
    screen(&frame, &html! {}, &Form::default()).await
}

/// `POST /ui/do-not-call`: looks a number up.
pub(in crate::http) async fn look_up(frame: Frame, form: Form) -> Result<Response, Problem> {
    let found = match phone(&form) {
        Ok(phone) => about(&frame, &phone).await?,
        Err(problem) => html! { p.wrong role="alert" { (text(problem.detail())) } },
    };
    screen(&frame, &found, &form).await
}

/// The number of a form.
fn phone(form: &Form) -> Result<Phone, Problem> {
    let to = form.get("to").unwrap_or_default();
    numbers::number(to, form.get("region"))
        .map_err(|words| Problem::new(Code::InvalidRequest, words))
}

async fn screen(frame: &Frame, found: &Markup, form: &Form) -> Result<Response, Problem> {
    let queue = &frame.app.calls;
    let now = queue.now().await?;
    let entries: Vec<DoNotCallEntry> = frame.see(queue.do_not_call_list(NEWEST).await?)?;
    let body = html! {
        h1 { "Do not call" }
        form.filters method="post" action=(frame.to(HERE)) {
            (frame.token())
            p.field {
                label for="to" { "Number" }
                input #to name="to" inputmode="tel" autocomplete="off" required value=[form.get("to")];
            }
            p.field {
                label for="region" { "Its region, if it has no +" }
                input #region name="region" size="7" autocomplete="off" placeholder="e.g. US" value=[form.get("region")];
            }
            button.strong { "Look up" }
        }
        (found)
        (section("newest", "Newest entries", &html! { (count(entries.len().try_into().unwrap_or(0))) }, &list(&entries, now)))
    };
    Ok(frame.page("Do not call", &body))
}

fn list(entries: &[DoNotCallEntry], now: DateTime<Utc>) -> Markup {
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            vec![
                html! { span.nowrap { (text(&entry.phone)) } },
                holds_for(entry.topic.as_deref(), entry.campaign.as_deref()),
                html! { @match entry.until { Some(until) => { (instant(until)) } None => { "ever" } } },
                text(&entry.reason),
                text(&entry.by),
                time(entry.at, now),
            ]
        })
        .collect();
    table(
        "The newest entries",
        &["Number", "For", "Until", "Reason", "By", "Added"],
        &rows,
        "The list is empty.",
    )
}

fn holds_for(topic: Option<&str>, campaign: Option<&str>) -> Markup {
    html! {
        @match (topic, campaign) {
            (Some(topic), _) => { "the topic " (text(topic)) },
            (_, Some(campaign)) => { "the campaign " (text(campaign)) },
            (None, None) => { "everything" },
        }
    }
}

/// What is known of a number, and what may be done.
async fn about(frame: &Frame, phone: &Phone) -> Result<Markup, Problem> {
    let queue = &frame.app.calls;
    let entries = queue.do_not_call_of(phone).await?;
    let filter = CallFilter {
        to: Some(phone.as_e164().to_owned()),
        ..CallFilter::default()
    };
    let listed = queue.list(&filter, None, MOST_CALLS).await?;
    let now = queue.now().await?;
    let hidden = html! { (frame.token()) input type="hidden" name="to" value=(phone.as_e164()); };
    let inside = html! {
        @if entries.is_empty() {
            p.lead { "It is not on the list." }
        } @else {
            ul {
                @for entry in &entries {
                    li {
                        "On the list for " (holds_for(entry.topic.as_deref(), entry.campaign.as_deref()))
                        @if let Some(until) = entry.until { " until " (instant(until)) }
                        ", since " (instant(entry.at)) ", by " (text(&entry.by)) ": " (text(&entry.reason))
                        @if frame.may(KeyScope::Operate) {
                            form.beside method="post" action=(frame.to("do-not-call/remove")) {
                                (hidden)
                                @if let Some(topic) = &entry.topic { input type="hidden" name="topic" value=(topic); }
                                @if let Some(campaign) = &entry.campaign { input type="hidden" name="campaign" value=(campaign); }
                                button { "Take off" }
                            }
                        }
                    }
                }
            }
        }
        @if frame.may(KeyScope::Enqueue) {
            form method="post" action=(frame.to("do-not-call/add")) { (hidden) button { "Put on the list" } }
        }
        h3 { "Calls to it" }
        (calls::rows(frame, listed.calls, now, "There is no call to it.")?)
        // Apart, because it is another matter, and final.
        @if frame.may(KeyScope::Admin) {
            h3 { "If its person asks to be forgotten" }
            p { "The number and all that was said with it are erased from every call and log." }
            form method="post" action=(frame.to("do-not-call/forget")) { (hidden) button { "Forget it" } }
        }
    };
    Ok(section("number", phone.as_e164(), &html! {}, &inside))
}

/// Where an entry is to hold, as the form says.
fn scope(form: &Form) -> Result<Scope, Problem> {
    let until = form
        .get("until")
        .map(|text| when::instant(Code::InvalidRequest, "until", text));
    Ok(Scope {
        topic: form.get("topic").map(str::to_owned),
        campaign: form.get("campaign").map(str::to_owned),
        until: until.transpose()?,
    })
}

/// `POST /ui/do-not-call/add`: asks, and with a reason adds.
pub(in crate::http) async fn add(frame: Frame, form: Form) -> Result<Response, Problem> {
    let phone = phone(&form)?;
    if !form.has("why") {
        return Ok(adding(&frame, &phone, &form).await?.page(&frame));
    }
    match try_add(&frame, &phone, &form).await {
        Ok(()) => Ok(done(&frame, HERE, "listed", None)),
        Err(refusal) => Ok(adding(&frame, &phone, &form)
            .await?
            .again(&frame, &refusal, &form)),
    }
}

async fn try_add(frame: &Frame, phone: &Phone, form: &Form) -> Result<(), Problem> {
    let why = needed_why(form)?;
    let scope = scope(form)?;
    within(&scope, &frame.owner)?;
    let by = frame.owner.by();
    let queue = &frame.app.calls;
    queue.do_not_call_add_in(&scope, phone, &by, &why).await?;
    Ok(())
}

async fn adding(frame: &Frame, phone: &Phone, form: &Form) -> Result<Asking<'static>, Problem> {
    let waiting = waiting(frame, phone, form.get("campaign")).await?;
    let mut twins = Twins::of("dnc add", "do_not_call_add")
        .about("p_phone", phone.as_e164())
        .with(
            "--reason",
            "p_reason",
            &form.get("why").unwrap_or("REASON").into(),
        );
    for (field, flag, parameter) in [
        ("topic", "--topic", "p_topic"),
        ("campaign", "--campaign", "p_campaign"),
    ] {
        if let Some(value) = form.get(field) {
            twins = twins.with(flag, parameter, &value.into());
        }
    }
    if let Some(until) = form.get("until") {
        twins = twins.with("--until", "p_until", &when::read(until).into());
    }
    Ok(Asking {
        title: format!(
            "Put {phone} on the do-not-call list",
            phone = phone.as_e164()
        ),
        touches: html! {
            p { strong { (count(waiting)) } @if waiting == 1 { " waiting call" } @else { " waiting calls" } " to it will not ring, if the entry holds for their campaign. Calls in flight are left alone." }
        },
        fields: html! {
            input type="hidden" name="to" value=(phone.as_e164());
            div.fields {
                p.field {
                    label for="campaign" { "Only for the campaign " span.soft { "optional" } }
                    input #campaign name="campaign" autocomplete="off" value=[form.get("campaign")];
                }
                p.field {
                    label for="topic" { "Only for the topic " span.soft { "optional" } }
                    input #topic name="topic" maxlength="100" autocomplete="off" value=[form.get("topic")];
                    span.soft { "Campaigns have topics. Blank, both: for everything." }
                }
                p.field {
                    label for="until" { "Until (UTC) " span.soft { "optional" } }
                    input #until name="until" type="datetime-local" value=[form.get("until")];
                    span.soft { "Blank: for ever." }
                }
            }
        },
        twins,
        button: Some("Put it on the list"),
        is_final: false,
        back: HERE.to_owned(),
    })
}

/// Waiting calls to a number, counted by what would be canceled.
async fn waiting(frame: &Frame, phone: &Phone, campaign: Option<&str>) -> Result<i64, Problem> {
    let filter = json!({ "to": phone.as_e164(), "state": "waiting", "campaign": campaign });
    let by = frame.owner.by();
    let batch = Batch {
        filter: &filter,
        limit: 10_000,
        dry_run: true,
        cursor: None,
        by: &by,
        why: "preview",
    };
    let counted = frame.app.calls.cancel_matching(&batch).await;
    // A campaign that there is not is told when the act is tried.
    Ok(counted.map_or(0, |batched| batched.matched))
}

/// `POST /ui/do-not-call/remove`: asks, and with a reason removes.
pub(in crate::http) async fn remove(frame: Frame, form: Form) -> Result<Response, Problem> {
    let phone = phone(&form)?;
    if !form.has("why") {
        return Ok(removing(&phone, &form).page(&frame));
    }
    match try_remove(&frame, &phone, &form).await {
        Ok(()) => Ok(done(&frame, HERE, "unlisted", None)),
        Err(refusal) => Ok(removing(&phone, &form).again(&frame, &refusal, &form)),
    }
}

async fn try_remove(frame: &Frame, phone: &Phone, form: &Form) -> Result<(), Problem> {
    let why = needed_why(form)?;
    let scope = scope(form)?;
    within(&scope, &frame.owner)?;
    let by = frame.owner.by();
    let queue = &frame.app.calls;
    let removed = queue
        .do_not_call_remove_in(&scope, phone, &by, Some(&why))
        .await?;
    removed.then_some(()).ok_or_else(|| {
        let words = "it has no such entry: somebody has taken it off meanwhile";
        Problem::new(Code::InvalidRequest, words)
    })
}

fn removing(phone: &Phone, form: &Form) -> Asking<'static> {
    let (topic, campaign) = (form.get("topic"), form.get("campaign"));
    let mut twins = Twins::of("dnc remove", "do_not_call_remove").about("p_phone", phone.as_e164());
    if let Some(topic) = topic {
        twins = twins.with("--topic", "p_topic", &topic.into());
    }
    if let Some(campaign) = campaign {
        twins = twins.with("--campaign", "p_campaign", &campaign.into());
    }
    Asking {
        title: format!("Take {} off the do-not-call list", phone.as_e164()),
        touches: html! {
            p { "Its entry for " (holds_for(topic, campaign)) " goes. New calls to it may ring; those that it has suppressed stay so." }
        },
        fields: html! {
            input type="hidden" name="to" value=(phone.as_e164());
            @if let Some(topic) = topic { input type="hidden" name="topic" value=(topic); }
            @if let Some(campaign) = campaign { input type="hidden" name="campaign" value=(campaign); }
        },
        twins: twins.why(form.get("why")),
        button: Some("Take it off"),
        is_final: false,
        back: HERE.to_owned(),
    }
}

/// `POST /ui/do-not-call/forget`: says what it would erase, and with a reason erases.
pub(in crate::http) async fn forget(frame: Frame, form: Form) -> Result<Response, Problem> {
    let phone = phone(&form)?;
    if !form.has("why") {
        return Ok(forgetting(&frame, &phone, &form).await?.page(&frame));
    }
    match try_forget(&frame, &phone, &form).await {
        Ok(calls) => Ok(done(&frame, HERE, "forgotten", Some(calls))),
        Err(refusal) => Ok(forgetting(&frame, &phone, &form)
            .await?
            .again(&frame, &refusal, &form)),
    }
}

/// What happens to its entry, by the words of the form.
const ENTRIES: [(&str, &str, ForgetDoNotCall); 3] = [
    ("keep", "stays, if there is one", ForgetDoNotCall::Keep),
    (
        "add",
        "is made, so that nobody rings it again",
        ForgetDoNotCall::Add,
    ),
    (
        "remove",
        "goes too, so that it may be rung again",
        ForgetDoNotCall::Remove,
    ),
];

fn on_the_list(form: &Form) -> ForgetDoNotCall {
    let known = ENTRIES
        .iter()
        .find(|(word, ..)| form.get("doNotCall") == Some(word));
    known.map_or(ForgetDoNotCall::Keep, |(_, _, chosen)| *chosen)
}

async fn try_forget(frame: &Frame, phone: &Phone, form: &Form) -> Result<i64, Problem> {
    let why = needed_why(form)?;
    let by = frame.owner.by();
    let wanted = Forget {
        phone,
        dry_run: false,
        on_the_list: on_the_list(form),
        by: &by,
        why: &why,
    };
    let mut calls = 0;
    for _ in 0..MOST_BATCHES {
        let forgot = frame.app.calls.forget(&wanted).await?;
        if forgot.verdict != ForgetVerdict::Forgotten {
            return Err(not_forgotten(&forgot));
        }
        calls += forgot.counts.get("calls").copied().unwrap_or(0);
        if !forgot.more {
            return Ok(calls);
        }
    }
    let words = format!("{calls} calls are emptied and there are more: send it again, it goes on");
    Err(Problem::new(Code::InvalidRequest, words))
}

async fn forgetting(frame: &Frame, phone: &Phone, form: &Form) -> Result<Asking<'static>, Problem> {
    let by = frame.owner.by();
    let previewed = Forget {
        phone,
        dry_run: true,
        on_the_list: on_the_list(form),
        by: &by,
        why: "preview",
    };
    let would = frame.app.calls.forget(&previewed).await?;
    let chosen = form.get("doNotCall").unwrap_or("keep");
    let twins = Twins::of("forget", "forget")
        .about("p_phone", phone.as_e164())
        .only_command(&["--yes"])
        .with("--do-not-call", "p_do_not_call", &chosen.into())
        .why(form.get("why"));
    Ok(Asking {
        title: format!("Forget {}", phone.as_e164()),
        touches: touched(&would),
        fields: html! {
            input type="hidden" name="to" value=(phone.as_e164());
            p.field {
                label for="doNotCall" { "Its entry on the do-not-call list" }
                select #doNotCall name="doNotCall" {
                    @for (word, said, _) in ENTRIES { option value=(word) selected[word == chosen] { (said) } }
                }
            }
        },
        twins,
        button: Some("Forget it"),
        is_final: true,
        back: HERE.to_owned(),
    })
}

fn touched(would: &ForgetResponse) -> Markup {
    let rows: Vec<_> = erased(&would.counts)
        .map(|(what, rows)| vec![html! { (what) }, html! { (count(rows)) }])
        .collect();
    html! {
        p { "The number, and what was said with it, goes from every table; waiting calls to it are canceled. What stays is that there were calls: when, on which campaign and trunk, how they ended. It cannot be undone, and does not reach backups or the provider." }
        @if would.verdict != ForgetVerdict::Forgotten {
            p.wrong { "Not now: " (text(not_forgotten(would).detail())) }
        }
        (table("What is emptied", &["What is emptied", "Rows"], &rows, "Nothing holds this number."))
        @if would.more { p { "There are more calls than were counted." } }
    }
}

fn erased(counts: &BTreeMap<String, i64>) -> impl Iterator<Item = (&str, i64)> {
    counts
        .iter()
        .filter(|(_, rows)| **rows > 0)
        .map(|(what, rows)| {
            let what = match what.as_str() {
                "calls" => "calls",
                "waiting" => "of them waiting, to be canceled",
                "callEvents" => "events of these calls",
                "deliveries" => "deliveries of these events to endpoints",
                "webhookEvents" => "webhooks about them",
                "acts" => "acts that name the number",
                "dials" => "dials that limits count",
                "doNotCall" => "entries of the do-not-call list",
                other => other,
            };
            (what, *rows)
        })
}
