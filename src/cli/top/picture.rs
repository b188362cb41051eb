//! Renders the README's picture of `top` from `top` itself.

use std::{env, fmt::Write, fs, path::Path};

use chrono::{DateTime, TimeDelta, Utc};
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::{Buffer, Cell},
    style::{Color, Modifier},
};
use serde_json::{Value, json};

use super::{state::Top, view};
use crate::flow::events::Event;

const FILE: &str = "docs/pictures/top.svg";
/// Pixels per character.
const WIDTH: usize = 9;
const HEIGHT: usize = 20;
const STYLE: &str = "svg { background: #0f1720 } \
    text { font: 15px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #d9e2ec } \
    .bold { font-weight: 700; fill: #ffffff } .red { fill: #f86a6a } .yellow { fill: #f7c948 } .cyan { fill: #62d6e8 } \
    .chosen { fill: #334e68 }";

#[test]
fn the_picture_in_the_readme_is_what_top_draws() {
    let mut terminal = Terminal::new(TestBackend::new(104, 25)).unwrap();
    terminal.draw(|frame| view::draw(&top(), frame)).unwrap();
    let drawn = svg(terminal.backend().buffer());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if env::var_os("INSTA_UPDATE").is_some_and(|how| how == "always") {
        fs::write(&path, &drawn).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == drawn,
        "{FILE} shows an older screen: run this test with INSTA_UPDATE=always"
    );
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_798_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn top() -> Top {
    let live = |number: u8, campaign: &str, trunk: &str, state: &str, age: i64, answered: bool| {
        json!({
            "id": id(number), "to": format!("+14155550{number:03}"), "campaign": campaign, "trunk": trunk, "state": state,
            "claimedAt": at(-age), "deadlineAt": at(1980 - age), "answeredAt": answered.then(|| at(8 - age)),
            "worker": "dial-1:412",
        })
    };
    let campaign = |name: &str,
                    trunk: &str,
                    waiting: u32,
                    in_flight: u8,
                    room: u8,
                    reason: Option<&str>| {
        json!({
            "name": name, "trunk": trunk, "cap": null, "paused": reason == Some("campaign_paused"),
            "pausedWhy": (reason == Some("campaign_paused")).then_some("new script"), "inFlight": in_flight,
            "room": room, "reason": reason, "waiting": waiting,
        })
    };
    let trunk = |name: &str, slots: u8, in_flight: u8, breaker: Option<DateTime<Utc>>| {
        json!({
            "name": name, "slots": slots, "paused": false, "pausedWhy": null, "breakerOpenedAt": breaker,
            "inFlight": in_flight,
        })
    };
    let board = json!({
        "now": at(0), "inFlight": 6, "inDoubt": 0, "counted": 10_000,
        "live": [
            live(107, "renewals", "default", "in_call", 312, true),
            live(131, "renewals", "default", "unresolved", 95, false),
            live(118, "spring", "default", "in_call", 64, true),
            live(144, "spring", "default", "in_call", 21, false),
            live(152, "spring", "default", "in_call", 9, false),
            live(160, "renewals", "default", "dialing", 1, false),
        ],
        "campaigns": [
            campaign("renewals", "default", 1284, 3, 0, Some("campaign_full")),
            campaign("spring", "default", 307, 3, 24, None),
            campaign("surveys", "eu", 5120, 0, 0, Some("campaign_paused")),
        ],
        "trunks": [trunk("default", 30, 6, None), trunk("eu", 10, 0, Some(at(-40)))],
    });
    let mut top = Top::new(false, true);
    for number in 100..=160 {
        let dialed = i64::from(number - 100) / 8 - 8;
        top.see(&event(dialed, "waiting", number, Value::Null));
        top.see(&event(dialed, "active", number, Value::Null));
        top.see(&event(dialed + 1, "in_call", number, Value::Null));
    }
    for (number, outcome) in [
        (101, "answered"),
        (103, "no_answer"),
        (102, "voicemail"),
        (104, "answered"),
    ] {
        top.see(&event(0, "completed", number, outcome.into()));
    }
    top.show(serde_json::from_value(board).unwrap());
    top
}

fn id(number: u8) -> String {
    format!("0197f5e0-0000-7000-8000-000000000{number}")
}

#[expect(clippy::needless_pass_by_value, reason = "a literal at each call")]
fn event(seconds: i64, kind: &str, number: u8, outcome: Value) -> Event {
    Event::for_tests(&json!({
        "at": at(seconds), "kind": kind, "callId": id(number), "to": format!("+14155550{number:03}"),
        "campaign": "spring", "outcome": outcome,
    }))
}

fn svg(buffer: &Buffer) -> String {
    let area = buffer.area;
    let (columns, rows) = (usize::from(area.width), usize::from(area.height));
    let mut svg = String::new();
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"pgdial top\">\n\
         <style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0f1720\"/>",
        (columns + 2) * WIDTH,
        (rows + 1) * HEIGHT
    )
    .unwrap();
    for (y, row) in buffer.content.chunks(columns).enumerate() {
        let mut x = 0;
        for same in row.chunk_by(|one, next| look(one) == look(next)) {
            let text: String = same.iter().map(Cell::symbol).collect();
            put(&mut svg, (x, y), text.trim_end(), same);
            x += same.len();
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn put(svg: &mut String, (x, y): (usize, usize), text: &str, cells: &[Cell]) {
    let (class, is_chosen) = look(&cells[0]);
    let (left, top) = ((x + 1) * WIDTH, y * HEIGHT + HEIGHT / 2);
    if is_chosen {
        let width = cells.len() * WIDTH;
        writeln!(svg, "<rect class=\"chosen\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{HEIGHT}\"/>").unwrap();
    }
    let mut column = 0;
    for word in text.split("  ") {
        let (indent, word) = (word.len() - word.trim_start().len(), word.trim());
        if !word.is_empty() {
            let left = left + (column + indent) * WIDTH;
            let word = word.replace('&', "&amp;").replace('<', "&lt;");
            writeln!(
                svg,
                "<text class=\"{class}\" x=\"{left}\" y=\"{}\">{word}</text>",
                top + 15
            )
            .unwrap();
        }
        column += indent + word.chars().count() + 2;
    }
}

/// CSS class of a cell's text, and whether its row is the selected one.
fn look(cell: &Cell) -> (&'static str, bool) {
    let class = match cell.fg {
        Color::Red => "red",
        Color::Yellow => "yellow",
        Color::Cyan => "cyan",
        _ if cell.modifier.contains(Modifier::BOLD) => "bold",
        _ => "plain",
    };
    (class, cell.modifier.contains(Modifier::REVERSED))
}
