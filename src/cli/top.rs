//! `top`: a live view over the whole screen. Reads the queue once a second and follows the events. Changes nothing
//! except by the keys for pause and resume.
//!
//! [`state`] is what is known, [`view`] how it looks; neither does any input or output.

use std::{io, time::Duration};

use crossterm::event::EventStream;
use futures_util::StreamExt;
use ratatui::DefaultTerminal;
use tokio::time::{MissedTickBehavior, interval};

use super::{Exit, Failure, Out, out::Numbers};
use crate::domain::CallId;
use crate::flow::{
    Queue,
    cancel::Canceled,
    events::{Event, EventError, Subscription},
    groups::{ChangeError, GroupKind},
};

mod state;
mod view;

#[cfg(test)]
mod picture;
#[cfg(test)]
mod tests;

use self::state::{Act, Top};

/// Interval at which the queue is read and the screen drawn.
const TICK: Duration = Duration::from_secs(1);

/// Puts the terminal back on every way out; on a panic a hook does so before the message is printed.
struct Screen(DefaultTerminal);

impl Screen {
    fn take() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nowhere left to report a failure.
        ratatui::try_restore().unwrap_or_default();
    }
}

/// Runs until `q`.
pub async fn run(calls: &Queue, by: &str, out: &Out) -> Result<Exit, Failure> {
    if !out.style.terminal || out.style.json {
        return Err(Failure::usage("`top` fills a terminal, and stdout is none")
            .hint("`pgdial ops live` prints the calls in flight once, `pgdial calls tail` what happens"));
    }
    let events = calls.events().subscribe().await.map_err(unfollowed)?;
    let board = calls.board().await?;
    let mut top = Top::new(out.style.numbers == Numbers::Full, out.style.color);
    top.show(board);
    let mut screen = Screen::take()?;
    let ended = follow(&mut screen.0, &mut top, events, calls, by).await;
    drop(screen);
    ended?;
    Ok(Exit::Ok)
}

async fn follow(
    terminal: &mut DefaultTerminal,
    top: &mut Top,
    mut events: Subscription,
    calls: &Queue,
    by: &str,
) -> Result<(), Failure> {
    let mut keys = EventStream::new();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            key = keys.next() => {
                let Some(key) = key.transpose()? else { return Ok(()) };
                match top.press(&key) {
                    Act::Quit => return Ok(()),
                    Act::Nothing => {}
                    Act::Open(id) => top.opened = opened(id, calls).await,
                    act => top.say(change(act, calls, by).await),
                }
            }
            _ = ticks.tick() => {
                match calls.board().await {
                    Ok(board) => top.show(board),
                    Err(error) => top.say(format!("the database does not answer: {error}")),
                }
                top.held(events.heartbeat());
            }
            event = events.next() => {
                match event {
                    Some(Ok(event)) => see_all(top, &event, &mut events),
                    Some(Err(error)) => return Err(unfollowed(error)),
                    None => return Ok(()),
                }
                // The next tick draws it, so that a flood of events does not redraw the screen per event.
                continue;
            }
        }
        terminal.draw(|frame| view::draw(top, frame))?;
    }
}

fn see_all(top: &mut Top, first: &Event, events: &mut Subscription) {
    top.see(first);
    while let Some(event) = events.next_ready() {
        top.see(&event);
    }
}

/// Pauses, resumes or cancels, and returns the result in words.
async fn change(act: Act, calls: &Queue, by: &str) -> String {
    let (kind, name, done) = match act {
        Act::Pause(kind, name, why) => {
            let done = calls.pause(kind, &name, by, &why).await;
            (
                kind,
                name,
                done.map(|found| (found, "paused"))
                    .map_err(ChangeError::from),
            )
        }
        Act::Resume(kind, name, why) => {
            let done = calls.resume(kind, &name, by, why.as_deref()).await;
            (kind, name, done.map(|found| (found, "dialling again")))
        }
        Act::Cancel(id, why) => {
            return match calls.cancel(id, by, why.as_deref()).await {
                Ok(Canceled::Canceled) => format!("{id} is canceled"),
                Ok(Canceled::Requested) => format!("the provider is asked to end {id}"),
                Ok(Canceled::AlreadyOver) => format!("{id} was over already"),
                Ok(Canceled::NotFound) => format!("there is no call {id} any more"),
                Err(error) => format!("{id} was not canceled: {error}"),
            };
        }
        Act::Open(_) | Act::Quit | Act::Nothing => return String::new(),
    };
    let group = match kind {
        GroupKind::Campaign => "campaign",
        GroupKind::Trunk => "trunk",
    };
    match done {
        Ok((true, word)) => format!("{group} {name} is {word}"),
        Ok((false, _)) => format!("there is no {group} {name} any more"),
        Err(error) => format!("{group} {name} was not changed: {error}"),
    }
}

/// A call and why it is where it is, in lines.
async fn opened(id: CallId, calls: &Queue) -> Vec<String> {
    match calls.why(id).await {
        Ok(reasons) if reasons.is_empty() => vec![format!("there is no call {id} any more")],
        Ok(reasons) => {
            let reasons = reasons.into_iter().map(|reason| reason.message);
            std::iter::once(id.to_string()).chain(reasons).collect()
        }
        Err(error) => vec![format!("{id} cannot be read: {error}")],
    }
}

fn unfollowed(error: EventError) -> Failure {
    match error {
        EventError::Refused(words) | EventError::Gone(words) => Failure::failed(words),
        EventError::Flow(error) => error.into(),
    }
}
