//! How `top` looks: a pure function of what is known.

use chrono::{DateTime, TimeDelta, Utc};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Cell, Paragraph, Row, Table, TableState, Wrap},
};

use super::state::{Asked, Pane, Top, WINDOW_SECONDS, printable};
use crate::{
    domain::{CallState, Phone},
    flow::board::{Board, CampaignGroup, LiveCall, TrunkGroup},
};

/// Columns of a terminal from which on everything has room.
const WIDE: u16 = 80;
const KEYS: &str = "q quit  tab lists  ↑↓ choose  p pause  r resume  enter open call  c cancel";
/// Events withheld longer than this, in milliseconds, are worth a message.
const WITHHELD: i64 = 1000;

/// Draws the whole screen.
pub(super) fn draw(top: &Top, frame: &mut Frame<'_>) {
    let Some(board) = &top.board else { return };
    let groups = board.campaigns.len().max(board.trunks.len());
    let groups = u16::try_from(groups).unwrap_or(u16::MAX).clamp(1, 10) + 2;
    let area = frame.area();
    let is_narrow = area.width < WIDE;
    // Side by side, or one below the other.
    let (middle, last) = if is_narrow {
        (2 * groups.min(5), 5)
    } else {
        (groups, 8)
    };
    let rows = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(middle),
        Constraint::Min(4),
        Constraint::Length(last),
        Constraint::Length(1),
    ]);
    let [head, middle, live, last, foot] = rows.areas(area);
    draw_head(top, board, frame, head);
    let halves = if is_narrow {
        Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)])
    } else {
        Layout::horizontal([Constraint::Percentage(58), Constraint::Percentage(42)])
    };
    let [campaigns, trunks] = halves.areas(middle);
    draw_campaigns(top, board, frame, campaigns);
    draw_trunks(top, board, frame, trunks);
    draw_live(top, board, frame, live);
    if top.opened.is_empty() {
        draw_last(top, frame, last);
    } else {
        draw_opened(top, frame, last);
    }
    draw_foot(top, frame, foot);
}

fn draw_head(top: &Top, board: &Board, frame: &mut Frame<'_>, area: Rect) {
    let rates = top.rates();
    let slots: i64 = board.trunks.iter().map(|trunk| trunk.slots).sum();
    let first = format!(
        "pgdial  {}  {} of {slots} slots",
        board.now.format("%H:%M:%SZ"),
        board.in_flight
    );
    let percentile = |per_cent| top.pickup(per_cent).map_or_else(|| "-".to_owned(), short);
    let (enqueued, dialed, ended) = (rates.enqueued, rates.dialed, rates.ended);
    let (p50, p95) = (percentile(50), percentile(95));
    let second = if area.width < WIDE {
        format!("a second: {enqueued:.1} in  {dialed:.1} dialed  {ended:.1} out   p95 {p95}")
    } else {
        format!(
            "last {WINDOW_SECONDS} s: {enqueued:.1}/s enqueued  {dialed:.1}/s dialed  {ended:.1}/s ended   pickup p50 {p50} p95 {p95}"
        )
    };
    let held = top.heartbeat.lag_ms.filter(|ms| *ms >= WITHHELD).map(|ms| {
        let holder = top.heartbeat.held_by.clone().unwrap_or_default();
        let name = printable(&holder.application_name.unwrap_or_default());
        let pid = holder
            .pid
            .map_or_else(String::new, |pid| format!(" pid {pid}"));
        let held = short(TimeDelta::milliseconds(ms));
        format!("   events held back {held} by {name}{pid}")
    });
    let second = second + &held.unwrap_or_default();
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let lines = vec![Line::styled(first, bold), Line::raw(second)];
    frame.render_widget(Paragraph::new(lines), area);
}

fn block(title: &str, is_chosen: bool) -> Block<'_> {
    let style = if is_chosen {
        Style::new().add_modifier(Modifier::BOLD)
    } else {
        Style::new()
    };
    Block::new()
        .borders(Borders::TOP)
        .title(Span::styled(title, style))
}

fn draw_table<'t>(
    frame: &mut Frame<'_>,
    area: Rect,
    block: Block<'t>,
    header: &[&'static str],
    widths: &[Constraint],
    rows: Vec<Row<'t>>,
    chosen: Option<usize>,
) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let header = Row::new(header.iter().map(|name| Cell::from(*name))).style(bold);
    let table = Table::new(rows, widths.to_vec())
        .header(header)
        .block(block)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(chosen);
    frame.render_stateful_widget(table, area, &mut state);
}

fn draw_campaigns(top: &Top, board: &Board, frame: &mut Frame<'_>, area: Rect) {
    let row = |group: &CampaignGroup| {
        let waiting = if group.waiting > board.counted {
            format!("{}+", board.counted)
        } else {
            group.waiting.to_string()
        };
        let room = group
            .room
            .map_or_else(|| "-".to_owned(), |room| room.to_string());
        let why = why(
            group.reason.as_deref(),
            group.paused,
            group.paused_why.as_deref(),
        );
        let row = Row::new([
            printable(&group.name),
            waiting,
            group.in_flight.to_string(),
            room,
            why,
        ]);
        row.style(group_style(top, group.paused))
    };
    let widths = [
        Constraint::Fill(2),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(5),
        Constraint::Fill(3),
    ];
    let header = ["campaign", "waiting", "in flight", "room", "because"];
    let rows = board.campaigns.iter().map(row).collect();
    let chosen = top.selected(Pane::Campaigns);
    draw_table(
        frame,
        area,
        block("campaigns ", chosen.is_some()),
        &header,
        &widths,
        rows,
        chosen,
    );
}

fn draw_trunks(top: &Top, board: &Board, frame: &mut Frame<'_>, area: Rect) {
    let row = |group: &TrunkGroup| {
        let slots = format!("{}/{}", group.in_flight, group.slots);
        let breaker = group.breaker_opened_at.map(|_| "breaker open");
        let why = why(breaker, group.paused, group.paused_why.as_deref());
        let row = Row::new([printable(&group.name), slots, why]);
        row.style(group_style(
            top,
            group.paused || group.breaker_opened_at.is_some(),
        ))
    };
    let widths = [
        Constraint::Fill(2),
        Constraint::Length(9),
        Constraint::Fill(3),
    ];
    let header = ["trunk", "slots", "because"];
    let rows = board.trunks.iter().map(row).collect();
    let chosen = top.selected(Pane::Trunks);
    draw_table(
        frame,
        area,
        block("trunks ", chosen.is_some()),
        &header,
        &widths,
        rows,
        chosen,
    );
}

/// The reason in words; what a person wrote when pausing says the most.
fn why(reason: Option<&str>, is_paused: bool, paused_why: Option<&str>) -> String {
    match (is_paused, paused_why) {
        (true, Some(why)) => format!("paused: {}", printable(why)),
        (true, None) => "paused".to_owned(),
        (false, _) => reason.unwrap_or_default().replace('_', " "),
    }
}

fn group_style(top: &Top, is_stopped: bool) -> Style {
    colored(top, is_stopped.then_some(Color::Red))
}

fn colored(top: &Top, color: Option<Color>) -> Style {
    match color.filter(|_| top.color) {
        Some(color) => Style::new().fg(color),
        None => Style::new(),
    }
}

fn draw_live(top: &Top, board: &Board, frame: &mut Frame<'_>, area: Rect) {
    let now = board.now;
    let row = |call: &LiveCall| {
        let state = match (call.state, call.answered_at) {
            (CallState::InCall, Some(_)) => "talking",
            (CallState::InCall, None) => "ringing",
            (state, _) => state.as_str(),
        };
        let is_late = call.deadline_at <= now;
        let color = match call.state {
            _ if is_late => Some(Color::Red),
            CallState::Unresolved => Some(Color::Yellow),
            CallState::InCall => Some(Color::Cyan),
            _ => None,
        };
        let worker = call.worker.as_deref().unwrap_or("gone");
        let mut cells = vec![
            number(top, Some(&call.to)),
            printable(&call.campaign),
            state.to_owned(),
            short(now - call.claimed_at),
            left(call.deadline_at, now),
        ];
        if area.width >= WIDE {
            cells.insert(2, printable(&call.trunk));
            cells.push(printable(worker));
        }
        Row::new(cells).style(colored(top, color))
    };
    let mut widths = vec![
        Constraint::Length(16),
        Constraint::Fill(1),
        Constraint::Length(10),
        Constraint::Length(7),
        Constraint::Length(12),
    ];
    let mut header = vec!["number", "campaign", "state", "age", "deadline"];
    if area.width >= WIDE {
        widths.insert(2, Constraint::Fill(1));
        widths.push(Constraint::Fill(1));
        header.insert(2, "trunk");
        header.push("worker");
    }
    let chosen = top.selected(Pane::Calls);
    let title = format!("in flight: {} ", board.in_flight);
    draw_table(
        frame,
        area,
        block(&title, chosen.is_some()),
        &header,
        &widths,
        board.live.iter().map(row).collect(),
        chosen,
    );
}

fn draw_last(top: &Top, frame: &mut Frame<'_>, area: Rect) {
    let rows = top.last.iter().take(usize::from(area.height)).map(|seen| {
        Row::new([
            seen.at.format("%H:%M:%S").to_string(),
            seen.kind.clone(),
            number(top, seen.to.as_ref()),
            seen.campaign.clone(),
            seen.outcome.clone(),
        ])
    });
    let widths = [
        Constraint::Length(8),
        Constraint::Length(16),
        Constraint::Length(16),
        Constraint::Fill(1),
        Constraint::Fill(1),
    ];
    let header = ["at", "event", "number", "campaign", "outcome"];
    draw_table(
        frame,
        area,
        block("last events ", false),
        &header,
        &widths,
        rows.collect(),
        None,
    );
}

/// The opened call, in place of the last events.
fn draw_opened(top: &Top, frame: &mut Frame<'_>, area: Rect) {
    let lines = top.opened.iter().map(|line| Line::raw(printable(line)));
    let words = Paragraph::new(lines.collect::<Vec<_>>())
        .wrap(Wrap { trim: true })
        .block(block("call (esc: close) ", true));
    frame.render_widget(words, area);
}

fn draw_foot(top: &Top, frame: &mut Frame<'_>, area: Rect) {
    let text = match &top.asking {
        Some(asking) => {
            let what = match &asking.what {
                Asked::Pause(kind, name) => format!("pause {kind} {name}"),
                Asked::Resume(kind, name) => format!("resume {kind} {name}"),
                Asked::Cancel(id) => format!("cancel {id}"),
            };
            format!(
                "{what}, because (enter: do it, esc: do not): {}_",
                asking.why
            )
        }
        None if top.words.is_empty() => KEYS.to_owned(),
        None => printable(&top.words),
    };
    frame.render_widget(Paragraph::new(text), area);
}

fn number(top: &Top, phone: Option<&Phone>) -> String {
    match phone {
        None => String::new(),
        Some(phone) if top.full_numbers => phone.as_e164().to_owned(),
        Some(phone) => phone.to_string(),
    }
}

/// Time left until the deadline, or how late it is.
fn left(deadline: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if deadline > now {
        format!("in {}", short(deadline - now))
    } else {
        format!("late {}", short(now - deadline))
    }
}

/// A duration in few letters.
fn short(length: TimeDelta) -> String {
    let ms = length.num_milliseconds().max(0);
    match ms {
        ..1000 => format!("{ms}ms"),
        1000..60_000 => format!("{}s", ms / 1000),
        60_000..3_600_000 => format!("{}m{:02}s", ms / 60_000, ms / 1000 % 60),
        _ => format!("{}h{:02}m", ms / 3_600_000, ms / 60_000 % 60),
    }
}
