//! What `top` knows and what its keys do. No input, no output, no clock: time is the database's.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::{
    domain::{CallId, Phone},
    flow::{
        board::Board,
        events::{Event, Heartbeat},
        groups::GroupKind,
    },
};

/// Seconds over which rates are averaged.
pub(super) const WINDOW_SECONDS: i64 = 10;
/// Pickups kept for the percentiles.
const PICKUPS: usize = 1000;
/// Calls whose due time is kept until they are claimed.
const DUE: usize = 20_000;
/// Events shown.
const LAST: usize = 50;
const LONGEST_WHY: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    Quit,
    Pause(GroupKind, String, String),
    /// With the reason, if one was typed.
    Resume(GroupKind, String, Option<String>),
    /// Show why the call is where it is.
    Open(CallId),
    /// With the reason, if one was typed.
    Cancel(CallId, Option<String>),
}

/// The list that keys act on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pane {
    #[default]
    Campaigns,
    Trunks,
    Calls,
}

/// What a reason is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    Pause(GroupKind, String),
    Resume(GroupKind, String),
    Cancel(CallId),
}

/// The prompt at the bottom of the screen: for the reason of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asking {
    pub(super) what: Asked,
    /// As typed so far.
    pub(super) why: String,
}

impl Asking {
    const fn of(what: Asked) -> Self {
        Self {
            what,
            why: String::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Enqueued,
    Dialed,
    Ended,
}

#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) at: DateTime<Utc>,
    pub(super) kind: String,
    pub(super) to: Option<Phone>,
    pub(super) campaign: String,
    pub(super) outcome: String,
}

/// Events per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) enqueued: f64,
    pub(super) dialed: f64,
    pub(super) ended: f64,
}

/// Everything shown on the screen.
#[derive(Debug, Default)]
pub(super) struct Top {
    pub(super) full_numbers: bool,
    pub(super) color: bool,
    pub(super) board: Option<Board>,
    pub(super) heartbeat: Heartbeat,
    pub(super) last: VecDeque<Seen>,
    pub(super) asking: Option<Asking>,
    pub(super) words: String,
    /// A call that was opened, in lines; empty: none is.
    pub(super) opened: Vec<String>,
    pub(super) pane: Pane,
    chosen: [usize; 3],
    counted: VecDeque<(DateTime<Utc>, Counted)>,
    due: HashMap<CallId, DateTime<Utc>>,
    pickups: VecDeque<TimeDelta>,
}

impl Top {
    pub(super) fn new(full_numbers: bool, color: bool) -> Self {
        Self {
            full_numbers,
            color,
            ..Self::default()
        }
    }

    /// Takes a new snapshot of the queue.
    pub(super) fn show(&mut self, board: Board) {
        let since = board.now - TimeDelta::seconds(WINDOW_SECONDS);
        self.counted.retain(|(at, _)| *at > since);
        self.board = Some(board);
        self.choose(0);
    }

    /// Notes how far the events lag behind.
    pub(super) fn held(&mut self, heartbeat: Heartbeat) {
        self.heartbeat = heartbeat;
    }

    /// Sets the message at the bottom.
    pub(super) fn say(&mut self, words: String) {
        self.words = words;
    }

    /// Counts and shows one event.
    pub(super) fn see(&mut self, event: &Event) {
        let counted = match event.kind.as_str() {
            "waiting" => Some(Counted::Enqueued),
            "in_call" => Some(Counted::Dialed),
            "completed" | "failed" | "canceled" | "expired" | "suppressed" => Some(Counted::Ended),
            _ => None,
        };
        self.counted.extend(counted.map(|what| (event.at, what)));
        self.time_pickup(event);
        self.last.push_front(Seen {
            at: event.at,
            kind: printable(&event.kind),
            to: event.to.clone(),
            campaign: printable(event.campaign.as_deref().unwrap_or_default()),
            outcome: printable(event.outcome.as_deref().unwrap_or_default()),
        });
        self.last.truncate(LAST);
    }

    /// Times a call from when it was due, or enqueued, to its claim.
    fn time_pickup(&mut self, event: &Event) {
        match event.kind.as_str() {
            "waiting" | "retried" | "deferred" => {
                let run_at = event.detail.0.get("run_at").and_then(|at| at.as_str());
                let run_at = run_at.and_then(|at| DateTime::parse_from_rfc3339(at).ok());
                let due = run_at.map_or(event.at, |at| at.to_utc().max(event.at));
                if self.due.len() >= DUE {
                    // The calls are due another day: rather lose samples than let memory grow.
                    self.due.clear();
                }
                self.due.insert(event.call_id, due);
            }
            "active" => {
                if let Some(due) = self.due.remove(&event.call_id) {
                    self.pickups
                        .push_back((event.at - due).max(TimeDelta::zero()));
                    if self.pickups.len() > PICKUPS {
                        self.pickups.pop_front();
                    }
                }
            }
            "canceled" | "expired" | "suppressed" => {
                self.due.remove(&event.call_id);
            }
            _ => {}
        }
    }

    /// Averages over the last [`WINDOW_SECONDS`].
    pub(super) fn rates(&self) -> Rates {
        let of = |what| {
            let count = self
                .counted
                .iter()
                .filter(|(_, counted)| *counted == what)
                .count();
            u32::try_from(count).map_or(f64::MAX, f64::from) / 10.0
        };
        Rates {
            enqueued: of(Counted::Enqueued),
            dialed: of(Counted::Dialed),
            ended: of(Counted::Ended),
        }
    }

    /// The percentile of the latest pickup times; `None` without any.
    pub(super) fn pickup(&self, per_cent: usize) -> Option<TimeDelta> {
        let mut pickups: Vec<TimeDelta> = self.pickups.iter().copied().collect();
        pickups.sort_unstable();
        let at = (pickups.len() * per_cent).div_ceil(100).saturating_sub(1);
        pickups.get(at).copied()
    }

    /// Index of the selected line in a list.
    pub(super) const fn line(&self, of: Pane) -> usize {
        let [campaign, trunk, call] = self.chosen;
        match of {
            Pane::Campaigns => campaign,
            Pane::Trunks => trunk,
            Pane::Calls => call,
        }
    }

    /// The same, if keys act on that list.
    pub(super) fn selected(&self, of: Pane) -> Option<usize> {
        (self.pane == of).then(|| self.line(of))
    }

    /// The campaign or trunk that keys act on, and whether it is paused.
    pub(super) fn group(&self) -> Option<(GroupKind, String, bool)> {
        let board = self.board.as_ref()?;
        let line = self.line(self.pane);
        match self.pane {
            Pane::Campaigns => {
                let campaign = board.campaigns.get(line)?;
                Some((GroupKind::Campaign, campaign.name.clone(), campaign.paused))
            }
            Pane::Trunks => {
                let trunk = board.trunks.get(line)?;
                Some((GroupKind::Trunk, trunk.name.clone(), trunk.paused))
            }
            Pane::Calls => None,
        }
    }

    /// The call that keys act on.
    fn call(&self) -> Option<CallId> {
        let live = &self.board.as_ref()?.live;
        live.get(self.selected(Pane::Calls)?).map(|call| call.id)
    }

    /// Moves the selection, within bounds.
    fn choose(&mut self, by: isize) {
        let Some(board) = &self.board else { return };
        let lengths = [board.campaigns.len(), board.trunks.len(), board.live.len()];
        let panes = [Pane::Campaigns, Pane::Trunks, Pane::Calls];
        for ((pane, line), length) in panes.into_iter().zip(&mut self.chosen).zip(lengths) {
            if pane == self.pane {
                *line = line.saturating_add_signed(by);
            }
            *line = (*line).min(length.saturating_sub(1));
        }
    }

    pub(super) fn press(&mut self, input: &Input) -> Act {
        let Input::Key(key) = input else {
            return Act::Nothing;
        };
        if key.kind == KeyEventKind::Release {
            return Act::Nothing;
        }
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Act::Quit;
        }
        match self.asking.take() {
            Some(asking) => self.answer(asking, key),
            None => self.command(key),
        }
    }

    fn command(&mut self, key: &KeyEvent) -> Act {
        self.words.clear();
        match key.code {
            KeyCode::Esc if !self.opened.is_empty() => self.opened.clear(),
            KeyCode::Char('q') | KeyCode::Esc => return Act::Quit,
            KeyCode::Tab | KeyCode::Right => {
                self.pane = match self.pane {
                    Pane::Campaigns => Pane::Trunks,
                    Pane::Trunks => Pane::Calls,
                    Pane::Calls => Pane::Campaigns,
                };
            }
            KeyCode::BackTab | KeyCode::Left => {
                self.pane = match self.pane {
                    Pane::Campaigns => Pane::Calls,
                    Pane::Trunks => Pane::Campaigns,
                    Pane::Calls => Pane::Trunks,
                };
            }
            KeyCode::Up | KeyCode::Char('k') => self.choose(-1),
            KeyCode::Down | KeyCode::Char('j') => self.choose(1),
            KeyCode::Enter => return self.call().map_or(Act::Nothing, Act::Open),
            KeyCode::Char('c') => {
                self.asking = self.call().map(|id| Asking::of(Asked::Cancel(id)));
            }
            KeyCode::Char('p') => {
                let group = self.group();
                self.asking = group.map(|(kind, name, _)| Asking::of(Asked::Pause(kind, name)));
            }
            KeyCode::Char('r') => match self.group() {
                Some((kind, name, true)) => {
                    self.asking = Some(Asking::of(Asked::Resume(kind, name)));
                }
                Some((_, name, false)) => self.say(format!("{name} is not paused")),
                None => {}
            },
            _ => {}
        }
        Act::Nothing
    }

    fn answer(&mut self, mut asking: Asking, key: &KeyEvent) -> Act {
        let why = asking.why.trim().to_owned();
        match key.code {
            KeyCode::Esc => {
                "nothing was changed".clone_into(&mut self.words);
                return Act::Nothing;
            }
            KeyCode::Enter => {
                let given = (!why.is_empty()).then_some(why);
                match (&asking.what, given) {
                    // A pause needs a reason.
                    (Asked::Pause(..), None) => {}
                    (Asked::Pause(kind, name), Some(why)) => {
                        return Act::Pause(*kind, name.clone(), why);
                    }
                    (Asked::Resume(kind, name), why) => {
                        return Act::Resume(*kind, name.clone(), why);
                    }
                    (Asked::Cancel(id), why) => return Act::Cancel(*id, why),
                }
            }
            KeyCode::Backspace => {
                asking.why.pop();
            }
            KeyCode::Char(c) if asking.why.chars().count() < LONGEST_WHY => asking.why.push(c),
            _ => {}
        }
        self.asking = Some(asking);
        Act::Nothing
    }
}

/// Text of others must not control the terminal.
pub(super) fn printable(text: &str) -> String {
    crate::shown::plain(text)
}
