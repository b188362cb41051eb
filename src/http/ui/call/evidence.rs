//! Why each dial of a call was allowed: what the claim had looked at.

use maud::{Markup, html};

use super::{
    super::parts::{facts, instant, text, words},
    number, short_id,
};
use crate::flow::view::{DialEvidence, Evidence, ListEntry};

pub(super) fn shown(evidence: &Evidence) -> Markup {
    html! {
        @if evidence.attempts.is_empty() { p.empty { "It has not been dialled." } }
        @for dial in &evidence.attempts {
            details id={ "dial-" (dial.claim_no) } {
                summary { "Attempt " (dial.attempt) ", claim " (dial.claim_no) ", at " (instant(dial.claimed_at)) }
                (facts(&about(dial)))
            }
        }
        @for entry in &evidence.do_not_call { p.wrong { (listed(entry)) } }
    }
}

fn listed(entry: &ListEntry) -> Markup {
    html! {
        (number(&entry.to)) " is on the do-not-call list"
        @if let Some(topic) = &entry.topic { " for the topic " (text(topic)) }
        @if let Some(campaign) = &entry.campaign { " for the campaign " (text(campaign)) }
        ", since " (instant(entry.at)) ", by " (text(&entry.by)) ": " (text(&entry.reason))
    }
}

fn about(dial: &DialEvidence) -> Vec<(&'static str, Markup)> {
    let some = |value: &Option<String>| value.as_deref().map(text);
    let at = |at: Option<chrono::DateTime<chrono::Utc>>| at.map(instant);
    let list = |list: &[String]| (!list.is_empty()).then(|| text(&list.join(", ")));
    let clocks = dial.local_times.iter().map(|(zone, clock)| {
        let clock = clock.as_deref().unwrap_or("not known");
        html! { div { (text(&clock.replace('T', " "))) " " span.soft { (text(zone)) } } }
    });
    let clocks: Vec<Markup> = clocks.collect();
    let days = dial.special_days.iter().map(|day| {
        html! { div { (text(&day.day)) " " (text(&day.name)) " " span.soft { (text(&day.calendar)) } } }
    });
    let days: Vec<Markup> = days.collect();
    let before = &dial.dials_before;
    let all = [
        ("Number", Some(number(&dial.to))),
        ("Callee's clock", Some(html! { @if clocks.is_empty() { span.soft { "not asked: no calling hours" } } @for clock in clocks { (clock) } })),
        ("Regions", list(&dial.regions)),
        ("Calling hours", Some(html! {
            @match &dial.hours { Some(hours) => { (text(hours)) } None => { span.soft { "none" } } }
            @if let Some(source) = &dial.hours_source { " " span.soft { (text(source)) } }
        })),
        ("Special days", (!days.is_empty()).then(|| html! { @for day in days { (day) } })),
        ("Contact limits", list(&dial.contact_limits)),
        ("Dials before", Some(html! { (before.in_24_hours) " in 24 hours, " (before.in_7_days) " in 7 days" })),
        ("List as of", Some(instant(dial.list_as_of))),
        ("Consent", at(dial.consent_at)),
        ("Consent recorded", some(&dial.consent_ref)),
        ("Consent until", at(dial.consent_expires_at)),
        ("From", dial.from.as_deref().map(number)),
        ("Trunk", some(&dial.trunk)),
        ("Provider's id", dial.provider_call_id.as_deref().map(|id| html! { span.mono { (text(id)) } })),
        ("Answered", at(dial.answered_at)),
        ("Ended", at(dial.ended_at)),
        ("Outcome", dial.outcome.as_deref().map(|word| html! { (words(word)) })),
        ("Disposition", dial.disposition.as_deref().map(|word| html! { (words(word)) })),
        ("Opted out", dial.opted_out.as_ref().map(|out| html! {
            (instant(out.at))
            @if let Some(topic) = &out.topic { ", for the topic " (text(topic)) }
            @if let Some(campaign) = &out.campaign { ", for the campaign " (text(campaign)) }
        })),
        ("Callback", dial.callback.as_ref().map(|asked| html! {
            @if let Some(at) = asked.at { (instant(at)) " " }
            @if let Some(call) = asked.call { span.mono { (short_id(call)) } }
            @if let Some(why) = &asked.why { (text(why)) }
        })),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
