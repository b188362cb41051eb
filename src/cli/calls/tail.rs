//! `calls tail`: follows events as they happen. Reads the database directly; the API is not involved.

use std::{sync::Arc, time::Duration};

use super::TailArgs;
use crate::{
    cli::{
        Exit, Failure, Out,
        out::{instant, or_empty, text},
        values,
    },
    flow::{
        Queue,
        events::{Event, EventError, EventFilter, Since, Subscription},
    },
};

/// Interval of the check whether events are withheld.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Events withheld longer than this, in milliseconds, are worth a message.
const WITHHELD: i64 = 3000;

/// Follows until Ctrl-C, or until the reader of our output is gone.
pub(super) async fn run(args: &TailArgs, calls: &Queue, out: &mut Out) -> Result<Exit, Failure> {
    let since = since(args, calls).await?;
    let call = match &args.call {
        Some(call) => Some(call.id(calls).await?),
        None => None,
    };
    let filter = EventFilter {
        kinds: args.kind.clone(),
        campaign: args.campaign.clone(),
        trunk: args.trunk.clone(),
        call,
    };
    let follow = calls.events().since(since.clone()).filter(filter);
    let events = follow.subscribe().await.map_err(failure)?;
    // Ctrl-C is the normal end, so it exits as done.
    tokio::select! {
        ended = follow_to_the_end(events, &since, out) => ended?,
        _interrupted = tokio::signal::ctrl_c() => {}
    }
    Ok(Exit::Ok)
}

async fn since(args: &TailArgs, calls: &Queue) -> Result<Since, Failure> {
    if let Some(cursor) = &args.after {
        return Ok(Since::Cursor(cursor.clone().into()));
    }
    Ok(match args.since {
        None => Since::Now,
        Some(values::Since::Start) => Since::Start,
        Some(values::Since::Instant(at)) => Since::Instant(at),
        // By the database's clock: this host's may be wrong.
        Some(values::Since::Ago(ago)) => Since::Instant(calls.now().await? - ago),
    })
}

async fn follow_to_the_end(
    mut events: Subscription,
    since: &Since,
    out: &mut Out,
) -> Result<(), Failure> {
    let mut is_withheld = false;
    loop {
        match tokio::time::timeout(BETWEEN_LOOKS, events.next()).await {
            Ok(None) => return Ok(()),
            Ok(Some(event)) => {
                let event = event.map_err(failure)?;
                // The stream also yields a few events from before the instant.
                if !matches!(since, Since::Instant(at) if event.at < *at) {
                    write(&event, out)?;
                }
            }
            Err(_elapsed) => is_withheld = tell_withheld(&events, is_withheld, out),
        }
    }
}

fn write(event: &Arc<Event>, out: &mut Out) -> Result<(), Failure> {
    if out.style.json {
        return out.json_line(event.json());
    }
    let line = line(event, out);
    out.line(line.trim_end())
}

/// Time, kind, number, campaign, call, then whatever else the event says.
fn line(event: &Event, out: &Out) -> String {
    let at = instant(event.at);
    let kind = colored(&event.kind, out.style.color);
    let number = or_empty(event.to.as_ref().map(|to| out.phone(to.as_e164())));
    let campaign = event.campaign.as_deref().unwrap_or("-");
    let said = ["outcome", "why", "reason", "by", "owner", "run_at"]
        .into_iter()
        .filter_map(|word| {
            let said = text(event.detail.0.get(word)?);
            (!said.is_empty()).then(|| format!("{word}={said}"))
        });
    let attempt = (event.claim_no > 0).then(|| format!("attempt {}", event.attempt));
    let rest: Vec<String> = attempt.into_iter().chain(said).collect();
    let rest = rest.join("  ");
    let id = event.call_id;
    format!("{at}  {kind}  {number:16}  {campaign:12}  {id}  {rest}")
}

fn colored(kind: &str, color: bool) -> String {
    let kind: String = kind.chars().filter(|c| !c.is_control()).collect();
    let code = match kind.as_str() {
        "completed" => "32",
        "failed" | "unresolved" | "overdue" => "31",
        "active" | "in_call" => "36",
        "retried" | "deferred" => "33",
        _ => "",
    };
    let padded = format!("{kind:11}");
    if color && !code.is_empty() {
        format!("\u{1b}[{code}m{padded}\u{1b}[0m")
    } else {
        padded
    }
}

/// Says on stderr, once per occurrence, why no events come although calls are moving.
fn tell_withheld(events: &Subscription, was_withheld: bool, out: &mut Out) -> bool {
    let heartbeat = events.heartbeat();
    let is_withheld = heartbeat.lag_ms.is_some_and(|ms| ms >= WITHHELD);
    if is_withheld && !was_withheld {
        let holder = heartbeat.held_by.unwrap_or_default();
        let name = text(&holder.application_name.unwrap_or_default().into());
        let pid = holder
            .pid
            .map_or_else(String::new, |pid| format!(" (pid {pid})"));
        out.note(format!(
            "events are held back by an open transaction that has written: {name}{pid}"
        ));
    }
    is_withheld
}

fn failure(error: EventError) -> Failure {
    match error {
        EventError::Refused(words) => Failure::usage(words),
        EventError::Gone(words) => Failure::failed(words),
        EventError::Flow(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_coloured_on_a_terminal_only_and_steers_nothing() {
        assert_eq!(colored("completed", false), "completed  ");
        assert_eq!(colored("completed", true), "\u{1b}[32mcompleted  \u{1b}[0m");
        assert_eq!(colored("a\u{1b}[2J", true), "a[2J       ");
    }
}
