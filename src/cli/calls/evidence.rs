//! Why each dial of a call was allowed, for people; JSON passes through unchanged.

use crate::{
    cli::{
        Exit, Failure, Out,
        out::{instant, or_empty},
    },
    flow::view::{DialEvidence, Evidence},
};

/// Prints the object of `GET /calls/{id}/evidence`.
pub(super) fn show(evidence: &Evidence, out: &mut Out) -> Result<Exit, Failure> {
    if out.style.json {
        out.json(evidence)?;
        return Ok(Exit::Ok);
    }
    let mut pairs = vec![
        ("call", evidence.id.to_string()),
        (
            "to",
            match &evidence.numbers {
                Some(numbers) => out.phones(numbers),
                None => out.phone(&evidence.to),
            },
        ),
        ("campaign", evidence.campaign.clone()),
        ("owner", evidence.owner.clone()),
        ("created", instant(evidence.created_at)),
        ("callback of", or_empty(evidence.callback_of)),
    ];
    for entry in &evidence.do_not_call {
        let (at, by) = (instant(entry.at), &entry.by);
        let to = out.phone(&entry.to);
        pairs.push((
            "on the list",
            format!("{to} since {at} by {by}: {}", entry.reason),
        ));
    }
    out.pairs(pairs)?;
    for dial in &evidence.attempts {
        out.line("")?;
        let from = or_empty(dial.from.as_deref().map(|from| out.phone(from)));
        out.pairs(facts(dial, &out.phone(&dial.to), from))?;
    }
    Ok(Exit::Ok)
}

fn facts(dial: &DialEvidence, to: &str, from: String) -> Vec<(&'static str, String)> {
    let time = |at: Option<_>| or_empty(at.map(instant));
    let local = dial
        .local_times
        .iter()
        .map(|(zone, time)| format!("{} {zone}", or_empty(time.as_ref())));
    let days = dial
        .special_days
        .iter()
        .map(|day| format!("{} {} ({})", day.day, day.name, day.calendar));
    let hours = dial.hours.as_ref().map(|name| match &dial.hours_source {
        Some(source) => format!("{name} ({source})"),
        None => name.clone(),
    });
    let before = &dial.dials_before;
    let opted_out = dial.opted_out.as_ref().map(|out| {
        let scope = out
            .topic
            .as_ref()
            .map(|topic| format!(" for topic {topic}"));
        let scope = scope.or_else(|| Some(format!(" for campaign {}", out.campaign.as_ref()?)));
        format!("{}{}", instant(out.at), scope.unwrap_or_default())
    });
    let callback = dial.callback.as_ref().map(|asked| {
        let what = asked.call.map(|call| format!("call {call}"));
        let what = what.or_else(|| asked.why.clone());
        format!("{} {}", time(asked.at), or_empty(what))
            .trim()
            .to_owned()
    });
    vec![
        (
            "attempt",
            format!("{}, claim {}", dial.attempt, dial.claim_no),
        ),
        ("dialed", format!("{to} at {}", instant(dial.claimed_at))),
        ("local time", local.collect::<Vec<_>>().join(", ")),
        ("regions", dial.regions.join(", ")),
        ("calling hours", or_empty(hours)),
        ("special days", days.collect::<Vec<_>>().join(", ")),
        ("contact limits", dial.contact_limits.join(", ")),
        ("consent", time(dial.consent_at)),
        ("consent recorded", or_empty(dial.consent_ref.as_ref())),
        ("consent until", time(dial.consent_expires_at)),
        ("list as of", instant(dial.list_as_of)),
        (
            "dials before",
            format!(
                "{} in 24 hours, {} in 7 days",
                before.in_24_hours, before.in_7_days
            ),
        ),
        ("from", from),
        ("trunk", or_empty(dial.trunk.as_ref())),
        ("provider's id", or_empty(dial.provider_call_id.as_ref())),
        ("answered", time(dial.answered_at)),
        ("ended", time(dial.ended_at)),
        ("as", or_empty(dial.ended_as.as_ref())),
        ("outcome", or_empty(dial.outcome.as_ref())),
        ("disposition", or_empty(dial.disposition.as_ref())),
        ("opted out", or_empty(opted_out)),
        ("callback", or_empty(callback)),
    ]
}
