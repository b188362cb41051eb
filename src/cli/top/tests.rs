//! The state driven by keys and events, and the picture on an in-memory terminal.

use chrono::{DateTime, TimeDelta, Utc};
use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend};
use serde_json::json;

use super::{
    state::{Act, Top},
    view,
};
use crate::flow::{
    board::Board,
    events::{Event, Heartbeat, Holder},
    groups::GroupKind,
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn board() -> Board {
    serde_json::from_value(json!({
        "now": at(0), "inFlight": 3, "inDoubt": 0, "counted": 10_000,
        "live": [
            {"id": "0197f5e0-0000-7000-8000-000000000001", "to": "+14155550101", "campaign": "default", "trunk": "default",
             "state": "in_call", "claimedAt": at(-95), "deadlineAt": at(1800), "answeredAt": at(-60), "worker": "dial-1:77"},
            {"id": "0197f5e0-0000-7000-8000-000000000002", "to": "+14155550102", "campaign": "spring", "trunk": "eu",
             "state": "unresolved", "claimedAt": at(-4000), "deadlineAt": at(-61), "answeredAt": null, "worker": null},
            {"id": "0197f5e0-0000-7000-8000-000000000003", "to": "+14155550103", "campaign": "spring", "trunk": "eu",
             "state": "dialing", "claimedAt": at(-1), "deadlineAt": at(59), "answeredAt": null, "worker": "dial-2:5"},
        ],
        "campaigns": [
            {"name": "default", "trunk": "default", "cap": null, "paused": false, "pausedWhy": null, "inFlight": 1,
             "room": 29, "reason": null, "waiting": 12},
            {"name": "spring", "trunk": "eu", "cap": 2, "paused": false, "pausedWhy": null, "inFlight": 2,
             "room": 0, "reason": "campaign_full", "waiting": 10001},
            {"name": "winter", "trunk": "eu", "cap": 2, "paused": true, "pausedWhy": "wrong\u{1b}[2Jlist", "inFlight": 0,
             "room": 0, "reason": "campaign_paused", "waiting": 0},
        ],
        "trunks": [
            {"name": "default", "slots": 30, "paused": false, "pausedWhy": null, "breakerOpenedAt": null, "inFlight": 1},
            {"name": "eu", "slots": 10, "paused": false, "pausedWhy": null, "breakerOpenedAt": at(-9), "inFlight": 2},
        ],
    }))
    .unwrap()
}

fn event(seconds: i64, kind: &str, call: u8) -> Event {
    Event::for_tests(&json!({
        "at": at(seconds), "kind": kind, "callId": format!("0197f5e0-0000-7000-8000-0000000000{call:02}"),
        "to": format!("+141555501{call:02}"), "campaign": "spring", "outcome": (kind == "completed").then_some("answered"),
    }))
}

fn top() -> Top {
    let mut top = Top::new(false, false);
    for call in 1..=40 {
        top.see(&event(-8, "waiting", call));
    }
    for call in 1..=20 {
        top.see(&event(-8 + i64::from(call) / 4, "active", call));
        top.see(&event(-2, "in_call", call));
    }
    top.see(&event(-1, "completed", 1));
    top.show(board());
    top
}

fn picture(top: &Top, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(top, frame)).unwrap();
    terminal.backend().to_string()
}

fn press(top: &mut Top, code: KeyCode) -> Act {
    top.press(&Input::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

#[test]
fn the_whole_screen() {
    let mut top = top();
    insta::assert_snapshot!("screen", picture(&top, 100, 28));
    top.held(Heartbeat {
        lag_ms: Some(12_000),
        held_by: Some(Holder {
            pid: Some(4711),
            application_name: Some("night import".to_owned()),
            since: None,
        }),
    });
    let held = picture(&top, 140, 28);
    assert!(
        held.contains("events held back 12s by night import pid 4711"),
        "{held}"
    );
}

#[test]
fn a_call_is_opened_and_cancelled_from_the_list() {
    let mut top = top();
    let id = |n: u8| {
        format!("0197f5e0-0000-7000-8000-00000000000{n}")
            .parse()
            .unwrap()
    };
    press(&mut top, KeyCode::BackTab);
    press(&mut top, KeyCode::Down);
    assert_eq!(press(&mut top, KeyCode::Enter), Act::Open(id(2)));
    top.opened = vec!["nobody knows whether it rings".to_owned()];
    assert!(picture(&top, 100, 30).contains("nobody knows whether it rings"));
    assert_eq!(press(&mut top, KeyCode::Esc), Act::Nothing);
    assert!(!picture(&top, 100, 30).contains("nobody knows"));
    press(&mut top, KeyCode::Char('c'));
    press(&mut top, KeyCode::Char('x'));
    let why = Some("x".to_owned());
    assert_eq!(press(&mut top, KeyCode::Enter), Act::Cancel(id(2), why));
    assert_eq!(press(&mut top, KeyCode::Char('p')), Act::Nothing);
    assert!(top.asking.is_none(), "a call is not paused");
}

/// Nothing runs into its neighbour, and what one chooses is whole.
#[test]
fn sixty_columns_have_room_for_what_matters() {
    let picture = picture(&top(), 60, 24);
    for words in [
        "default",
        "spring",
        "10000+",
        "breaker open",
        "talking",
        "late 1m01s",
        "p95",
    ] {
        assert!(picture.contains(words), "{words} in\n{picture}");
    }
    assert!(!picture.contains("dial-1:77"), "{picture}");
    let header = picture
        .lines()
        .find(|line| line.contains("because"))
        .unwrap();
    assert!(header.contains("in flight room  because"), "{header}");
}

#[test]
fn any_size_of_terminal_is_drawn() {
    let top = top();
    for (width, height) in [(1, 1), (10, 3), (30, 10), (300, 100)] {
        picture(&top, width, height);
    }
}

#[test]
fn numbers_are_masked_unless_told_otherwise() {
    let mut top = top();
    assert!(!picture(&top, 120, 30).contains("+1415555"));
    top.full_numbers = true;
    assert!(picture(&top, 120, 30).contains("+14155550101"));
}

#[test]
fn rates_are_of_ten_seconds_and_what_is_older_is_forgotten() {
    let mut top = top();
    let rates = top.rates();
    assert_eq!((rates.enqueued, rates.dialed, rates.ended), (4.0, 2.0, 0.1));
    assert_eq!(top.pickup(50), Some(TimeDelta::seconds(2)));
    assert_eq!(top.pickup(95), Some(TimeDelta::seconds(4)));
    let mut later = board();
    later.now = at(5);
    top.show(later);
    let rates = top.rates();
    assert_eq!((rates.enqueued, rates.dialed, rates.ended), (0.0, 2.0, 0.1));
}

#[test]
fn a_group_is_paused_with_a_reason_and_never_without() {
    let mut top = top();
    press(&mut top, KeyCode::Down);
    assert_eq!(press(&mut top, KeyCode::Char('p')), Act::Nothing);
    assert_eq!(
        press(&mut top, KeyCode::Enter),
        Act::Nothing,
        "no reason yet"
    );
    for c in "too loud!".chars() {
        assert_eq!(press(&mut top, KeyCode::Char(c)), Act::Nothing);
    }
    press(&mut top, KeyCode::Backspace);
    assert!(picture(&top, 100, 28).contains("pause campaign spring, because"));
    let pause = Act::Pause(
        GroupKind::Campaign,
        "spring".to_owned(),
        "too loud".to_owned(),
    );
    assert_eq!(press(&mut top, KeyCode::Enter), pause);
    // While a reason is being typed, q is a letter.
    press(&mut top, KeyCode::Char('p'));
    assert_eq!(press(&mut top, KeyCode::Char('q')), Act::Nothing);
    assert_eq!(press(&mut top, KeyCode::Esc), Act::Nothing);
    assert_eq!(press(&mut top, KeyCode::Char('q')), Act::Quit);
}

#[test]
fn what_is_paused_dials_again_when_asked_to() {
    let mut top = top();
    assert_eq!(press(&mut top, KeyCode::Char('r')), Act::Nothing);
    assert!(picture(&top, 100, 28).contains("default is not paused"));
    for _ in 0..9 {
        press(&mut top, KeyCode::Down);
    }
    press(&mut top, KeyCode::Char('r'));
    let winter = |why: Option<&str>| {
        Act::Resume(
            GroupKind::Campaign,
            "winter".to_owned(),
            why.map(str::to_owned),
        )
    };
    assert_eq!(press(&mut top, KeyCode::Enter), winter(None));
    press(&mut top, KeyCode::Char('r'));
    for c in "quiet now".chars() {
        press(&mut top, KeyCode::Char(c));
    }
    assert!(picture(&top, 100, 28).contains("resume campaign winter, because"));
    assert_eq!(press(&mut top, KeyCode::Enter), winter(Some("quiet now")));
    press(&mut top, KeyCode::Tab);
    assert_eq!(top.group().unwrap().1, "default");
    assert_eq!(top.group().unwrap().0, GroupKind::Trunk);
}

#[test]
fn a_shorter_list_keeps_the_choice_inside() {
    let mut top = top();
    for _ in 0..9 {
        press(&mut top, KeyCode::Down);
    }
    let mut fewer = board();
    fewer.campaigns.truncate(1);
    top.show(fewer);
    assert_eq!(top.group().unwrap().1, "default");
}
